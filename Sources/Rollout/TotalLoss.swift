// A version that answers nobody well any more although nothing fails: it hangs and its clients leave. The
// outage rule counts the requests that began since the loss was first seen, of cancelled ones those older
// than stable's median: a fleet of clients that is shut down leaves at one moment. It is a loss without a
// good answer for seconds where twenty were usual, and with twice the usual amiss. Wrong answers alone
// are none: a scanner that goes on when the users have left looks the same. Not covered by alpha.
// Invariant: a good answer to a request that began after the first sight of the loss ends it.

import Metrics
import Statistics

extension TickView {
    /// A tick's users' requests by what they came to.
    struct Loss: Sendable {
        /// A good answer, or one on its way.
        var well = 0
        var failed = 0
        /// Answered with 3xx or 4xx, or with 2xx and no body.
        var wrong = 0
        /// Cancelled after the time in which stable answers half of its requests.
        var lost = 0

        init() {}

        /// - Parameter slot: of stable's median; nil where it is not counted.
        init(_ arm: ArmTick, slot: Int?) {
            let counts = arm.randomised
            failed = counts.failures
            wrong = Int(counts.rejected) + Int(counts.empty)
            well = max(0, counts.answered - Int(counts.failed) - wrong) + Int(counts.begun)
            if let slot, arm.thresholds[slot] > 0 { lost = Int(counts.late[slot]) }
        }
    }
}

/// How the candidate's requests go usually, and since a loss was first seen.
struct TotalLoss: Sendable, Hashable {
    /// Requests a tick, and the ticks that this is the mean of.
    private var usualWell: Float = 0
    private var usualAmiss: Float = 0
    private var ticks: Float = 0
    /// In how many seconds of a loss requests began that went amiss.
    private var seconds: UInt32 = 0
    /// The tick in which the loss was first seen; `never` where there is none.
    private(set) var since = TotalLoss.never
    /// The last tick in which a request began that went amiss.
    private var last: UInt64 = 0
    /// Requests that began since, by what they came to.
    private(set) var failed: UInt32 = 0
    private(set) var wrong: UInt32 = 0
    private(set) var lost: UInt32 = 0
    /// Whether the last request of all went amiss.
    private var endsAmiss = false
    private static let never = UInt64.max

    /// Ticks that the usual is a mean of: 5 min.
    private static let memory: Float = 3_000
    /// Requests that must have gone amiss, and good ones that would have been usual meanwhile.
    private static let enough: UInt32 = 20
    /// Seconds of a loss: longer than a pause of a replica.
    private static let secondsLost: UInt32 = 7
    /// Seconds after which word of stable is asked for.
    private static let secondsSuspect: UInt32 = 2
    /// Ticks without a request that end a loss.
    private static let gapTicks: UInt64 = 300

    /// All that went amiss since the loss was seen.
    var amiss: Int { Int(failed) + Int(wrong) + Int(lost) }

    /// Counts a tick; ticks come in order.
    mutating func take(_ tick: TickView.Loss, at number: UInt64) {
        let bad = tick.wrong + tick.lost
        if tick.well > 0 { endsAmiss = false } else if bad > 0 { endsAmiss = true }
        guard number >= since, tick.well == 0 else {
            if number >= since { end() }
            learn(well: Float(tick.well), amiss: Float(bad), ticks: 1)
            return
        }
        guard bad + tick.failed > 0 else { return }
        if number - max(last, since) > TotalLoss.gapTicks {
            end()
            return
        }
        if last == 0 || number / 10 != last / 10 { seconds += 1 }
        failed = UInt32(clamping: Int(failed) + tick.failed)
        wrong = UInt32(clamping: Int(wrong) + tick.wrong)
        lost = UInt32(clamping: Int(lost) + tick.lost)
        last = number
    }

    /// Begins a loss at tick `now` if that is what `seen`, the look at all ticks so far, shows.
    mutating func begin(_ seen: TotalLoss, at now: UInt64) {
        guard seen.since == TotalLoss.never, seen.endsAmiss else { return }
        end()
        since = now
    }

    /// It is over: what it was counts as usual from now on.
    private mutating func end() {
        if last > 0, since != TotalLoss.never {
            let length = Float(last - since + 1)
            learn(well: 0, amiss: Float(wrong + lost) / length, ticks: length)
        }
        (since, last, seconds) = (TotalLoss.never, 0, 0)
        (failed, wrong, lost) = (0, 0, 0)
    }

    private mutating func learn(well: Float, amiss: Float, ticks more: Float) {
        ticks = min(ticks + more, TotalLoss.memory)
        let weight = min(1, more / ticks)
        usualWell += (well - usualWell) * weight
        usualAmiss += (amiss - usualAmiss) * weight
    }

    /// Whether word of stable is wanted.
    var isSuspected: Bool { holds(seconds: TotalLoss.secondsSuspect) }

    /// Whether the version answers nobody well any more.
    func isTotal(_ spec: GuardrailSpec) -> Bool {
        guard amiss >= spec.minEvents, lost >= wrong else { return false }
        return holds(seconds: TotalLoss.secondsLost + UInt32(clamping: spec.toleratedTicks / 10))
    }

    private func holds(seconds least: UInt32) -> Bool {
        guard since != TotalLoss.never, seconds >= least, wrong + lost >= TotalLoss.enough else {
            return false
        }
        let length = Float(last - since + 1)
        let missed = usualWell * length
        guard missed >= Float(TotalLoss.enough), usualWell >= usualAmiss,
            Float(wrong + lost) >= 2 * usualAmiss * length
        else { return false }
        // Who is left when the others have gone asks less; clients that wait longer for nothing do as well.
        return lost >= wrong ? 50 * Float(wrong + lost) >= missed : 2 * Float(wrong) >= missed
    }

    /// What goes amiss at least of the requests, with 95 % confidence.
    var rateAtLeast: Double { amiss > 3 ? 1 - 3 / Double(amiss) : 0 }

    /// The requests that decide.
    var counts: EpochCounts { EpochCounts(candidateRequests: amiss, candidateEvents: amiss) }
}

extension GuardrailSpec {
    /// Whether the rule is about outages, and so about a version that answers nobody well.
    var watchesLoss: Bool {
        guard case .sequentialAbove(let limit) = rule, measure == .errorRate else { return false }
        return limit >= RecentFailures.outageLimit && vetoWhenStableToo
    }
}

extension CommonCause.Moment {
    /// What is known of a tick where a loss is suspected: all that goes amiss counts, at both.
    init(lossOf pair: PairTick, age: UInt64, lag: UInt64, slot: Int?) {
        let ours = TickView.Loss(pair.candidate, slot: slot)
        let theirs = TickView.Loss(pair.stable, slot: slot)
        candidate.bad = ours.failed + ours.wrong + ours.lost
        candidate.good = ours.well
        stable.bad = theirs.failed + theirs.wrong + theirs.lost + pair.unrescued
        stable.bad += age >= lag ? Int(pair.stable.randomised.silent) : 0
        stable.good = theirs.well + pair.rescued
    }
}
