// Which endpoint serves: the spread over several, ejection of those that fail, their return, health and
// warm-up.
// Place: DataPlane over real sockets. Source: Mitzenmacher 2001 (two choices); Core+Dispatch.swift.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct EndpointTests {
    private func plane(
        _ addresses: [SocketAddress], _ change: (inout VersionPlan) -> Void = { _ in }
    ) throws -> Plane {
        var version = VersionPlan.version(0, "stable", 1_000_000, addresses)
        change(&version)
        return try Plane([.trial([version])])
    }

    private func tally(_ plane: Plane, _ count: Int) throws -> [String: Int] {
        let client = try plane.connect()
        var tally: [String: Int] = [:]
        for _ in 0..<count {
            try client.send(get())
            tally[try client.response().text, default: 0] += 1
        }
        return tally
    }

    @Test("Requests spread over all endpoints", arguments: [2, 3, 5])
    func spread(_ count: Int) throws {
        let origins = try (0..<count).map { try Origin.named("\($0)") }
        let tally = try tally(plane(origins.map(\.address)), 100 * count)
        #expect(tally.count == count)
        // Fair draws stay within six standard deviations.
        #expect(tally.values.allSatisfy { $0 > 45 && $0 < 160 }, "\(tally)")
    }

    @Test("Of two endpoints the one with fewer requests in flight serves")
    func twoChoices() throws {
        let free = try Gate()
        let slow = try Origin.answering { _ in
            try? free.pass()
            return ok("slow")
        }
        let quick = try Origin.named("quick")
        let plane = try plane([slow.address, quick.address])
        var stuck: [Peer] = []
        while slow.seen.count == 0 {
            let client = try plane.connect()
            try client.send(get())
            try eventually("an origin") { slow.seen.count + quick.seen.count == stuck.count + 1 }
            stuck.append(client)
        }
        #expect(try tally(plane, 50) == ["quick": 50])
        free.open()
    }

    @Test("Failures in a row eject an endpoint; it returns when its time is over")
    func ejection() throws {
        let failing = try Notes<Int>()
        let good = try Origin.named("good")
        let bad = try Origin.answering { _ in
            failing.add(0)
            return failing.count <= 3 ? reply(500, "bad") : ok("healed")
        }
        let plane = try plane([bad.address, good.address]) { version in
            version.ejection = EjectionPlan(consecutiveFailures: 3, time: .millis(400), timeMax: .seconds(1))
        }
        var quiet = Clock.now()
        while plane.core[.ejections] == 0 {
            quiet = Clock.now()
            _ = try tally(plane, 1)
        }
        #expect(failing.count == 3)
        #expect(try tally(plane, 20) == ["good": 20] || Clock.now() - quiet > .millis(300))
        try eventually("its return") { (try? tally(plane, 1)["healed"]) == 1 }
        #expect(plane.core[.ejections] == 1)
    }

    @Test(
        "Ejection never takes the last usable endpoint, be the version stable or a candidate",
        arguments: [0, 1])
    func lastUsable(_ asked: Int) throws {
        let servers = try (0..<2).map { i in try Origin.answering { _ in reply(503, "bad \(i)") } }
        let other = try Origin.named("other")
        var model = ModelPlan.trial([
            .version(0, "stable", asked == 0 ? 1_000_000 : 0, [other.address]),
            .version(1, "candidate", asked == 0 ? 0 : 1_000_000, [other.address]),
        ])
        model.shield = false
        model.versions[asked] = .version(
            asked, asked == 0 ? "stable" : "candidate", 1_000_000, servers.map(\.address))
        model.versions[asked].ejection = EjectionPlan(consecutiveFailures: 2, time: .seconds(60))
        let plane = try Plane([model])
        let tally = try tally(plane, 40)
        #expect(tally.values.reduce(0, +) == 40 && tally["other"] == nil, "\(tally)")
        #expect(plane.core[.ejections] == 1)
        #expect(plane.counts(asked)[.upstreamError] == 40)
    }

    @Test("A version that gets weight again begins with its endpoints forgiven")
    func secondChance() throws {
        let isBad = try Notes<Bool>()
        let candidate = try Origin.answering { _ in isBad.count == 0 ? reply(503, "bad") : ok("candidate") }
        let stable = try Origin.named("stable")
        let other = try Origin.named("other")
        var versions = [
            VersionPlan.version(0, "stable", 0, [stable.address]),
            VersionPlan.version(1, "candidate", 1_000_000, [candidate.address, other.address]),
        ]
        versions[1].ejection = EjectionPlan(consecutiveFailures: 1, time: .seconds(60))
        let plane = try Plane([.trial(versions)])
        while plane.core[.ejections] == 0 { _ = try tally(plane, 1) }
        #expect(try tally(plane, 20) == ["other": 20])
        isBad.add(false)
        func give(_ ppm: UInt32) throws {
            try plane.publish {
                $0.models[0].versions[0].weightPPM = 1_000_000 - ppm
                $0.models[0].versions[1].weightPPM = ppm
            }
        }
        try give(0)
        try give(1_000_000)
        #expect(try tally(plane, 40).count == 2)
    }

    @Test("An endpoint that its health check fails gets nothing until it passes again")
    func health() throws {
        let origins = try (0..<2).map { try Origin.named("\($0)") }
        let plane = try plane(origins.map(\.address))
        plane.data.setHealthy(1, false)
        #expect(try tally(plane, 30) == ["0": 30])
        plane.data.setHealthy(1, true)
        #expect(try tally(plane, 60).count == 2)
    }

    @Test("Endpoints on Unix sockets serve as those on TCP do")
    func unixSockets() throws {
        let path = "/tmp/weir-test-\(Entropy.word()).sock"
        let origin = try Origin.answering(on: .unix(path: path)) { ok($0.text) }
        defer { _ = try? File.remove(path) }
        let plane = try plane([origin.address])
        let client = try plane.connect()
        let body = String(repeating: "u", count: 900_000)
        for _ in 0..<3 {
            try client.send(post(body))
            #expect(try client.response().text == body)
        }
        #expect(origin.connections.count == 1)
        try plane.waitForRest()
    }

    @Test("A listener on a Unix socket serves from every core")
    func unixListener() throws {
        let path = "/tmp/weir-test-\(Entropy.word()).sock"
        defer { _ = try? File.remove(path) }
        let origin = try Origin.named("a")
        let settings = DataPlaneSettings(listeners: [.loopback, .unix(path: path)], cores: 2)
        let data = try DataPlane(settings)
        let model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        try data.start(Plan(epoch: 1, models: [model], trusted: [], accessLogPPM: 0))
        defer { data.stop() }
        for address in data.addresses {
            for _ in 0..<20 {
                let client = try Peer(to: address)
                try client.send(get())
                #expect(try client.response().text == "a")
            }
        }
        #expect(origin.seen.all.last?["x-forwarded-for"] == "unknown")
    }

    @Test("A new plan changes weights without closing connections; removed endpoints lose their idle ones")
    func publishing() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try Plane([
            .trial([
                .version(0, "stable", 1_000_000, [stable.address]),
                .version(1, "candidate", 0, [candidate.address]),
            ])
        ])
        let client = try plane.connect()
        for round in 0..<4 {
            try plane.publish { plan in
                plan.models[0].versions[0].weightPPM = round % 2 == 0 ? 0 : 1_000_000
                plan.models[0].versions[1].weightPPM = round % 2 == 0 ? 1_000_000 : 0
            }
            try client.send(get())
            #expect(try client.response().text == (round % 2 == 0 ? "candidate" : "stable"))
        }
        #expect(stable.connections.count == 1 && candidate.connections.count == 1)
        #expect(plane.core[.upstreams] == 2)
        try plane.publish { $0.models[0].versions.removeLast() }
        try eventually("the candidate's connection to close") { plane.core[.upstreams] == 1 }
        try client.send(get())
        #expect(try client.response().text == "stable")
        #expect(plane.core[.accepted] == 1)
    }
}
