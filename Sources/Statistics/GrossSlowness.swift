// Is a version grossly slow for longer than any pause? Theory: a replica that pauses makes most requests of a
// moment slow, and looks like a version ten times as slow, until the moment is over. So the question is asked
// slot by slot. A slot is gross if most of the candidate's requests were slow in it and few of stable's. The
// first three gross slots of a run are free, because a pause of 5 s makes three or four of them; every one
// after them is a bet that it is gross as well.
//
//   phase     the slot is gross                  it is not
//   waiting   a run begins: first                waiting
//   first     second                             waiting
//   second    betting                            waiting
//   betting   the bet is won: betting            the bet is lost: waiting
//
// A bet is won with a factor of 120, so it takes two or three, and a moment of at most four slots wins one
// and loses the next: a lost bet costs more than a won one brings, so such moments never add up.
//
// Invariant: every run has money of its own, granted as to an epoch of `Wealth`, and a slot's length depends
// on time and counts of requests only. So the evidence is an e-process if a fine version's slot is gross with
// a probability of 0.8 % at most, given that the three before it were.
// Source: guardrails/dependence.md, section 3.

import Glibc

/// The sequential test of "most of the candidate's requests are grossly slow, and it goes on".
public struct GrossSlowness: Sendable, Hashable, Codable {
    /// Requests by version, of a tick, a slot or a run. In half the space: a count that came to the end of 32
    /// bits would stay there.
    public struct Counts: Sendable, Hashable, Codable {
        public private(set) var candidateSlow: UInt32
        public private(set) var candidate: UInt32
        public private(set) var stableSlow: UInt32
        public private(set) var stable: UInt32

        public init(candidateSlow: Int = 0, candidate: Int = 0, stableSlow: Int = 0, stable: Int = 0) {
            self.candidateSlow = UInt32(clamping: candidateSlow)
            self.candidate = UInt32(clamping: candidate)
            self.stableSlow = UInt32(clamping: stableSlow)
            self.stable = UInt32(clamping: stable)
        }

        static func += (a: inout Counts, b: Counts) {
            a = Counts(
                candidateSlow: Int(a.candidateSlow) + Int(b.candidateSlow),
                candidate: Int(a.candidate) + Int(b.candidate),
                stableSlow: Int(a.stableSlow) + Int(b.stableSlow), stable: Int(a.stable) + Int(b.stable))
        }
    }

    private enum Phase: UInt8, Sendable, Hashable, Codable {
        case waiting
        case first
        case second
        case betting
    }

    /// A slot's length in ticks, and the requests of either version without which it goes on, for a minute
    /// at most.
    private static let slotTicks: UInt32 = 15
    private static let slotTicksMax: UInt32 = 600
    private static let requestsMin = 8
    /// What a gross slot's probability is bet to be, and what it is at most.
    private static let chance = 0.995
    private static let fairChance = 0.008

    private var phase = Phase.waiting
    private var slot = Counts()
    /// The lower half of the tick in which it began; none before its first.
    private var slotStart = GrossSlowness.none
    private static let none = UInt32.max
    /// Requests of the run under way, or of the last one.
    public private(set) var run = Counts()
    /// Natural log of the money staked, and how many runs it was granted to.
    private var staked = -log(Float(2))
    private var runs: UInt32 = 0
    private var largest: Float = 0

    public init() {}

    /// Whether the version is in a run of gross slots.
    public var isUnderWay: Bool { phase != .waiting }

    /// Natural log of the evidence.
    public var logE: Double { logAddExp(Double(staked), -log(Double(max(runs, 1)) + 1)) }

    /// The largest natural log of the evidence; latched.
    public var maxLogE: Double { Double(largest) }

    /// Forgets the slot and the run under way: ticks are missing.
    public mutating func interrupt() {
        phase = .waiting
        slotStart = Self.none
        slot = Counts()
    }

    /// Throws away all winnings, and the run under way with them, so that the evidence is at most 1 again.
    public mutating func forfeit() {
        interrupt()
        let granted = Double(max(runs, 1))
        staked = min(staked, Float(log(granted / (granted + 1))))
        largest = 0
    }

    /// Takes in a tick; ticks come in order.
    public mutating func add(_ counts: Counts, tick: UInt64) {
        let low = UInt32(truncatingIfNeeded: tick)
        if slotStart == Self.none { slotStart = low }
        slot += counts
        let ticks = low &- slotStart &+ 1
        let hasEnough = slot.candidate >= Self.requestsMin && slot.stable >= Self.requestsMin
        if ticks >= Self.slotTicks, hasEnough {
            close()
            slot = Counts()
            slotStart = Self.none
        } else if ticks >= Self.slotTicksMax {
            interrupt()
        }
    }

    private mutating func close() {
        let isGross =
            2 * Int(slot.candidateSlow) > Int(slot.candidate) && 4 * Int(slot.stableSlow) < Int(slot.stable)
        switch (phase, isGross) {
        case (.waiting, false): return
        case (.waiting, true):
            runs += 1
            let m = Double(runs)
            if runs > 1 { staked = Float(logAddExp(Double(staked), -log(m) - log(m + 1))) }
            run = Counts()
            phase = .first
        case (.first, _):
            phase = isGross ? .second : .waiting
        case (.second, _):
            phase = isGross ? .betting : .waiting
        case (.betting, _):
            let (bet, fair) = (Self.chance, Self.fairChance)
            staked += Float(isGross ? log(bet / fair) : log((1 - bet) / (1 - fair)))
            phase = isGross ? .betting : .waiting
            largest = max(largest, Float(logE))
        }
        if isGross { run += slot }
    }
}
