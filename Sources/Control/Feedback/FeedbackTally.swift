// The answer to POST /feedback: how many of the request's items had which result, and the first of those
// nothing with the reason. A repetition is no error: a client that got no answer sends its batch again.
// Invariant: counts add up to the items of the request.

import Payload

/// What became of a request's feedback.
package struct FeedbackTally: Sendable, Equatable {
    /// An item that was refused.
    struct Refusal: Sendable, Equatable {
        /// Its place in the request, from 0.
        var index: Int
        var result: FeedbackResult
        var reason: String
    }

    static let refusalsMax = 20
    /// A client that was told to come back waits this long.
    static let retryAfterSeconds = 5

    private(set) var counts: [FeedbackResult: Int] = [:]
    private(set) var refusals: [Refusal] = []

    mutating func add(_ result: FeedbackResult, index: Int, reason: String = "") {
        counts[result, default: 0] += 1
        guard result != .accepted, result != .duplicate, refusals.count < Self.refusalsMax else { return }
        refusals.append(Refusal(index: index, result: result, reason: reason))
    }

    private func count(_ result: FeedbackResult) -> Int { counts[result] ?? 0 }

    /// 400 when nothing in the request was feedback, 503 when some had no room, else 200.
    /// - Parameter isDurable: whether the accepted ones are on disk.
    func response(isDurable: Bool) -> AdminResponse {
        var members = FeedbackResult.allCases.map {
            JSON.Member($0.rawValue, .integer(Int64(count($0))))
        }
        members.append(.init("durable", .bool(isDurable)))
        members.append(
            .init(
                "errors",
                .array(
                    refusals.map {
                        [
                            "index": .integer(Int64($0.index)), "result": .string($0.result.rawValue),
                            "reason": .string($0.reason),
                        ]
                    })))
        let total = counts.values.reduce(0, +)
        var status = count(.malformed) == total ? 400 : 200
        if count(.full) > 0 { status = 503 }
        var response = AdminResponse.json(status, .object(members))
        if status == 503 { response.retryAfterSeconds = Self.retryAfterSeconds }
        return response
    }

    /// For a request that did not come to be looked at.
    package static func busy(_ reason: String) -> AdminResponse {
        var response = AdminResponse.refusal(
            503, "nothing was accepted: \(reason); send the same feedback again, an item counts once")
        response.retryAfterSeconds = retryAfterSeconds
        return response
    }
}
