// The switches that control flips under running cores: cut and its lifting, sticky and forced versions.
// Place: DataPlane over real sockets. Source: design.md, sections 3 and 4.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct CutTests {
    private static let loopback = AddressRange(base: IPAddress(ipv4: 0x7F00_0000), prefixBits: 104)

    private func plane(
        _ stable: Origin, _ candidate: Origin, candidatePPM: UInt32 = 500_000, cores: Int = 1,
        trusted: [AddressRange] = [], _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws -> Plane {
        var model = ModelPlan.trial([
            .version(0, "stable", 1_000_000 - candidatePPM, [stable.address]),
            .version(1, "candidate", candidatePPM, [candidate.address]),
        ])
        change(&model)
        return try Plane([model], cores: cores, trusted: trusted)
    }

    /// Clients that ask one request after the other until they are told to stop, each a thread.
    private func load(_ plane: Plane, clients: Int, _ isOver: Notes<Bool>) throws -> [Thread] {
        let address = plane.data.addresses[0]
        return try (0..<clients).map { i in
            try Thread.spawn(name: "load-\(i)") {
                guard var client = try? Peer(to: address) else { return }
                var count = 0
                while isOver.count == 0 {
                    guard (try? client.send(get())) != nil, (try? client.response()) != nil else { return }
                    count += 1
                    // New connections come to any core.
                    if count % 20 == 0, let next = try? Peer(to: address) { client = next }
                }
            }
        }
    }

    @Test("After cut() has returned no request that starts later reaches the candidate, on any core")
    func cut() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try plane(stable, candidate, cores: 2)
        let isOver = try Notes<Bool>()
        let threads = try load(plane, clients: 4, isOver)
        for _ in 0..<5 {
            let seen = candidate.seen.count
            try candidate.seen.wait(for: seen + 5)
            plane.data.cut(0, versions: 0b10)
            // What had its version before the cut may still come: as many as there are clients, once each.
            try plane.settle()
            let inFlight = plane.counts(1).started
            let stableSeen = stable.seen.count
            try stable.seen.wait(for: stableSeen + 100)
            #expect(plane.counts(1).started == inFlight)
            plane.data.clearCut(0)
        }
        isOver.add(true)
        for thread in threads { thread.join() }
    }

    @Test(
        "Right after cut() the next request goes to stable on any core; clearCut lifts it", arguments: [1, 2])
    func nextRequest(_ cores: Int) throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try plane(
            stable, candidate, candidatePPM: 1_000_000, cores: cores, trusted: [Self.loopback])
        let client = try plane.connect()
        for _ in 0..<50 {
            try client.send(get())
            #expect(try client.response().text == "candidate")
            plane.data.cut(0, versions: 0b10)
            #expect(try plane.ask(get("/", "x-weir-version: candidate")).text == "stable")
            plane.data.clearCut(0)
        }
        let reasons = try plane.records(100).map(\.reason)
        #expect(reasons.filter { $0 == .cut }.count == 50)
    }

    @Test("A split follows its weights within six standard deviations")
    func split() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try plane(stable, candidate, candidatePPM: 250_000)
        let client = try plane.connect()
        for _ in 0..<1_600 {
            try client.send(get())
            _ = try client.response()
        }
        // sqrt(1600 * 0.25 * 0.75) = 17.3
        #expect(abs(candidate.seen.count - 400) < 104)
        #expect(stable.seen.count + candidate.seen.count == 1_600)
    }

    @Test("A sticky key keeps its version over connections, cores and growing weights")
    func sticky() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try plane(stable, candidate, candidatePPM: 300_000, cores: 2) { model in
            model.stickyKeys = [.header("x-user"), .cookie("uid")]
            model.salt = 7
        }
        var versions: [Int: String] = [:]
        for round in 0..<3 {
            for user in 0..<60 {
                let field = round == 1 ? "cookie: a=b; uid=\(user)" : "x-user: \(user)"
                let version = try plane.ask(get("/", field)).text
                if versions[user] == "candidate" { #expect(version == "candidate") }
                if round < 2, let before = versions[user] { #expect(version == before) }
                versions[user] = version
            }
            if round == 1 {
                try plane.publish { plan in
                    plan.models[0].versions[0].weightPPM = 300_000
                    plan.models[0].versions[1].weightPPM = 700_000
                }
            }
        }
        #expect(Set(versions.values) == ["stable", "candidate"])
    }

    @Test("Cohorts and forced versions overrule the split; untrusted callers force nothing")
    func pinned() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let staff = CohortPlan(
            name: "staff", conditions: [.header(name: "x-staff", .exact("yes"))], version: 1)
        let open = try plane(stable, candidate, candidatePPM: 0) { $0.cohorts = [staff] }
        #expect(try open.ask(get("/", "x-staff: yes")).text == "candidate")
        #expect(try open.ask(get("/", "x-staff: no")).text == "stable")
        #expect(try open.ask(get("/", "x-weir-version: candidate")).text == "stable")
        let trusting = try plane(stable, candidate, candidatePPM: 0, trusted: [Self.loopback])
        #expect(try trusting.ask(get("/", "x-weir-version: candidate")).text == "candidate")
    }

    @Test("A quarantined version gets nothing, by no rule")
    func quarantined() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try plane(stable, candidate, candidatePPM: 500_000, trusted: [Self.loopback]) { model in
            model.versions[1].isQuarantined = true
            model.cohorts = [CohortPlan(name: "all", conditions: [.path(.present)], version: 1)]
            model.shadow = ShadowPlan(version: 1, ppm: 1_000_000)
        }
        for _ in 0..<20 { #expect(try plane.ask(get("/", "x-weir-version: candidate")).text == "stable") }
        #expect(candidate.connections.count == 0)
    }
}
