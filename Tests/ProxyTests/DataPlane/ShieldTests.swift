// A candidate's failures before its first response byte: the user gets stable's answer, the candidate the
// blame.
// Place: DataPlane over real sockets. Source: design.md, section 5.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct ShieldTests {
    enum Fault: CaseIterable { case answers500, resets, refuses, hangs, closes, babbles }

    private static func candidate(_ fault: Fault) throws -> Origin {
        try Origin { peer, _ in
            while try peer.request() != nil {
                switch fault {
                case .answers500: try peer.send(reply(500, "broken"))
                case .resets: return peer.reset()
                case .closes: return
                case .babbles: try peer.send("what?\r\n\r\n")
                case .hangs, .refuses: return peer.hold()
                }
            }
        }
    }

    private static func plane(
        _ stable: Origin, _ candidate: SocketAddress, limits: Limits = .patient,
        _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws -> Plane {
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]), .version(1, "candidate", 1_000_000, [candidate]),
        ])
        model.versions[1].ejection.consecutiveFailures = 0
        model.timeouts.firstByte = .seconds(60)
        change(&model)
        return try Plane([model], limits: limits)
    }

    @Test(
        "Whatever a candidate does before its first byte, the client sees stable's answer",
        arguments: Fault.allCases)
    func shielded(_ fault: Fault) throws {
        // What hangs is given up at the limit, and stable has as long for its own answer.
        try calmly(from: fault == .hangs ? .millis(150) : .seconds(60)) { limit in
            let stable = try Origin.answering { ok("stable \($0.method) \($0.text)") }
            let broken = try Self.candidate(fault)
            let refusing = try RefusingAddress()
            let plane = try Self.plane(stable, fault == .refuses ? refusing.address : broken.address) {
                $0.timeouts.firstByte = limit
            }
            return try Self.isShielded(fault, plane, limit)
        }
    }

    /// False: stable was too slow.
    private static func isShielded(_ fault: Fault, _ plane: Plane, _ limit: Interval) throws -> Bool {
        let client = try plane.connect()
        let begin = Clock.now()
        try client.send(post("hello"))
        let first = try client.response()
        guard Clock.now() - begin < limit + limit else { return false }
        #expect(first.text == "stable POST hello")
        #expect(first["x-weir-version"] == "stable")
        let middle = Clock.now()
        try client.send(
            request("POST", "/", ["transfer-encoding: chunked"]) + "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        let second = try client.response()
        guard Clock.now() - middle < limit + limit else { return false }
        #expect(second.text == "stable POST hello")
        let outcome: Outcome =
            switch fault {
            case .answers500: .upstreamError
            case .resets, .closes: .reset
            case .refuses: .connectFailure
            case .hangs: .timeoutFirstByte
            case .babbles: .protocolError
            }
        let counts = plane.counts(1)
        #expect(counts.started == 2 && counts[outcome] == 2 && counts.shielded == 2)
        #expect(counts.failed == 2)
        #expect(plane.counts(0).started == 0 && plane.counts(0).completed == 0)
        let records = try plane.records(2)
        #expect(
            records.allSatisfy { $0.isShielded && $0.assigned == 1 && $0.answered == 0 && $0.attempts == 2 })
        #expect(records.allSatisfy { $0.status == 200 && $0.outcome == outcome })
        let after = plane.counts(1)
        #expect(after.rescued == 2 && after.unrescued == 0)
        return true
    }

    @Test("A retry that finds nobody at stable is no answer of stable's; one that stable fails is")
    func unreached() throws {
        let broken = try Self.candidate(.answers500)
        let gone = try RefusingAddress()
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [gone.address]), .version(1, "candidate", 1_000_000, [broken.address]),
        ])
        model.versions[1].ejection.consecutiveFailures = 0
        let alone = try Plane([model])
        for _ in 0..<3 { #expect(try alone.ask(post("hello")).status >= 502) }
        let lost = alone.counts(1)
        #expect(lost.shielded == 3 && lost.unreached == 3 && lost.rescued == 0 && lost.unrescued == 0)

        let failing = try Self.candidate(.answers500)
        let both = try Self.plane(failing, broken.address)
        for _ in 0..<3 { #expect(try both.ask(post("hello")).status == 500) }
        let common = both.counts(1)
        #expect(common.shielded == 3 && common.unreached == 0 && common.unrescued == 3)
    }

    @Test("A body too long to be kept is not shielded: the candidate's own 500 passes")
    func tooLong() throws {
        let stable = try Origin.named("stable")
        let candidate = try Self.candidate(.answers500)
        var limits = Limits()
        limits.replayBytesMax = 10_000
        let plane = try Self.plane(stable, candidate.address, limits: limits)
        let response = try plane.ask(post(String(repeating: "x", count: 50_000)))
        #expect(response.status == 500)
        #expect(response.text == "broken")
        #expect(response["x-weir-version"] == "candidate")
        #expect(plane.counts(1).shielded == 0)
        #expect(plane.counts(1)[.upstreamError] == 1)
        #expect(stable.seen.count == 0)
    }

    @Test("Without shielding, or after the first byte, the candidate's failure is the client's")
    func unshielded() throws {
        let stable = try Origin.named("stable")
        let candidate = try Self.candidate(.answers500)
        let open = try Self.plane(stable, candidate.address) { $0.shield = false }
        #expect(try open.ask().status == 500)
        let halfway = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            peer.reset()
        }
        let plane = try Self.plane(stable, halfway.address)
        let client = try plane.connect()
        try client.send(get())
        #expect(try client.responseHead().status == 200)
        #expect(try client.end() == .reset)
        #expect(stable.seen.count == 0)
        #expect(plane.counts(1)[.cutMidStream] == 1)
    }

    @Test("A candidate without a usable endpoint is served by stable, and not blamed for answers")
    func fallback() throws {
        let stable = try Origin.named("stable")
        let plane = try Self.plane(stable, stable.address)
        try plane.publish { $0.models[0].versions[1].endpoints = [] }
        #expect(try plane.ask().text == "stable")
        try plane.publish { plan in
            plan.models[0].versions[1].endpoints = [EndpointPlan(slot: 16, address: stable.address)]
        }
        plane.data.setHealthy(16, false)
        let response = try plane.ask()
        #expect(response["x-weir-version"] == "stable")
        plane.data.setHealthy(16, true)
        #expect(try plane.ask()["x-weir-version"] == "candidate")
        let counts = plane.counts(1)
        #expect(counts.fallbacks[Int(FallbackReason.noEndpoint.rawValue)] == 2)
        #expect(counts.started == 3 && counts[.noEndpoint] == 2 && counts[.success] == 1)
        #expect(counts.failed == 0)
        #expect(try plane.records(3).map(\.reason) == [.fallback, .fallback, .random])
    }

    @Test("A candidate at its bound on requests in flight hands over to stable, without blame")
    func overloaded() throws {
        let stable = try Origin.named("stable")
        let candidate = try Self.candidate(.hangs)
        let plane = try Self.plane(stable, candidate.address) { model in
            model.versions[1].inFlightMax = 1
        }
        let hanging = try plane.connect()
        try hanging.send(get())
        try candidate.seen.wait(for: 1)
        #expect(try plane.ask().text == "stable")
        let counts = plane.counts(1)
        #expect(counts.fallbacks[Int(FallbackReason.overloaded.rawValue)] == 1)
        #expect(counts[.overloaded] == 1 && counts.failed == 0)
    }
}
