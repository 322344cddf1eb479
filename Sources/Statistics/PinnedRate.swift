// What a candidate's rate is held to while stable has no traffic: stable's own rate as it was counted last,
// with a margin. The rate is an estimate, so its upper end is taken, of an interval that holds whenever the
// counting ends: weights change because of what was seen. Requests that come good or bad together count for
// fewer, by their design effect.
//
// What this proves, for independent requests: stable's rate was above the upper end with probability `doubt`
// at most, and the margin comes on top. What it cannot: whether the traffic is still what it was.
// Source: guardrails/statistics.md, section 3.1; Howard, Ramdas et al. 2021.

/// A rate counted once, and what another is held to beside it.
public enum PinnedRate {
    /// The chance that the counted rate was above the upper end that is used.
    public static let doubt = 0.001
    /// The odds are this many times stable's at least, and the rate this much more.
    public static let ratioMin = 1.5
    public static let differenceMin = 0.001
    /// Above this there is nothing left to hold anybody to.
    private static let limitMax = 0.9

    /// The rate that is too high.
    /// - Parameters:
    ///   - requests: that were counted.
    ///   - events: bad ones among them.
    ///   - ratio: how many times the odds may be; at least `ratioMin` is allowed.
    ///   - difference: how much more the rate may be, 0...1; at least `differenceMin` is allowed.
    ///   - effect: as how many independent ones no more than one request counts, at least 1.
    ///   - least: what the rate is taken for at least, 0..<1.
    /// - Returns: a rate in 0..<1; nil where too little was counted to hold anybody to it.
    public static func limit(
        requests: Int, events: Int, ratio: Double, difference: Double, effect: Double = 1, least: Double = 0
    ) -> Double? {
        guard requests > 0, (0..<requests).contains(events) else { return nil }
        let n = Int(Double(requests) / max(1, effect))
        // Of few events none is lost.
        let k = min(n, Int((Double(events) / max(1, effect)).rounded(.up)))
        let upper = max(least, Intervals.rate(n: n, k: k, alpha: doubt).upper)
        guard upper < limitMax else { return nil }
        let odds = max(ratio, ratioMin) * upper / (1 - upper)
        let limit = max(odds / (1 + odds), upper + max(difference, differenceMin))
        return limit <= limitMax ? limit : nil
    }
}
