// Active health checks: thresholds in a table, and the checker against real servers on loopback.

import Platform
import Proxy
import Synchronization
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private func check(healthy: Int = 2, unhealthy: Int = 3) -> HealthCheckConfig {
    HealthCheckConfig(
        path: "/ready", statuses: [200, 204], interval: .millis(20), timeout: .seconds(60),
        healthyThreshold: healthy, unhealthyThreshold: unhealthy)
}

private func target(_ slot: Int, _ address: SocketAddress) -> HealthTarget {
    HealthTarget(
        slot: slot, address: address, model: "m", version: "v", check: check(), host: address.hostText)
}

@Suite struct HealthStreakTests {
    @Test(
        "An endpoint changes sides after as many probes in a row as its threshold says",
        arguments: [
            ("GGGG", "GGGG"), ("GBB", "GGG"), ("GBBB", "GGGB"), ("GBBGBB", "GGGGGG"), ("GBBBG", "GGGBB"),
            ("GBBBGG", "GGGBBG"), ("GBBBGBG", "GGGBBBB"), ("GBBBGGB", "GGGBBGG"),
            ("BB", "uu"), ("BBB", "uuB"), ("BBG", "uuG"), ("BBBGG", "uuBBG"), ("BG", "uG"),
        ])
    func table(probes: String, states: String) {
        var streak = HealthStreak()
        var seen = ""
        for probe in probes {
            _ = streak.take(isGood: probe == "G", check())
            switch streak.state {
            case .unchecked: seen += "u"
            case .healthy: seen += "G"
            case .unhealthy: seen += "B"
            }
        }
        #expect(seen == states)
    }
}

/// A checker over a plane, with servers that answer as they are told; all ends with it.
private final class Rig: Sendable {
    let plane = FakePlane(Trace())
    let servers: [ScriptedServer]
    private let checker: HealthChecker
    private let list: Transitions

    private final class Transitions: Sendable {
        let all = Mutex<[HealthTransition]>([])
    }

    init(_ answers: ScriptedServer.Answer...) throws {
        servers = try answers.map(ScriptedServer.init)
        let list = Transitions()
        self.list = list
        checker = try HealthChecker(plane: plane) { transition in
            list.all.withLock { $0.append(transition) }
        }
        try checker.start()
    }

    deinit {
        checker.stop()
        for server in servers { server.stop() }
    }

    /// The first server.
    var server: ScriptedServer { servers[0] }
    var transitions: [HealthTransition] { list.all.withLock { $0 } }

    /// Has the servers checked, the first in slot 1.
    func check() -> Bool { check(servers.enumerated().map { target($0 + 1, $1.address) }) }

    func check(_ targets: [HealthTarget]) -> Bool { checker.check(targets) }
}

@Suite struct HealthCheckerTests {
    @Test("An endpoint that answers badly turns unhealthy and comes back when it answers well")
    func thereAndBack() throws {
        let rig = try Rig(.bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        #expect(rig.check([target(7, rig.server.address)]))
        #expect(eventually { rig.server.count >= 5 })
        #expect(rig.transitions.isEmpty && rig.plane.health(7) == true)
        rig.server.set(.bytes("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"))
        #expect(eventually { rig.plane.health(7) == false })
        #expect(rig.transitions.last?.reason == "status 500")
        rig.server.set(.bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
        #expect(eventually { rig.plane.health(7) == true })
        #expect(eventually { rig.transitions.map(\.isHealthy) == [false, true] })
    }

    @Test(
        "An answer that is not HTTP, of the wrong status, too long or missing is a bad one",
        arguments: [
            ("SSH-2.0-x\r\n", "not HTTP"), ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "status 302"),
            ("", "closed without an answer"),
            (
                "HTTP/1.1 200 OK\r\nx: " + String(repeating: "a", count: 70_000) + "\r\n\r\n",
                "the head of its answer is over 64KiB or 256 fields"
            ),
            (
                "HTTP/1.1 200 OK\r\n" + String(repeating: "x: 1\r\n", count: 257) + "\r\n",
                "limits.response_fields_max): fields_too_many"
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n", "not HTTP"),
        ])
    func badAnswers(answer: String, reason: String) throws {
        let rig = try Rig(.bytes(answer))
        #expect(rig.check())
        #expect(eventually { rig.plane.health(1) == false })
        #expect(eventually { rig.transitions.first?.reason.contains(reason) == true })
    }

    @Test("A head that the data plane takes is a good answer to a check too")
    func largeHead() throws {
        let fields = (0..<200).map { "x-\($0): \(String(repeating: "a", count: 250))\r\n" }.joined()
        let rig = try Rig(.bytes("HTTP/1.1 200 OK\r\n\(fields)content-length: 2\r\n\r\nok"))
        #expect(rig.check())
        #expect(eventually { rig.plane.health(1) == true })
    }

    @Test("An endpoint that accepts and says nothing, and one that refuses, turn unhealthy")
    func silentAndGone() throws {
        let rig = try Rig(.silence, .silence)
        rig.servers[1].stop()
        let targets = rig.servers.enumerated().map { i, server in
            var one = target(i + 1, server.address)
            one.check.timeout = .millis(15)
            return one
        }
        #expect(rig.check(targets))
        #expect(eventually { rig.plane.health(1) == false && rig.plane.health(2) == false })
        #expect(eventually { rig.transitions.count == 2 })
        let reasons = Set(rig.transitions.map(\.reason))
        #expect(reasons.contains { $0.hasPrefix("no answer in") })
        #expect(reasons.contains { $0.contains("ECONNREFUSED") })
    }

    @Test("Interim answers are passed over")
    func interim() throws {
        let rig = try Rig(.bytes("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n"))
        #expect(rig.check())
        #expect(eventually { rig.transitions.first?.reason == "status 500" })
    }

    static let bodies = [
        "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nnever whole", "HTTP/1.1 200 OK\r\n\r\nuntil close",
    ]

    @Test(
        "A server that keeps the check's connection is asked as often as one that closes it",
        arguments: bodies)
    func kept(_ answer: String) throws {
        let rig = try Rig(.kept(answer), .bytes(answer))
        let (keeping, closing) = (rig.servers[0], rig.servers[1])
        #expect(rig.check())
        // Waiting for a close would take the time limit of a minute.
        #expect(eventually { closing.count >= 30 && keeping.count >= 30 })
        #expect(eventually { rig.plane.health(1) == true && rig.plane.health(2) == true })
        #expect(rig.transitions.isEmpty)
    }

    @Test("A new endpoint is unknown until its first good check, and one is enough")
    func firstCheck() throws {
        let rig = try Rig(.bytes("HTTP/1.1 503 Loading\r\n\r\n"), .silence)
        let silent = rig.servers[1]
        // What its slot was to another endpoint is forgotten.
        for slot in 1...2 { rig.plane.setHealthy(slot, true) }
        var patient = target(1, rig.server.address)
        patient.check.unhealthyThreshold = 100
        patient.check.healthyThreshold = 100
        var slow = target(2, silent.address)
        slow.check.interval = .seconds(600)
        slow.check.timeout = .seconds(600)
        #expect(rig.check([patient, slow]))
        // The slow one is asked at once too, not somewhere in its interval.
        #expect(eventually { rig.server.count >= 5 && silent.count == 1 })
        #expect(rig.plane.health(1) == nil && rig.plane.health(2) == nil)
        rig.server.set(.bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
        #expect(eventually { rig.plane.health(1) == true })
        #expect(rig.transitions.isEmpty && rig.plane.health(2) == nil)
    }

    @Test("Every passed check is passed on, because it may end an ejection")
    func passes() throws {
        let rig = try Rig(.bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        #expect(rig.check())
        #expect(eventually { rig.plane.passes(1) >= 5 })
    }

    @Test("Endpoints that leave are forgotten; those that stay keep what they are")
    func replaced() throws {
        let rig = try Rig(.bytes("HTTP/1.1 500 Oh\r\n\r\n"))
        let bad = rig.server
        #expect(rig.check([target(1, bad.address), target(2, bad.address)]))
        #expect(eventually { rig.plane.health(1) == false && rig.plane.health(2) == false })
        #expect(rig.check([target(1, bad.address)]))
        #expect(eventually { rig.plane.health(2) == nil })
        let seen = bad.count
        #expect(eventually { bad.count > seen + 3 })
        #expect(rig.plane.health(1) == false)
    }

    @Test("More endpoints than probes: every one is asked")
    func crowd() throws {
        let rig = try Rig(.bytes("HTTP/1.1 500 Oh\r\n\r\n"))
        let count = HealthChecker.probesMax + 40
        var slow = check(unhealthy: 1)
        slow.interval = .seconds(10)
        let targets = (0..<count).map { slot in
            var one = target(slot, rig.server.address)
            one.check = slow
            one.check.interval = .millis(100)
            return one
        }
        #expect(rig.check(targets))
        #expect(eventually { (0..<count).allSatisfy { rig.plane.health($0) == false } })
    }
}
