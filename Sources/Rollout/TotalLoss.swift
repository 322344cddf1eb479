// A version that answers hardly anybody well although nothing fails: it hangs and its clients leave. The
// outage rule counts the requests that began since the loss was first seen, of cancelled ones those older
// than stable's median: a fleet of clients that is shut down leaves at one moment. It is a loss with at most
// one good answer in twenty (a prober's) for seconds where twenty were usual, with twice the usual amiss.
// Wrong answers alone are none: a scanner that goes on when the users have left gets the same.
// Not covered by alpha.
// Invariant: good answers in a row, or more than one in twenty, to requests that began in it end a loss.

import Metrics
import Statistics

extension TickView {
    /// A tick's users' requests by what they came to.
    struct Loss: Sendable {
        /// A good answer.
        var well = 0
        /// An answer that went on after its first bytes and has not ended: it may be on its way, or stuck.
        var begun = 0
        var failed = 0
        /// Answered with 3xx or 4xx, or with 2xx and no body.
        var wrong = 0
        /// Cancelled after the time in which stable answers half of its requests.
        var lost = 0

        init() {}

        /// - Parameters:
        ///   - slot: of stable's median; nil where it is not counted.
        ///   - isFinal: whether what has not ended by now is good.
        init(_ arm: ArmTick, slot: Int?, isFinal: Bool) {
            let counts = arm.randomised
            failed = counts.failures
            wrong = Int(counts.rejected) + Int(counts.empty)
            well = max(0, counts.answered - Int(counts.failed) - wrong)
            if isFinal { well += Int(counts.begun) } else { begun = Int(counts.begun) }
            if let slot, arm.thresholds[slot] > 0 { lost = Int(counts.late[slot]) }
        }
    }
}

/// How the candidate's requests go usually, and since a loss was first seen.
struct TotalLoss: Sendable, Hashable {
    /// What a good time is like; it outlives a restart, so that a loss which began before one is seen.
    struct Usual: Sendable, Hashable, Codable {
        /// Requests a tick, and the ticks that this is the mean of.
        fileprivate var well: Float = 0
        fileprivate var amiss: Float = 0
        fileprivate var ticks: Float = 0

        fileprivate mutating func learn(well more: Float, amiss bad: Float, ticks count: Float) {
            ticks = min(ticks + count, TotalLoss.memory)
            let weight = min(1, count / ticks)
            well += (more - well) * weight
            amiss += (bad - amiss) * weight
        }
    }

    /// The tick in which the loss was first seen; `never` where there is none.
    private(set) var since = TotalLoss.never
    /// The last tick in which a request began that went amiss.
    private var last: UInt64 = 0
    private(set) var usual: Usual
    /// Requests that began since, by what they came to.
    private(set) var well: UInt32 = 0
    private var begun: UInt32 = 0
    private(set) var failed: UInt32 = 0
    private(set) var wrong: UInt32 = 0
    private(set) var lost: UInt32 = 0
    /// In how many seconds of a loss requests began that went amiss.
    private var seconds: UInt16 = 0
    /// Good answers since the last tick in which half or more went amiss.
    private var row: UInt8 = 0
    /// Whether the last request of all went amiss.
    private var endsAmiss = false
    private static let never = UInt64.max

    /// Ticks that the usual is a mean of: 5 min.
    private static let memory: Float = 3_000
    /// Requests that must have gone amiss, and good ones that would have been usual meanwhile.
    private static let enough: UInt32 = 20
    /// Seconds of a loss: longer than a pause of a replica.
    private static let secondsLost: UInt16 = 7
    /// Seconds after which word of stable is asked for.
    private static let secondsSuspect: UInt16 = 2
    /// Ticks without a request that end a loss.
    private static let gapTicks: UInt64 = 300
    /// Requests that go amiss for each good answer, and for each that is on its way or stuck.
    private static let amissPerWell = 19
    private static let amissPerBegun = 4
    /// Good answers in a row that end a loss.
    private static let rowMax: UInt8 = 3

    /// All that went amiss since the loss was seen.
    var amiss: Int { Int(failed) + Int(wrong) + Int(lost) }

    init(_ usual: Usual = Usual()) { self.usual = usual }

    /// Counts a tick; ticks come in order.
    mutating func take(_ tick: TickView.Loss, at number: UInt64) {
        let bad = tick.wrong + tick.lost
        let isAmiss = bad + tick.failed >= max(1, tick.well)
        if isAmiss { endsAmiss = bad > 0 || endsAmiss } else if tick.well > 0 { endsAmiss = false }
        guard since != TotalLoss.never, number >= since else {
            usual.learn(well: Float(tick.well), amiss: Float(bad), ticks: 1)
            return
        }
        begun = UInt32(clamping: Int(begun) + tick.begun)
        guard bad + tick.failed + tick.well > 0 else { return }
        if number - max(last, since) > TotalLoss.gapTicks {
            end(at: number)
            return
        }
        row = isAmiss ? 0 : UInt8(clamping: Int(row) + tick.well)
        well = UInt32(clamping: Int(well) + tick.well)
        if bad + tick.failed > 0 {
            if last == 0 || number / 10 != last / 10 { seconds = UInt16(clamping: Int(seconds) + 1) }
            failed = UInt32(clamping: Int(failed) + tick.failed)
            wrong = UInt32(clamping: Int(wrong) + tick.wrong)
            lost = UInt32(clamping: Int(lost) + tick.lost)
            last = number
        }
        if row >= TotalLoss.rowMax || Int(well) * TotalLoss.amissPerWell > amiss { end(at: number) }
    }

    /// Begins a loss at tick `now` if that is what `seen`, the look at all ticks so far, shows.
    mutating func begin(_ seen: TotalLoss, at now: UInt64) {
        guard seen.since == TotalLoss.never, seen.endsAmiss else { return }
        end(at: last)
        since = now
    }

    /// It is over: what it was counts as usual from now on.
    private mutating func end(at number: UInt64) {
        if since != TotalLoss.never, number >= since, last > 0 || well > 0 {
            let length = Float(max(last, number) - since + 1)
            usual.learn(well: Float(well) / length, amiss: Float(wrong + lost) / length, ticks: length)
        }
        (since, last, seconds, row) = (TotalLoss.never, 0, 0, 0)
        (well, begun, failed, wrong, lost) = (0, 0, 0, 0, 0)
    }

    /// Whether word of stable is wanted.
    var isSuspected: Bool { holds(seconds: TotalLoss.secondsSuspect) }

    /// Whether the version answers nobody well any more.
    func isTotal(_ spec: GuardrailSpec) -> Bool {
        // The first good answers after it may come before there are enough of them to end it.
        guard amiss >= spec.minEvents, row == 0 else { return false }
        return holds(seconds: TotalLoss.secondsLost + UInt16(clamping: min(spec.toleratedTicks / 10, 10_000)))
    }

    private func holds(seconds least: UInt16) -> Bool {
        // Most of what is wrong alone is no loss, and clients that leave have waited for something.
        guard since != TotalLoss.never, seconds >= least, lost >= wrong,
            wrong + lost >= TotalLoss.enough, amiss >= TotalLoss.amissPerBegun * Int(begun)
        else { return false }
        let length = Float(last - since + 1)
        let missed = usual.well * length
        guard missed >= Float(TotalLoss.enough), usual.well >= usual.amiss,
            Float(wrong + lost) >= 2 * usual.amiss * length
        else { return false }
        // Who is left when the others have gone asks less; clients that wait longer for nothing do as well.
        return 50 * Float(wrong + lost) >= missed
    }

    /// What goes amiss at least of the requests, with 95 % confidence.
    var rateAtLeast: Double {
        guard amiss > 3 else { return 0 }
        let all = Double(amiss) + Double(well)
        let share = Double(amiss) / all
        return max(0, share - 3 / all - 2 * (share * (1 - share) / all).squareRoot())
    }

    /// The requests that decide.
    var counts: EpochCounts {
        EpochCounts(candidateRequests: amiss + Int(well), candidateEvents: amiss)
    }
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
        let isFinal = age >= TickView.deadlineTicks
        let ours = TickView.Loss(pair.candidate, slot: slot, isFinal: isFinal)
        let theirs = TickView.Loss(pair.stable, slot: slot, isFinal: isFinal)
        candidate.bad = ours.failed + ours.wrong + ours.lost
        candidate.good = ours.well
        stable.bad = theirs.failed + theirs.wrong + theirs.lost + pair.unrescued
        stable.bad += age >= lag ? Int(pair.stable.randomised.silent) : 0
        stable.good = theirs.well + pair.rescued
    }
}
