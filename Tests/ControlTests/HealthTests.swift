// Active health checks: thresholds in a table, and the checker against real servers on loopback.

import Platform
import Proxy
import Synchronization
import Testing

@testable import Control

private func check(healthy: Int = 2, unhealthy: Int = 3) -> HealthCheckConfig {
    HealthCheckConfig(
        path: "/ready", statuses: [200, 204], interval: .millis(20), timeout: .millis(15),
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

@Suite struct HealthCheckerTests {
    private let transitions = Transitions()

    private final class Transitions: Sendable {
        private let list = Mutex<[HealthTransition]>([])
        func add(_ transition: HealthTransition) { list.withLock { $0.append(transition) } }
        var all: [HealthTransition] { list.withLock { $0 } }
    }

    private func checker(_ plane: FakePlane) throws -> HealthChecker {
        let checker = try HealthChecker(plane: plane) { [transitions] in transitions.add($0) }
        try checker.start()
        return checker
    }

    @Test("An endpoint that answers badly turns unhealthy and comes back when it answers well")
    func thereAndBack() throws {
        let server = try ScriptedServer(.bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            server.stop()
        }
        #expect(checker.check([target(7, server.address)]))
        #expect(eventually { server.count >= 5 })
        #expect(transitions.all.isEmpty && plane.health(7) == true)
        server.set(.bytes("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"))
        #expect(eventually { plane.health(7) == false })
        #expect(transitions.all.last?.reason == "status 500")
        server.set(.bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
        #expect(eventually { plane.health(7) == true })
        #expect(eventually { transitions.all.map(\.isHealthy) == [false, true] })
    }

    @Test(
        "An answer that is not HTTP, of the wrong status, too long or missing is a bad one",
        arguments: [
            ("SSH-2.0-x\r\n", "not HTTP"), ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "status 302"),
            ("", "closed without an answer"),
            ("HTTP/1.1 200 OK\r\nx: " + String(repeating: "a", count: 9_000), "HTTP"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n", "not HTTP"),
        ])
    func badAnswers(answer: String, reason: String) throws {
        let server = try ScriptedServer(.bytes(answer))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            server.stop()
        }
        #expect(checker.check([target(1, server.address)]))
        #expect(eventually { plane.health(1) == false })
        #expect(eventually { transitions.all.first?.reason.contains(reason) == true })
    }

    @Test("An endpoint that accepts and says nothing, and one that refuses, turn unhealthy")
    func silentAndGone() throws {
        let silent = try ScriptedServer(.silence)
        let gone = try ScriptedServer(.silence)
        gone.stop()
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            silent.stop()
        }
        #expect(checker.check([target(1, silent.address), target(2, gone.address)]))
        #expect(eventually { plane.health(1) == false && plane.health(2) == false })
        #expect(eventually { transitions.all.count == 2 })
        let reasons = Set(transitions.all.map(\.reason))
        #expect(reasons.contains { $0.hasPrefix("no answer in") })
        #expect(reasons.contains { $0.contains("ECONNREFUSED") })
    }

    @Test("Interim answers are passed over")
    func interim() throws {
        let server = try ScriptedServer(.bytes("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n"))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            server.stop()
        }
        #expect(checker.check([target(1, server.address)]))
        #expect(eventually { transitions.all.first?.reason == "status 500" })
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
        let keeping = try ScriptedServer(.kept(answer))
        let closing = try ScriptedServer(.bytes(answer))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            keeping.stop()
            closing.stop()
        }
        #expect(checker.check([target(1, keeping.address), target(2, closing.address)]))
        #expect(eventually { closing.count >= 60 })
        // Waiting for a close would have taken a second each time: one for fifty of the others.
        #expect(keeping.count > 15, "\(keeping.count) beside \(closing.count)")
        #expect(eventually { plane.health(1) == true && plane.health(2) == true })
        #expect(transitions.all.isEmpty)
    }

    @Test("A new endpoint is unknown until its first good check, and one is enough")
    func firstCheck() throws {
        let server = try ScriptedServer(.bytes("HTTP/1.1 503 Loading\r\n\r\n"))
        let silent = try ScriptedServer(.silence)
        let plane = FakePlane(Trace())
        // What its slot was to another endpoint is forgotten.
        for slot in 1...2 { plane.setHealthy(slot, true) }
        let checker = try checker(plane)
        defer {
            checker.stop()
            server.stop()
            silent.stop()
        }
        var patient = target(1, server.address)
        patient.check.unhealthyThreshold = 100
        patient.check.healthyThreshold = 100
        var slow = target(2, silent.address)
        slow.check.interval = .seconds(600)
        slow.check.timeout = .seconds(600)
        #expect(checker.check([patient, slow]))
        // The slow one is asked at once too, not somewhere in its interval.
        #expect(eventually { server.count >= 5 && silent.count == 1 })
        #expect(plane.health(1) == nil && plane.health(2) == nil)
        server.set(.bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
        #expect(eventually { plane.health(1) == true })
        #expect(transitions.all.isEmpty && plane.health(2) == nil)
    }

    @Test("Every passed check is passed on, because it may end an ejection")
    func passes() throws {
        let server = try ScriptedServer(.bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            server.stop()
        }
        #expect(checker.check([target(1, server.address)]))
        #expect(eventually { plane.passes(1) >= 5 })
    }

    @Test("Endpoints that leave are forgotten; those that stay keep what they are")
    func replaced() throws {
        let bad = try ScriptedServer(.bytes("HTTP/1.1 500 Oh\r\n\r\n"))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            bad.stop()
        }
        #expect(checker.check([target(1, bad.address), target(2, bad.address)]))
        #expect(eventually { plane.health(1) == false && plane.health(2) == false })
        #expect(checker.check([target(1, bad.address)]))
        #expect(eventually { plane.health(2) == nil })
        let seen = bad.count
        #expect(eventually { bad.count > seen + 3 })
        #expect(plane.health(1) == false)
    }

    @Test("More endpoints than probes: every one is asked")
    func crowd() throws {
        let server = try ScriptedServer(.bytes("HTTP/1.1 500 Oh\r\n\r\n"))
        let plane = FakePlane(Trace())
        let checker = try checker(plane)
        defer {
            checker.stop()
            server.stop()
        }
        let count = HealthChecker.probesMax + 40
        var slow = check(unhealthy: 1)
        slow.timeout = .seconds(10)
        slow.interval = .seconds(10)
        let targets = (0..<count).map { slot in
            var one = target(slot, server.address)
            one.check = slow
            one.check.interval = .millis(100)
            return one
        }
        #expect(checker.check(targets))
        #expect(eventually { (0..<count).allSatisfy { plane.health($0) == false } })
    }
}
