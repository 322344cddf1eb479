// Which endpoint serves when none is both usable and untried, what ends an ejection, and restarts of
// endpoints one after the other. Place: DataPlane over real sockets. Source: Core+Endpoints.swift.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct LastResortTests {
    /// Answers 503 while `isIll` has an odd number of notes.
    private static func fickle(_ name: String, _ isIll: Notes<Bool>) throws -> Origin {
        try Origin.answering { _ in isIll.count % 2 == 1 ? reply(503, "ill") : ok(name) }
    }

    private static func plane(
        _ addresses: [SocketAddress], isChecked: Bool = false, _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws -> Plane {
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, addresses)])
        model.versions[0].ejection = EjectionPlan(consecutiveFailures: 2, time: .seconds(600))
        for i in addresses.indices { model.versions[0].endpoints[i].isChecked = isChecked }
        change(&model)
        return try Plane([model])
    }

    private static func tally(_ plane: Plane, _ count: Int) throws -> [String: Int] {
        let client = try plane.connect()
        var tally: [String: Int] = [:]
        for i in 0..<count {
            try client.send(i % 2 == 0 ? get() : post("x"))
            let response = try client.response()
            tally[response.status == 200 ? response.text : "\(response.status)", default: 0] += 1
        }
        return tally
    }

    /// A plane whose endpoint 0 is ejected, though it has recovered since.
    private static func withEjected(_ ill: Origin, _ isIll: Notes<Bool>, _ plane: Plane) throws {
        isIll.add(true)
        while plane.core[.ejections] == 0 { _ = try tally(plane, 1) }
        isIll.add(false)
        let seen = ill.seen.count
        _ = try tally(plane, 20)
        #expect(ill.seen.count == seen, "the ejected endpoint is left alone while another one serves")
    }

    @Test(
        "An ejected endpoint that has recovered takes over when the only usable one goes",
        arguments: [false, true])
    func ejectedServes(_ isChecked: Bool) throws {
        let isIll = try Notes<Bool>()
        let ejected = try Self.fickle("back", isIll)
        let leaving = try Origin.named("leaving")
        let plane = try Self.plane([ejected.address, leaving.address], isChecked: isChecked)
        if isChecked { for slot in 0...1 { plane.data.setHealthy(slot, true) } }
        try Self.withEjected(ejected, isIll, plane)
        leaving.stop()
        // GET and POST alike: nothing was sent where nobody listens.
        #expect(try Self.tally(plane, 200) == ["back": 200])
        #expect(plane.counts(0)[.connectFailure] == 0)
        // Its answers have ended its ejection, so that the other one could be ejected.
        #expect(plane.core[.ejections] == 2)
    }

    @Test("A check that an ejected endpoint passes ends its ejection")
    func passedCheck() throws {
        let isIll = try Notes<Bool>()
        let ejected = try Self.fickle("back", isIll)
        let other = try Origin.named("other")
        let plane = try Self.plane([ejected.address, other.address], isChecked: true)
        for slot in 0...1 { plane.data.setHealthy(slot, true) }
        try Self.withEjected(ejected, isIll, plane)
        plane.data.setHealthy(0, true)
        #expect(try Self.tally(plane, 60).count == 2)
    }

    @Test("Of those that fail their checks the one that just refused is not asked again")
    func refusedLast() throws {
        let alive = try Origin.named("alive")
        let refusing = try RefusingAddress()
        let plane = try Self.plane([alive.address, refusing.address]) { model in
            model.versions[0].ejection.consecutiveFailures = 0
            model.retries.attemptsMax = 1
        }
        // The checks are behind: the one that went passes, the one that came fails.
        plane.data.setHealthy(0, false)
        plane.data.setHealthy(1, true)
        #expect(try Self.tally(plane, 40) == ["alive": 40])
    }

    @Test("Where every endpoint fails its checks stable's all serve, and share the load")
    func allFailing() throws {
        let origins = try (0..<3).map { try Origin.named("\($0)") }
        let plane = try Self.plane(origins.map(\.address), isChecked: true)
        for slot in 0..<3 { plane.data.setHealthy(slot, false) }
        let tally = try Self.tally(plane, 120)
        #expect(tally.count == 3 && tally.values.allSatisfy { $0 > 10 }, "\(tally)")
    }

    @Test("An endpoint that has yet to pass its first check serves only where stable has no other")
    func unchecked() throws {
        let origins = try (0..<2).map { try Origin.named("\($0)") }
        let plane = try Self.plane(origins.map(\.address), isChecked: true)
        #expect(try Self.tally(plane, 60).count == 2, "nobody has passed yet")
        plane.data.setHealthy(1, true)
        #expect(try Self.tally(plane, 60) == ["1": 60])
        plane.data.setHealthy(0, true)
        #expect(try Self.tally(plane, 60).count == 2)
        // Who is forgotten has to pass again; without checks there is nothing to pass.
        plane.data.forgetHealth(0)
        #expect(try Self.tally(plane, 60) == ["1": 60])
        try plane.publish { $0.models[0].versions[0].endpoints[0].isChecked = false }
        #expect(try Self.tally(plane, 60).count == 2)
    }

    @Test("A candidate whose checks have yet to begin is served by stable, without blame")
    func uncheckedCandidate() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]),
            .version(1, "candidate", 1_000_000, [candidate.address]),
        ])
        model.versions[1].endpoints[0].isChecked = true
        let plane = try Plane([model])
        #expect(try Self.tally(plane, 10) == ["stable": 10])
        let counts = plane.counts(1)
        #expect(counts[.noEndpoint] == 10 && counts.failed == 0)
        #expect(counts.fallbacks[Int(FallbackReason.noEndpoint.rawValue)] == 10)
        plane.data.setHealthy(16, true)
        #expect(try Self.tally(plane, 10) == ["candidate": 10])
    }

    @Test(
        "Endpoints restarted one after the other cost no request, GET or POST, with checks and without",
        arguments: [false, true])
    func rollingRestart(_ isChecked: Bool) throws {
        var origins = try (0..<2).map { try Origin.named("\($0)") }
        let addresses = origins.map(\.address)
        let plane = try Self.plane(addresses, isChecked: isChecked) { model in
            model.versions[0].ejection = EjectionPlan()
        }
        if isChecked { for slot in 0...1 { plane.data.setHealthy(slot, true) } }
        var lost: [String: Int] = [:]
        var asked = 0
        func ask(_ count: Int) throws {
            for (text, number) in try Self.tally(plane, count) where text != "0" && text != "1" {
                lost[text, default: 0] += number
            }
            asked += count
        }
        for round in 0..<6 {
            let i = round % 2
            origins[i].stop()
            try ask(60)
            // The checks are slower than the restart: they say nothing of it, or late.
            if isChecked, round >= 2 { plane.data.setHealthy(i, false) }
            try ask(30)
            origins[i] = try Origin.named("\(i)", on: addresses[i])
            try ask(31)
            if isChecked, round >= 2 { plane.data.setHealthy(i, true) }
        }
        #expect(asked == 726 && lost.isEmpty, "lost \(lost) of \(asked)")
        if isChecked { #expect(try Self.tally(plane, 60).count == 2, "both serve again at the end") }
    }

    @Test("A failed connect of a candidate that is not shielded is repeated on its other endpoint")
    func unshielded() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let refusing = try RefusingAddress()
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]),
            .version(1, "candidate", 1_000_000, [refusing.address, candidate.address]),
        ])
        model.shield = false
        model.versions[1].ejection.consecutiveFailures = 0
        let plane = try Plane([model])
        #expect(try Self.tally(plane, 100) == ["candidate": 100])
        let counts = plane.counts(1)
        #expect(counts.retries > 20 && counts.shielded == 0 && counts[.success] == 100)
    }

    @Test("Repeats of which nothing was sent need no budget; others do", arguments: [false, true])
    func budget(_ isSent: Bool) throws {
        let candidate = try Origin { peer, _ in
            _ = try peer.request()
            peer.reset()
        }
        let refusing = try RefusingAddress()
        let stable = try Origin.named("stable")
        var model = ModelPlan.trial([
            .version(0, "stable", 0, [stable.address]),
            .version(1, "candidate", 1_000_000, [isSent ? candidate.address : refusing.address]),
        ])
        model.retries.budgetPPM = 0
        let plane = try Plane([model])
        let begin = Clock.now()
        let tally = try Self.tally(plane, 300)
        // A hundred at once and three a second are free; in a minute those are 300.
        #expect((tally["stable"] ?? 0) == 300 || isSent, "\(tally)")
        #expect((tally["502"] ?? 0) > 0 || !isSent || Clock.now() - begin > .seconds(60), "\(tally)")
    }

    @Test("A connection that carried a 5xx is not used again, be it stable's, a candidate's or a copy's")
    func failedConnections() throws {
        for status in [200, 404, 500, 503] {
            let stable = try Origin.answering { _ in reply(status) }
            let candidate = try Origin.answering { _ in reply(status) }
            let copies = try Origin.answering { _ in reply(status) }
            var model = ModelPlan.trial([
                .version(0, "stable", 500_000, [stable.address]),
                .version(1, "candidate", 500_000, [candidate.address]),
                .version(2, "copies", 0, [copies.address]),
            ])
            model.shield = false
            model.shadow = ShadowPlan(version: 2, ppm: 1_000_000)
            for i in 0..<3 { model.versions[i].ejection.consecutiveFailures = 0 }
            let plane = try Plane([model])
            let client = try plane.connect()
            for i in 0..<40 {
                try client.send(i % 2 == 0 ? get() : post("x"))
                #expect(try client.response().status == status)
                // Copies go one by one.
                try plane.waitForRest()
            }
            for origin in [stable, candidate, copies] {
                let seen = origin.seen.count
                #expect(seen > 0 && origin.connections.count == (status < 500 ? 1 : seen))
            }
        }
    }
}
