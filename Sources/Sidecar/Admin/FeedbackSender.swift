// Feedback from a file to the admin API, for the command line: lines in batches that a request may carry,
// answers added up. An item counts once, so a file that was sent in part is sent again as a whole.
// Invariant: counts add up to the lines that were answered; refusals name the line of the file.

import Control
import Payload
import Platform

/// What became of the feedback of a file.
package struct FeedbackReceipt: Sendable {
    /// An item that was refused.
    struct Refusal: Sendable, Equatable {
        /// From 1.
        var line: Int
        var result: String
        var reason: String
    }

    private(set) var counts: [String: Int] = [:]
    private(set) var refusals: [Refusal] = []
    /// Whether all that was accepted is on disk.
    private(set) var isDurable = true
    /// Why the rest was not sent, with the line to go on from; nil: everything was answered.
    private(set) var trouble: String?

    /// Refusals that are kept.
    static let refusalsMax = 100

    /// Whether every item counts, now or since an earlier time.
    package var isComplete: Bool {
        trouble == nil && counts.allSatisfy { ["accepted", "duplicate"].contains($0.key) || $0.value == 0 }
    }

    mutating func add(_ refusal: Refusal) {
        if refusals.count < Self.refusalsMax { refusals.append(refusal) }
    }

    mutating func count(_ result: String, _ count: Int = 1) { counts[result, default: 0] += count }

    mutating func stop(_ sentence: String) { trouble = sentence }

    /// Adds the answer to a batch whose items stood in these lines.
    /// - Returns: whether the answer was one.
    mutating func add(_ answer: AdminAnswer, lines: [Int]) -> Bool {
        guard let json = answer.json, json["durable"] != nil else { return false }
        for result in FeedbackResult.allCases {
            let found = Int(json[result.rawValue]?.integer ?? 0)
            if found > 0 { count(result.rawValue, found) }
        }
        if json["durable"]?.bool == false { isDurable = false }
        for error in json["errors"]?.elements ?? [] {
            let index = Int(error["index"]?.integer ?? 0)
            guard lines.indices.contains(index) else { continue }
            add(
                Refusal(
                    line: lines[index], result: error["result"]?.string ?? "",
                    reason: error["reason"]?.string ?? ""))
        }
        return true
    }

    package var json: JSON {
        var members = FeedbackResult.allCases.map {
            JSON.Member($0.rawValue, .integer(Int64(counts[$0.rawValue] ?? 0)))
        }
        members.append(.init("durable", .bool(isDurable)))
        members.append(
            .init(
                "errors",
                .array(
                    refusals.map {
                        [
                            "line": .integer(Int64($0.line)), "result": .string($0.result),
                            "reason": .string($0.reason),
                        ]
                    })))
        members.append(.init("trouble", .optional(trouble)))
        return .object(members)
    }

    /// "accepted 3, malformed 1".
    package var summary: String {
        let found = FeedbackResult.allCases.filter { counts[$0.rawValue] ?? 0 > 0 }
        let text = found.map { "\($0.rawValue) \(counts[$0.rawValue] ?? 0)" }.joined(separator: ", ")
        return (text.isEmpty ? "nothing was posted" : text)
            + (isDurable ? "" : "; not durable: the feedback log cannot be written")
    }

    /// A line for each refusal that is kept, and what kept the rest from being sent.
    package var complaints: [String] {
        let lines = refusals.map { ForeignText.line("line \($0.line): \($0.result): \($0.reason)") }
        return lines + (trouble.map { [$0] } ?? [])
    }
}

/// Sends feedback, a batch at a time.
package struct FeedbackSender {
    private let post: ([UInt8]) throws(AdminUnreachable) -> AdminAnswer
    private var receipt = FeedbackReceipt()
    private var batch: [UInt8] = []
    private var lines: [Int] = []
    private var line = 0

    package init(_ client: AdminClient) {
        self.init { body throws(AdminUnreachable) in try client.post(feedback: body) }
    }

    init(post: @escaping ([UInt8]) throws(AdminUnreachable) -> AdminAnswer) { self.post = post }

    /// Sends one item.
    /// - Parameters:
    ///   - value: a number, or `true` or `false`; anything else is refused by the API, as a wrong time is.
    ///   - time: RFC 3339 or milliseconds since 1970; nil: now.
    package mutating func send(id: String, metric: String, value: String, time: String?) -> FeedbackReceipt {
        func plain(_ text: String) -> JSON {
            if let flag = Bool(text) { return .bool(flag) }
            return Double(text).flatMap { $0.isFinite ? .number($0) : nil } ?? .string(text)
        }
        var members: [JSON.Member] = [
            .init("id", .string(id)), .init("metric", .string(metric)), .init("value", plain(value)),
        ]
        if let time { members.append(.init("time", plain(time))) }
        enqueue(Array(JSON.object(members).text.utf8)[...])
        flush()
        return receipt
    }

    /// Sends the lines of a file.
    /// - Parameter path: `/dev/stdin` for what is piped in.
    package mutating func send(file path: String) throws(SystemFailure) -> FeedbackReceipt {
        let file = try File.openRead(path)
        var held: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while receipt.trouble == nil {
            switch piece.withUnsafeMutableBytes({ file.read(into: $0) }) {
            case .moved(let count): held += piece[..<count]
            case .wouldBlock: Console.pause(millis: 10)
            case .failed(let errno): throw SystemFailure(operation: "read \(path)", errno: errno)
            case .closed:
                if !held.isEmpty { enqueue(held[...]) }
                flush()
                return receipt
            }
            var from = 0
            while receipt.trouble == nil, let end = held[from...].firstIndex(of: 0x0A) {
                enqueue(held[from..<end])
                from = end + 1
            }
            held.removeFirst(from)
            if held.count > FeedbackBatch.bodyBytesMax {
                receipt.stop("line \(line + 1) is longer than 1 MiB; it and what follows was not sent")
            }
        }
        return receipt
    }

    private mutating func enqueue(_ text: ArraySlice<UInt8>) {
        line += 1
        guard !FeedbackBatch.isBlank(text) else { return }
        guard text.count < FeedbackBatch.bodyBytesMax else {
            receipt.count(FeedbackResult.malformed.rawValue)
            return receipt.add(
                .init(line: line, result: FeedbackResult.malformed.rawValue, reason: "longer than 1 MiB"))
        }
        if lines.count == FeedbackBatch.itemsMax || batch.count + text.count >= FeedbackBatch.bodyBytesMax {
            flush()
            guard receipt.trouble == nil else { return }
        }
        batch += text
        batch.append(0x0A)
        lines.append(line)
    }

    /// Posts what was gathered.
    private mutating func flush() {
        guard let first = lines.first, receipt.trouble == nil else { return }
        let again = "send the same lines from line \(first) on again, an item counts once"
        do throws(AdminUnreachable) {
            let answer = try post(batch)
            if !receipt.add(answer, lines: lines) {
                let said = answer.json?["error"]?.line ?? "status \(answer.status)"
                receipt.stop("\(said) (\(again))")
            } else if answer.status == 503 {
                receipt.stop("some found no room: \(again)")
            }
        } catch {
            receipt.stop("\(error) (\(again))")
        }
        batch = []
        lines = []
    }
}
