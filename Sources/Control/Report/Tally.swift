// The ledger over all rollouts of a model: how many there were and how they ended, how fast cuts were, how
// much chance of a false one was spent, and how many trips turned out wrong.
//
// A rollout begins when a candidate without weight gets some. A trip is refuted when stable did not recover
// after it (the cause was not the candidate), or when the version was promoted later after all; it is
// confirmed, as far as one can, when stable recovered; never both, and what comes later counts. A cut by an
// operator, or because a model of the group was cut, is no trip, and the time to detect is that of reports
// that are sound (`RollbackReport.isSound`).
//
// Invariant: part of the saved state, so that neither a restart nor a rotated journal forgets it; bounded.
// Source: guardrails/statistics.md, section 6.

import Payload
import Rollout
import Statistics

/// The ledger of one model, or the sum of several.
package struct Tally: Sendable, Equatable, Codable {
    /// A cut by a guardrail, and what later events say of it.
    struct Trip: Sendable, Equatable, Codable {
        var cutID: String
        var versions: [String]
        var isRefuted = false
        /// nil in ledgers of earlier releases.
        var isConfirmed: Bool?
    }

    package private(set) var rollouts = 0
    package private(set) var promotions = 0
    /// By `CutRecord.cause`.
    package private(set) var cuts: [String: Int] = [:]
    package private(set) var trips = 0
    package private(set) var refuted = 0
    package private(set) var confirmed = 0
    /// Sum of the rollouts' alphas: an upper bound on the expected number of false cuts.
    package private(set) var alphaSpent = 0.0
    /// From the first bad request to the verdict, microseconds; and from there to the last core, nanoseconds.
    private(set) var detectMicros: [UInt64] = []
    private(set) var cutNanos: [UInt64] = []
    /// Trips that only alerted; nil in ledgers of earlier releases.
    private var alertCount: Int?
    package var alerts: Int { alertCount ?? 0 }
    private var recent: [Trip] = []
    /// Candidates that have weight.
    private(set) var onTrial: [String] = []

    /// Times and trips that are remembered.
    static let remembered = 256

    package init() {}

    /// Compares who has weight now with who had.
    /// - Parameter alpha: what one candidate's sequential guardrails may spend.
    /// - Returns: the candidates that came under trial.
    @discardableResult
    mutating func align(weighted: [String], alpha: Double) -> [String] {
        guard weighted != onTrial else { return [] }
        let new = weighted.filter { !onTrial.contains($0) }
        rollouts += new.count
        alphaSpent += alpha * Double(new.count)
        onTrial = weighted
        return new
    }

    mutating func note(_ cut: CutRecord) {
        cuts[cut.cause, default: 0] += 1
        guard cut.guardrail != nil else { return }
        trips += 1
        recent.append(Trip(cutID: cut.id, versions: cut.versions))
        if recent.count > Self.remembered { recent.removeFirst() }
    }

    /// A trip that moved no traffic.
    mutating func noteAlert() { alertCount = alerts + 1 }

    mutating func note(promoted version: String) {
        promotions += 1
        for i in recent.indices where recent[i].versions.contains(version) { refute(i) }
    }

    /// Takes in a complete report.
    mutating func note(_ report: RollbackReport) {
        if report.isSound, let time = report.detectMicros { Self.append(time, to: &detectMicros) }
        if let time = report.cutNanos { Self.append(time, to: &cutNanos) }
        guard let i = recent.lastIndex(where: { $0.cutID == report.cut.id }) else { return }
        switch report.recovery?.verdict {
        case .notRecovered: refute(i)
        case .recovered: confirm(i)
        case .watching, .undecided, nil: break
        }
    }

    private mutating func refute(_ i: Int) {
        guard !recent[i].isRefuted else { return }
        if recent[i].isConfirmed == true { confirmed -= 1 }
        (recent[i].isRefuted, recent[i].isConfirmed) = (true, false)
        refuted += 1
    }

    private mutating func confirm(_ i: Int) {
        guard !recent[i].isRefuted, recent[i].isConfirmed != true else { return }
        recent[i].isConfirmed = true
        confirmed += 1
    }

    private static func append(_ time: UInt64, to times: inout [UInt64]) {
        times.append(time)
        if times.count > remembered { times.removeFirst() }
    }

    /// Adds another model's ledger, for a sum that is only shown.
    package mutating func add(_ other: Tally) {
        rollouts += other.rollouts
        promotions += other.promotions
        cuts.merge(other.cuts, uniquingKeysWith: +)
        trips += other.trips
        alertCount = alerts + other.alerts
        refuted += other.refuted
        confirmed += other.confirmed
        alphaSpent += other.alphaSpent
        detectMicros += other.detectMicros
        cutNanos += other.cutNanos
    }
}

extension CutRecord {
    /// The guardrail that tripped; "operator" for a verb, "group" where another model of the group was cut.
    var cause: String { guardrail ?? (actor == VerbRequest.weir ? "group" : "operator") }
}

extension Tally {
    /// The ledger at `/ledger`.
    package var json: JSON {
        let range = Intervals.rate(n: trips, k: min(refuted, trips), alpha: 0.05)
        return [
            "rollouts": .integer(Int64(rollouts)), "promotions": .integer(Int64(promotions)),
            "cuts": .object(
                cuts.sorted { $0.key < $1.key }.map { .init($0.key, .integer(Int64($0.value))) }),
            "trips": .integer(Int64(trips)), "confirmed": .integer(Int64(confirmed)),
            "refuted": .integer(Int64(refuted)), "alerts": .integer(Int64(alerts)),
            "refuted_share": [
                "estimate": trips == 0 ? .null : .number(Double(refuted) / Double(trips)),
                "lower": .number(range.lower), "upper": .number(range.upper), "confidence": .number(0.95),
            ],
            "alpha_spent": .number(alphaSpent), "detect_ms": Self.figures(detectMicros, per: 1_000),
            "cut_us": Self.figures(cutNanos, per: 1_000),
        ]
    }

    /// All models' ledgers, their sum first.
    static func ledger(_ tallies: [String: Tally]) -> JSON {
        var total = Tally()
        for tally in tallies.values { total.add(tally) }
        return [
            "total": total.json,
            "models": .object(tallies.sorted { $0.key < $1.key }.map { .init($0.key, $0.value.json) }),
        ]
    }

    private static func figures(_ times: [UInt64], per scale: Double) -> JSON {
        let sorted = times.sorted()
        guard let longest = sorted.last else { return ["count": 0, "median": .null, "max": .null] }
        let (low, high) = (sorted[(sorted.count - 1) / 2], sorted[sorted.count / 2])
        return [
            "count": .integer(Int64(sorted.count)),
            "median": .number((Double(low) + Double(high)) / 2 / scale),
            "max": .number(Double(longest) / scale),
        ]
    }
}
