// What stands beside the bet on a mean: what is learned of stable before it, and the costs above the cap
// that it does not see.
// Invariant: nothing that is learned is bet on, and the cap stays what it was at the first bet.
// Source: guardrails/statistics.md, sections 3.4 and 3.10.

import Statistics

/// Costs above the cap as events.
struct Excess: Sendable, Hashable {
    var test = RelativeEvents()
    var now = EpochCounts()
    var before = StratifiedCounts()

    /// How much more often the cap must be exceeded before that counts as material.
    private static let ratio = 1.5

    mutating func newEpoch(startsStage: Bool) {
        test.wealth.newEpoch()
        if startsStage { before = StratifiedCounts() } else { before.add(now) }
        now = EpochCounts()
    }

    mutating func take(_ ours: [Double], _ theirs: [Double], cap: Double, share: Double) {
        let above = EpochCounts(
            candidateRequests: ours.count, candidateEvents: ours.count { $0 > cap },
            stableRequests: theirs.count, stableEvents: theirs.count { $0 > cap })
        test.add(share: share, candidate: above.candidateEvents, stable: above.stableEvents)
        now += above
    }

    func isMaterial(minEvents: Int) -> Bool {
        var stage = before
        stage.add(now)
        guard stage.pooled.candidateEvents >= minEvents, let ratio = stage.logRatio else { return false }
        return stage.ratioNumerator >= Excess.ratio * stage.ratioDenominator && ratio.value > 0
    }
}

/// Stable's first values: the mean that the test is centred on, and the cap of costs.
struct Learning: Sendable {
    let isForCap: Bool
    private(set) var count = 0
    /// What all but the largest add up to: one absurd cost must not swallow the others.
    private var rest = 0.0
    /// The largest values, descending: enough to find p99.9 of up to seven thousand.
    private var largest = InlineArray<8, Double>(repeating: 0)
    private var kept = 0

    init(isForCap: Bool) { self.isForCap = isForCap }

    /// Values of stable that end it.
    var least: Int { isForCap ? 1000 : 100 }
    var isDone: Bool { count >= least }

    mutating func take(_ values: [Double]) {
        for value in values where !isForCap || count < 7000 {
            count += 1
            if isForCap { keep(value) } else { rest += value }
        }
    }

    private mutating func keep(_ value: Double) {
        guard kept < 8 || value > largest[7] else {
            rest += value
            return
        }
        if kept == 8 { rest += largest[7] }
        kept = min(kept + 1, 8)
        var place = kept - 1
        while place > 0, largest[place - 1] < value {
            largest[place] = largest[place - 1]
            place -= 1
        }
        largest[place] = value
    }

    /// Stable's p99.9, and of so few values not one of the three largest, which one bad record or two may be.
    var cap: Double { largest[min(max(count / 1000, 3), kept - 1)] }

    /// The mean of the values, each at most `highest`.
    func mean(cappedAt highest: Double) -> Double {
        (0..<kept).reduce(rest) { $0 + min(largest[$1], highest) } / Double(max(count, 1))
    }
}

extension Learning: Hashable, Codable {
    private enum CodingKeys: String, CodingKey { case isForCap, count, sum, largest }

    private var descending: [Double] { (0..<kept).map { largest[$0] } }

    init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        self.init(isForCap: try saved.decode(Bool.self, forKey: .isForCap))
        for value in try saved.decode([Double].self, forKey: .largest) { keep(value) }
        count = try saved.decode(Int.self, forKey: .count)
        rest = try saved.decode(Double.self, forKey: .sum)
    }

    func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        try saved.encode(isForCap, forKey: .isForCap)
        try saved.encode(count, forKey: .count)
        try saved.encode(rest, forKey: .sum)
        try saved.encode(descending, forKey: .largest)
    }

    static func == (a: Learning, b: Learning) -> Bool {
        a.isForCap == b.isForCap && a.count == b.count && a.rest == b.rest && a.descending == b.descending
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        hasher.combine(rest)
        hasher.combine(descending)
    }
}
