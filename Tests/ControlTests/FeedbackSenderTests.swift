// Feedback from a file: batches that a request may carry, refusals by line of the file, and what is said when
// the other end does not take them.

import Payload
import Platform
import Testing

@testable import Control
@testable import Sidecar

/// The other end: answers as Weir does, accepting what says so.
private final class Desk {
    var bodies: [[UInt8]] = []
    /// What answers instead, by batch.
    var instead: [Int: AdminAnswer] = [:]

    func take(_ body: [UInt8]) -> AdminAnswer {
        bodies.append(body)
        if let answer = instead[bodies.count - 1] { return answer }
        var tally = FeedbackTally()
        for (i, line) in body.split(separator: 0x0A).enumerated() {
            let text = String(decoding: line, as: UTF8.self)
            let result: FeedbackResult = text.contains("bad") ? .forged : .accepted
            tally.add(result, index: i, reason: "because")
        }
        let response = tally.response(isDurable: true)
        return AdminAnswer(status: response.status, body: response.body)
    }
}

@Suite struct FeedbackSenderTests {
    private func send(_ text: String, to desk: Desk) throws -> FeedbackReceipt {
        let scratch = try Scratch()
        let path = scratch.path + "/feedback"
        let file = try File.openAppend(path)
        try File.write(Array(text.utf8), to: file, path: path)
        var sender = FeedbackSender { body throws(AdminUnreachable) in desk.take(body) }
        return try sender.send(file: path)
    }

    @Test("A file goes in batches of as many lines as a request may carry; refusals name their line")
    func batches() throws {
        let desk = Desk()
        var lines = Array(repeating: "{}", count: 25_000)
        lines[0] = "bad"
        lines[1] = ""
        lines[20_000] = "bad"
        let receipt = try send(lines.joined(separator: "\n"), to: desk)
        #expect(desk.bodies.count == 3)
        #expect(receipt.summary == "accepted 24997, forged 2" && !receipt.isComplete)
        #expect(receipt.complaints == ["line 1: forged: because", "line 20001: forged: because"])
        #expect(receipt.json["errors"]?[1]?["line"]?.integer == 20_001)
    }

    @Test("Long lines make short batches, and one beyond what a request may carry is refused here")
    func long() throws {
        let desk = Desk()
        let long = String(repeating: "x", count: 400_000)
        let receipt = try send("\(long)\n\(long)\n\(long)\n\r\n", to: desk)
        #expect(desk.bodies.count == 2 && receipt.isComplete)
        #expect(desk.bodies.allSatisfy { $0.count <= FeedbackBatch.bodyBytesMax })
        let tooLong = try send("{}\n" + String(repeating: "x", count: 2 << 20), to: Desk())
        #expect(tooLong.trouble?.contains("line 2 is longer than 1 MiB") == true && !tooLong.isComplete)
    }

    @Test("An answer that is none, or one without room, stops the file and says from which line to go on")
    func stops() throws {
        let lines = Array(repeating: "{}", count: 20_001).joined(separator: "\n")
        let broken = Desk()
        broken.instead[1] = AdminAnswer(status: 503, body: Array("{\"error\":\"busy\"}".utf8))
        let receipt = try send(lines, to: broken)
        #expect(broken.bodies.count == 2 && receipt.summary == "accepted 10000")
        #expect(receipt.trouble?.hasPrefix("busy (send the same lines from line 10001 on again") == true)
        let full = Desk()
        var tally = FeedbackTally()
        tally.add(.full, index: 0, reason: "full")
        let answer = tally.response(isDurable: false)
        full.instead[0] = AdminAnswer(status: answer.status, body: answer.body)
        let stopped = try send(lines, to: full)
        #expect(full.bodies.count == 1 && stopped.trouble?.contains("no room") == true)
        #expect(stopped.summary.contains("not durable"))
    }

    @Test("An empty file posts nothing, and a file that is not there is an error")
    func nothing() throws {
        let desk = Desk()
        let receipt = try send("\n\n", to: desk)
        #expect(desk.bodies.isEmpty && receipt.isComplete && receipt.summary == "nothing was posted")
        var sender = FeedbackSender { body throws(AdminUnreachable) in desk.take(body) }
        #expect(throws: SystemFailure.self) { try sender.send(file: "/no/such/file") }
    }

    @Test(
        "One item is written as the API reads it",
        arguments: [
            ("1", nil, #"{"id":"i","metric":"m","value":1}"#),
            ("0.5", "1700000000000", #"{"id":"i","metric":"m","value":0.5,"time":1700000000000}"#),
            (
                "true", "2026-11-21T12:00:00Z",
                #"{"id":"i","metric":"m","value":true,"time":"2026-11-21T12:00:00Z"}"#
            ),
        ] as [(String, String?, String)])
    func one(_ value: String, _ time: String?, _ line: String) throws {
        let desk = Desk()
        var sender = FeedbackSender { body throws(AdminUnreachable) in desk.take(body) }
        #expect(sender.send(id: "i", metric: "m", value: value, time: time).isComplete)
        #expect(try JSON(parsing: desk.bodies[0]) == JSON(parsing: Array(line.utf8)))
    }
}
