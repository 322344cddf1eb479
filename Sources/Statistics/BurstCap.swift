// What a slot of time may prove. Theory: a pause of one version's process (a collector, a noisy neighbour)
// makes all of its requests of that moment slow at once: that is no news about the version, however many they
// are. So the gain of a bet within a slot is capped, and several slots have to agree before a test can trip.
//
// Where such moments are to be tolerated altogether, the slot after a capped one is not bet on, because a
// moment may touch two, and every slot that is bet on pays a toll: the bet is then fair although any slot may
// be arbitrary with a small probability, independently of the past (a Huber-robust bet).
//
// What a slot may add is counted from its start, so an epoch's fresh money waits for the next slot.
//
// Invariant: a capped bet never has more than the uncapped one, at any moment; min(wealth, cap) is a concave
// function of it, so the evidence stays an e-process. With a toll of ln(1 + eps (e^cap - 1)) a slot's factor
// has an expectation of at most 1 if the slot is arbitrary with probability eps at most and fair otherwise.
// Source: guardrails/dependence.md, section 3; Saha and Ramdas, Huber-robust likelihood ratio tests.

import Glibc

/// The gains of a mixture's bets within the current slot of time.
public struct BurstCap: Sendable {
    /// The largest log factor that a slot may add to a bet: 3, so that two slots in a row, which a pause of
    /// up to a slot touches, stay below ln(1/1 %) + ln 2, and the third may trip.
    public static let standard = 3.0
    /// The share of slots that may be arbitrary where moments are tolerated.
    public static let tolerated = 0.05

    /// How strict a cap is.
    public enum Mode: Sendable {
        /// No cap.
        case free
        /// A slot gains at most `standard`.
        case capped
        /// And the slot after a capped one is left out.
        case resting
        /// And every slot that is bet on pays for the `tolerated` share of arbitrary ones.
        case tolerant
    }

    /// ln(1 + eps (e^cap - 1)).
    private static let toll = log1p(tolerated * expm1(standard))

    /// What log factors are multiplied by, 0...1; chosen before the tick they belong to.
    public var temper = 1.0
    private var gains = Lanes(repeating: 0)
    /// The lower half of the slot's number; not one before there is a slot.
    private var slot = UInt32.max
    private let mode: Mode
    private var isResting = false
    private var hasPaid = false

    public init(_ mode: Mode = .capped) { self.mode = mode }

    /// Says which slot the next tick belongs to; the schedule of slots is a matter of time alone.
    /// - Returns: whether fresh money may be staked now. In the middle of a capped slot it may not: a bet
    ///   that is far behind in the slot could win all of that back, and fresh money would win it without
    ///   having lost it.
    @discardableResult
    public mutating func enter(slot: UInt64) -> Bool {
        let low = UInt32(truncatingIfNeeded: slot)
        guard low != self.slot else { return mode == .free }
        let rests = mode == .resting || mode == .tolerant
        isResting =
            rests && low == self.slot &+ 1 && gains.indices.contains { gains[$0] >= BurstCap.standard }
        self.slot = low
        gains = Lanes(repeating: 0)
        hasPaid = false
        return true
    }

    /// Whether the slot has a toll that is not paid: a slot without events pays as well, or only those that
    /// won something would.
    public var owesToll: Bool { mode == .tolerant && !hasPaid && !isResting }

    /// What of a tick's log factors counts, by alternative.
    mutating func limit(_ increments: Lanes) -> Lanes {
        guard mode != .free else { return increments }
        guard !isResting else { return Lanes(repeating: 0) }
        var counted = increments
        let most = BurstCap.standard
        let due = mode == .tolerant && !hasPaid ? BurstCap.toll : 0
        hasPaid = true
        for k in increments.indices {
            let before = min(gains[k], most)
            gains[k] += temper * increments[k]
            counted[k] = min(gains[k], most) - before - due
        }
        return counted
    }
}
