// What has been seen of the stage in force: time, requests, keys. Control steps it every tick beside the
// candidate's guardrails; what it says is the machine's `StageReading`.
//
// Time is counted from step to step and not from a start, so a restart, a stopped process or a jump of the
// wall clock adds nothing. Requests count when their tick is settled, in order of start, as in RecoveryWatch.
// Invariant: a new visit starts at zero; what is saved is at most what was seen.

import Metrics

/// The evidence clock of one rollout; one per model with a program.
public struct StageWatch: Sendable {
    /// The longest time between two steps that counts as watched, in ticks: longer than control lets a
    /// resting model wait, and short beside any stage.
    public static let gapTicksMax: UInt64 = 150

    /// The visit that is watched.
    public private(set) var visit: StageVisit
    private var watchedTicks: UInt64 = 0
    private var requests = 0
    /// Keys seen before the last restart: the estimate starts anew with the process.
    private var keysBefore = 0
    private var keys = 0
    /// The first tick that is not settled.
    private var next: UInt64
    private var last: UInt64

    /// Starts watching a visit with the requests of tick `from`.
    public init(_ visit: StageVisit, from: Tick) {
        self.visit = visit
        next = from.number
        last = from.number
    }

    /// Takes over what an earlier process had seen of the same visit; another visit starts anew.
    public init(restoring saved: Saved?, visit: StageVisit, from: Tick) {
        self.init(visit, from: from)
        guard let saved, saved.visit == visit else { return }
        watchedTicks = saved.watchedTicks
        requests = saved.requests
        keysBefore = saved.keys
        keys = saved.keys
    }

    /// Takes in what has happened before tick `now`; control calls it in every tick, also without traffic.
    /// - Parameters:
    ///   - now: the current tick; never falls.
    ///   - visit: of the state's climb. Another one than before starts anew, with the requests of `now`.
    ///   - keys: estimate of the candidate's different keys since this watch has known the visit.
    ///   - gates: where the stage's gates stand.
    ///   - read: the candidate's counts of one tick; nil when they are lost.
    public mutating func step(
        now: Tick, visit: StageVisit, keys: Int, gates: [GateReading], read: (Tick) -> ArmTick?
    ) -> StageReading {
        if visit != self.visit { self = StageWatch(visit, from: now) }
        if now.number > last {
            watchedTicks += min(now.number - last, StageWatch.gapTicksMax)
            last = now.number
        }
        self.keys = max(self.keys, keysBefore, keys)
        settle(now, read)
        return reading(gates)
    }

    /// Where the watch stands, without a step.
    public func reading(_ gates: [GateReading]) -> StageReading {
        StageReading(
            visit: visit, watchedMicros: watchedTicks * Tick.micros, requests: requests, keys: keys,
            gates: gates)
    }

    private mutating func settle(_ now: Tick, _ read: (Tick) -> ArmTick?) {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        next = max(next, min(oldest, now.number))
        while next < now.number {
            let age = now.number - next - 1
            let tick = read(Tick(number: next))
            var counts = tick?.randomised ?? ArmCounts()
            if let copied = tick?.copied { counts += copied }
            let isSettled = age >= TickView.graceTicks && counts.pending == 0
            guard isSettled || age >= TickView.deadlineTicks else { return }
            requests += counts.answered + Int(counts.known) + Int(counts.pending)
            next += 1
        }
    }

    /// What must survive a restart; losing it makes the stage longer.
    public var saved: Saved {
        Saved(visit: visit, watchedTicks: watchedTicks, requests: requests, keys: keys)
    }

    /// What was seen so far.
    public struct Saved: Sendable, Hashable, Codable {
        public var visit: StageVisit
        var watchedTicks: UInt64
        var requests: Int
        var keys: Int
    }
}
