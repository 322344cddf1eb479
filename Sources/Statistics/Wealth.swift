// The engine of every sequential guardrail: a bet against "the candidate is fine". It starts with 1, stakes
// part of it before every tick at odds that are fair if the candidate is fine, and so reaches 1/alpha with
// probability at most alpha, however long and however often one looks (Ville's inequality).
//
// Invariant: E = sum of exp(a[k]) + 1/(epochs + 1) is an e-process with E = 1 at the start, for every
// schedule of `newEpoch` and every increment that is chosen before the data it is applied to.
// Source: guardrails/statistics.md, section 1.

import Glibc

/// The wealth of a mixture of bets: over alternatives, and over the times at which they were started. Money
/// is granted to a fresh copy of every bet at epoch m with weight 1/(m(m+1)), so that a regression after a
/// long healthy time is met by money that the healthy time has not eaten.
public struct Wealth: Sendable {
    /// Natural log of the wealth staked on each alternative; nothing on those that there are not.
    private var lanes = Lanes(repeating: -.infinity)
    /// The largest `logE` seen after an `add` or `observe`; latched.
    public private(set) var maxLogE: Double
    /// The evidence, if it has been asked for since the stakes changed; else not a number.
    private var known = Double.nan
    private let restarts: Bool
    private let alternatives: UInt8
    private var opened: UInt32

    private var count: Int { Int(alternatives) }

    /// Epochs opened so far, at least 1.
    public var epochs: Int { Int(opened) }

    /// At most ten alternatives. `restarts` is off only to show what it is for.
    public init(alternatives: Int, restarts: Bool = true) {
        precondition((1...10).contains(alternatives))
        self.alternatives = UInt8(alternatives)
        opened = 0
        maxLogE = 0
        self.restarts = restarts
        newEpoch()
    }

    /// Natural log of the wealth staked on each alternative.
    public var staked: [Double] { (0..<count).map { lanes[$0] } }

    /// Grants money to fresh copies of all bets. To be called at the start, at every change of weights or
    /// configuration, and after every `BetGrid.epochRequests` candidate requests; never because of the
    /// outcomes that are being bet on.
    public mutating func newEpoch() {
        guard restarts || opened == 0, opened < .max else { return }
        opened += 1
        let m = Double(epochs)
        let alternatives = log(Double(count))
        let grant = restarts ? -log(m) - log(m + 1) - alternatives : -alternatives
        for k in 0..<count { lanes[k] = logAddExp(lanes[k], grant) }
        known = .nan
    }

    /// Applies the log factors of one tick, by alternative, and latches the evidence.
    public mutating func add(_ increment: (Int) -> Double) {
        for k in 0..<count { lanes[k] += increment(k) }
        known = .nan
        latch()
    }

    /// Applies log factors without looking at the evidence.
    mutating func apply(_ increments: Lanes) {
        for k in increments.indices { lanes[k] += increments[k] }
        known = .nan
    }

    /// Latches the evidence as it is.
    /// - Returns: its natural log.
    @discardableResult
    public mutating func latch() -> Double {
        if known.isNaN { known = evidence(lanes) }
        observe(known)
        return known
    }

    /// As `latch`, where nobody asks for the evidence as long as it is no new maximum: that no alternative
    /// has enough for one is seen without a logarithm.
    public mutating func latchIfLarger() {
        var largest = restarts ? -log(Double(epochs) + 1) : -Double.infinity
        for k in lanes.indices { largest = max(largest, lanes[k]) }
        // At most eleven terms, the cash among them.
        if largest + 2.4 > maxLogE { latch() }
    }

    /// Latches evidence that was computed on a copy: of ticks that are not settled yet.
    public mutating func observe(_ logE: Double) {
        if logE > maxLogE { maxLogE = logE }
    }

    /// Natural log of the evidence.
    public var logE: Double { known.isNaN ? evidence(lanes) : known }

    /// Natural log of the evidence if these log factors were applied; nothing is kept.
    func logE(after increments: Lanes) -> Double {
        var copy = lanes
        for k in increments.indices { copy[k] += increments[k] }
        return evidence(copy)
    }

    private func evidence(_ lanes: Lanes) -> Double {
        let cash = restarts ? -log(Double(epochs) + 1) : -Double.infinity
        var largest = cash
        for k in lanes.indices { largest = max(largest, lanes[k]) }
        guard largest > -Double.infinity else { return largest }
        var sum = restarts ? exp(cash - largest) : 0
        for k in lanes.indices {
            let below = lanes[k] - largest
            // What is smaller than that is lost in a sum of at least 1.
            if below > -45 { sum += exp(below) }
        }
        return largest + log(sum)
    }

    /// Throws away all winnings, so that E is at most 1 again: evidence that turned out to say nothing about
    /// the candidate. Giving money away can only lower the chance of a false trip.
    public mutating func forfeit() {
        let fair = restarts ? log(Double(epochs)) - log(Double(epochs) + 1) : 0
        let winnings = logSumExp(staked) - fair
        if winnings > 0 {
            for k in 0..<count { lanes[k] -= winnings }
        }
        known = .nan
        maxLogE = 0
    }

    /// The log evidence at which a test with false-trip probability `alpha` trips: ln(1/alpha).
    public static func logThreshold(alpha: Double) -> Double { -log(alpha) }

    /// A p-value that may be looked at at any time.
    public var alwaysValidP: Double { min(1, exp(-maxLogE)) }
}

extension Wealth: Hashable, Codable {
    private enum CodingKeys: String, CodingKey { case staked, epochs, maxLogE, restarts }

    public init(from decoder: any Decoder) throws {
        let saved = try decoder.container(keyedBy: CodingKeys.self)
        let staked = try saved.decode([Double].self, forKey: .staked)
        guard (1...10).contains(staked.count) else {
            throw DecodingError.dataCorruptedError(
                forKey: .staked, in: saved,
                debugDescription: "a test has one to ten alternatives, not \(staked.count)")
        }
        lanes = Lanes(staked, rest: -.infinity)
        alternatives = UInt8(staked.count)
        opened = UInt32(clamping: try saved.decode(Int.self, forKey: .epochs))
        maxLogE = try saved.decode(Double.self, forKey: .maxLogE)
        restarts = try saved.decode(Bool.self, forKey: .restarts)
    }

    public func encode(to encoder: any Encoder) throws {
        var saved = encoder.container(keyedBy: CodingKeys.self)
        try saved.encode(staked, forKey: .staked)
        try saved.encode(epochs, forKey: .epochs)
        try saved.encode(maxLogE, forKey: .maxLogE)
        try saved.encode(restarts, forKey: .restarts)
    }

    public static func == (a: Wealth, b: Wealth) -> Bool {
        a.staked == b.staked && a.epochs == b.epochs && a.maxLogE == b.maxLogE && a.restarts == b.restarts
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(staked)
        hasher.combine(epochs)
        hasher.combine(maxLogE)
        hasher.combine(restarts)
    }
}
