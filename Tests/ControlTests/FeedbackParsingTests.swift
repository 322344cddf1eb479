// Laws of POST /feedback before the control loop: bodies, ids, clocks, and the answer.

import Metrics
import Payload
import Proxy
import Testing

@testable import Control
@testable import Sidecar

private let key: (UInt64, UInt64) = (11, 12)
private let good = ExchangeID.text(
    version: 7, weightPPM: 5, startMillis: 1_700_000_000_000, salt: 3, key: key)
private let foreign = ExchangeID.text(
    version: 7, weightPPM: 5, startMillis: 1_700_000_000_000, salt: 3, key: (11, 13))

private func items(_ body: String, isLines: Bool = false) throws(FeedbackProblem) -> [FeedbackBatch.Item] {
    try FeedbackBatch(Array(body.utf8), isLines: isLines, key: key).items
}

private func results(_ items: [FeedbackBatch.Item]) -> [FeedbackResult?] {
    items.map {
        if case .refused(let result, _) = $0 { return result }
        return nil
    }
}

@Suite struct FeedbackParsingTests {
    @Test("One object, an array and lines are read alike")
    func forms() throws {
        let one = "{\"id\":\"\(good)\",\"metric\":\"clicks\",\"value\":1}"
        let read = try items(one)
        #expect(results(read) == [nil])
        guard case .feedback(let feedback) = read[0] else { return }
        #expect(feedback.metric == "clicks" && feedback.value == 1 && feedback.wallMicros == nil)
        #expect(feedback.id.version == 7 && feedback.id.weightPPM == 5 && !feedback.id.isPinned)
        #expect(try items("[\(one),\(one)]") == [read[0], read[0]])
        #expect(try items("\(one)\n\n \(one)\r\n", isLines: true) == [read[0], read[0]])
    }

    @Test(
        "A value is a number or a flag, a time RFC 3339 or milliseconds",
        arguments: [
            ("\"value\":0.25", 0.25, nil), ("\"value\":true", 1, nil), ("\"value\":false", 0, nil),
            ("\"value\":-3,\"time\":null", -3, nil),
            ("\"value\":1,\"time\":1700000000500", 1, 1_700_000_000_500_000),
            ("\"value\":1,\"time\":\"2023-11-14T22:13:20.5Z\"", 1, 1_700_000_000_500_000),
        ] as [(String, Double, UInt64?)])
    func values(members: String, value: Double, wallMicros: UInt64?) throws {
        let read = try items("{\"id\":\"\(good)\",\"metric\":\"m.a_b-c\",\(members)}")
        guard case .feedback(let feedback) = read[0] else {
            throw FeedbackProblem(status: 0, sentence: "\(read)")
        }
        #expect(feedback.value == value && feedback.wallMicros == wallMicros)
    }

    @Test(
        "Items that are not feedback are refused one by one",
        arguments: [
            ("{\"metric\":\"m\",\"value\":1}", FeedbackResult.malformed),
            ("{\"id\":1,\"metric\":\"m\",\"value\":1}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"a b\",\"value\":1}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"\",\"value\":1}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"m\",\"value\":\"1\"}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"m\"}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"m\",\"value\":1,\"time\":\"yesterday\"}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"m\",\"value\":1,\"time\":-1}", .malformed),
            ("{\"id\":\"\(good)\",\"metric\":\"m\",\"value\":1,\"user\":1}", .malformed),
            ("3", .malformed), ("[]x", .malformed),
            ("{\"id\":\"\(foreign)\",\"metric\":\"m\",\"value\":1}", .forged),
            ("{\"id\":\"\(good)0\",\"metric\":\"m\",\"value\":1}", .forged),
            ("{\"id\":\"\",\"metric\":\"m\",\"value\":1}", .forged),
        ])
    func refused(item: String, result: FeedbackResult) throws {
        let line = "{\"id\":\"\(good)\",\"metric\":\"m\",\"value\":1}\n\(item)\n"
        #expect(results(try items(line, isLines: true)) == [nil, result])
    }

    @Test("A body without any feedback, one that is no JSON, and one with too many are refused as a whole")
    func whole() throws {
        for (body, isLines, status) in [
            ("", true, 400), ("[]", false, 400), ("{", false, 400), ("\n\n", true, 400),
        ] {
            let problem = #expect(throws: FeedbackProblem.self) { try items(body, isLines: isLines) }
            #expect(problem?.status == status)
        }
        let many = String(repeating: "1\n", count: FeedbackBatch.itemsMax + 1)
        #expect(throws: FeedbackProblem.self) { try items(many, isLines: true) }
        let array = "[" + String(repeating: "1,", count: FeedbackBatch.itemsMax) + "1]"
        #expect(throws: FeedbackProblem.self) { try items(array) }
    }

    @Test("Every changed digit of an id makes it a forged one", arguments: 0..<48)
    func forged(at: Int) throws {
        var text = Array(good.utf8)
        text[at] = text[at] == 0x30 ? 0x31 : 0x30
        let forged = String(decoding: text, as: UTF8.self)
        #expect(results(try items("{\"id\":\"\(forged)\",\"metric\":\"m\",\"value\":1}")) == [.forged])
    }

    @Test("The answer is 200 with counts, 400 when nothing was feedback, 503 when something had no room")
    func answers() throws {
        var tally = FeedbackTally()
        for _ in 0..<30 { tally.add(.malformed, index: 0, reason: "r") }
        var answer = tally.response(isDurable: true)
        #expect(answer.status == 400 && answer.retryAfterSeconds == nil)
        let body = try JSON(parsing: answer.body)
        #expect(body["malformed"]?.integer == 30 && body["accepted"]?.integer == 0)
        #expect(body["errors"]?.elements.count == FeedbackTally.refusalsMax)
        tally.add(.accepted, index: 30)
        tally.add(.duplicate, index: 31)
        #expect(tally.response(isDurable: true).status == 200)
        tally.add(.full, index: 32)
        answer = tally.response(isDurable: false)
        #expect(answer.status == 503 && answer.retryAfterSeconds == 5)
        #expect(
            String(decoding: answer.bytes(toHead: false, keepsAlive: true), as: UTF8.self)
                .contains("\r\nretry-after: 5\r\n"))
        #expect(try JSON(parsing: answer.body)["durable"] == false)
    }

    @Test("/feedback takes POST with either content type, with room for a batch")
    func route() {
        func errand(_ method: String, _ type: String?, fetchSite: String? = nil) -> AdminErrand {
            AdminRoutes.errand(
                AdminRequest(
                    method: method, path: "/feedback", host: "localhost", contentType: type, accept: nil,
                    origin: nil, fetchSite: fetchSite, body: [1],
                    peer: AdminPeer(description: "p", isUnixSocket: false, localHost: "127.0.0.1")))
        }
        #expect(errand("POST", "application/json") == .feedback([1], isLines: false))
        #expect(errand("POST", "application/x-ndjson") == .feedback([1], isLines: true))
        func status(_ errand: AdminErrand) -> Int? {
            guard case .answer(let answer) = errand else { return nil }
            return answer.status
        }
        #expect(status(errand("POST", "text/plain")) == 415)
        #expect(status(errand("POST", nil)) == 415)
        #expect(status(errand("GET", nil)) == 405)
        #expect(status(errand("POST", "application/json", fetchSite: "cross-site")) == 403)
    }

    @Test("A post to /outcomes, the path of earlier releases, is refused with the path that replaces it")
    func formerRoute() {
        let errand = AdminRoutes.errand(
            AdminRequest(
                method: "POST", path: "/outcomes", host: "localhost", contentType: "application/json",
                accept: nil, origin: nil, fetchSite: nil, body: [1],
                peer: AdminPeer(description: "p", isUnixSocket: false, localHost: "127.0.0.1")))
        guard case .answer(let answer) = errand else {
            Issue.record("\(errand)")
            return
        }
        #expect(answer.status == 410)
        #expect(String(decoding: answer.body, as: UTF8.self).contains("the same body to /feedback"))
    }
}

@Suite struct ClockMapTests {
    private func map(_ notes: [(millis: UInt64, wall: UInt64)]) -> ClockMap {
        var map = ClockMap()
        for note in notes {
            map.record(monotonicNanos: note.millis * 1_000_000, wallMicros: note.wall * 1_000)
        }
        return map
    }

    @Test("A wall time finds its tick, also from before the first note, and over small movements")
    func steady() {
        let map = map([(10_000, 1_000_010_000), (20_000, 1_000_020_002), (30_000, 1_000_029_999)])
        for millis in [0, 99, 100, 10_000, 25_050, 31_000] as [UInt64] {
            #expect(map.tick(wallMillis: 1_000_000_000 + millis) == Int64(millis) / 100)
        }
        #expect(map.tick(wallMillis: 999_999_999) == -1)
        #expect(ClockMap().tick(wallMillis: 1) == nil)
    }

    @Test("Times from before the clock was set forward or back find the tick that they were made in")
    func jumps() {
        let forward = map([(10_000, 1_000_010_000), (20_000, 1_003_620_000)])
        #expect(forward.tick(wallMillis: 1_000_015_000) == 150)
        #expect(forward.tick(wallMillis: 1_003_625_000) == 250)
        // Never shown by the clock.
        #expect(forward.tick(wallMillis: 1_002_000_000) == 200)
        let back = map([(10_000, 1_000_010_000), (20_000, 1_000_015_000)])
        #expect(back.tick(wallMillis: 1_000_012_000) == 120)
        // Shown twice: the later one.
        #expect(back.tick(wallMillis: 1_000_017_000) == 220)
    }

    @Test("Ticks of another boot are moved by the difference of the clocks, those of the same boot stay")
    func anchors() {
        let old = ClockAnchor(tick: 50_000, wallMicros: 1_000_000_000_000)
        let same = ClockAnchor(tick: 50_600, wallMicros: 1_000_060_000_000 + 900_000)
        #expect(old.shift(to: same) == 0)
        let rebooted = ClockAnchor(tick: 100, wallMicros: 1_000_060_000_000)
        #expect(old.shift(to: rebooted) == 100 - 50_600)
        #expect(old.shift(to: ClockAnchor(tick: 0, wallMicros: 0)) < 1_000_000_000_000)
    }
}
