// What the rules over values of one model are fed with: values sampled from traffic and feedback posted
// later, by the tick in which their request started. Counts and rounded values, never ids; time is told.
// "value:<name>" is complete when its tick is settled and the samples are drained past that moment.
// "feedback:<metric>@<ms>" is complete when its slot is older than window and grace; its values are all
// randomised requests of the slot, 0 where nothing was posted. Source: guardrails/statistics.md, 2 and 3.4.
// Invariants: a value is kept from the first `want` or question on; what was handed out never changes;
// memory is bounded by slots and accepted feedback, see StartGrid and Fingerprints.

import Metrics
import Rollout

/// One model's values by start tick. Owner: the control loop.
struct ValueRegistry: Sendable {
    /// What a tick's evidence rings say, summed over cores.
    struct Reading: Sendable, Equatable {
        /// Randomised requests by version, in the order of the model.
        var started: [UInt32]
        /// In force in the whole tick, on every core; nil: spoiled.
        var weights: [UInt32]?
        /// Whether a randomised request of the tick has not ended.
        var isPending: Bool
    }

    /// Ticks after their end in which a core that was held up may still count a start.
    static let settleTicks: UInt64 = 10
    /// What the rings surely remember.
    static let ringTicks = UInt64(EvidenceRing.buckets) - 32
    /// Mature slots stay for those who are asked late.
    static let keepTicks: UInt64 = 600
    /// Pending requests of this age are waited for no longer: 30 s, and then some for the sampling.
    static let deadlineTicks: UInt64 = 320

    private(set) var versions: Int
    /// After the window, feedback on what happened inside it may still arrive.
    let graceTicks: UInt64
    private var grids: [UInt64: StartGrid] = [:]
    private(set) var metrics: [String: PostedMetric] = [:]
    private var sampledSeries: [String: ValueSeries] = [:]
    private var sampled: [SampledTick] = []
    /// The newest tick in which a finished reading of the sampled traffic began.
    private var drainedAt: UInt64 = 0
    /// Values that came after their tick was handed out.
    private(set) var lostValues: UInt64 = 0
    /// The next tick whose starts are to be counted.
    private var next: UInt64
    /// What is taken back at a start may be long mature: it stays until it can have been asked for.
    private var keepsUntil: UInt64

    init(versions: Int, graceTicks: UInt64, from: Tick) {
        self.versions = versions
        self.graceTicks = graceTicks
        next = from.number
        keepsUntil = from.number + Self.keepTicks
    }

    /// Whether anything is kept, so that the model's ticks have to be observed.
    var isUsed: Bool { !grids.isEmpty || !sampledSeries.isEmpty }

    /// Starts keeping a value; does nothing when it is kept already, or its name is neither of the two kinds.
    mutating func want(_ name: String) {
        switch ValueName(name) {
        case .sampled(let name):
            if sampledSeries[name] == nil { sampledSeries[name] = ValueSeries(versions: versions) }
        case .feedback(let metric, let millis): want(metric, millis)
        case nil: break
        }
    }

    /// The complete ticks of a value that begin at `from` or later, in order of start.
    mutating func ticks(
        _ name: String, candidate: Int, stable: Int, from: Tick, now: Tick
    ) -> [ValueTick] {
        want(name)
        switch ValueName(name) {
        case .sampled(let name):
            guard let series = sampledSeries[name] else { return [] }
            return series.ticks(
                completeTicks, candidate: candidate, stable: stable, from: from.number)
        case .feedback(let metric, let millis):
            guard let window = metrics[metric]?.windows.first(where: { $0.windowMillis == millis }),
                let grid = grids[window.slotTicks]
            else { return [] }
            return window.ticks(
                grid, candidate: candidate, stable: stable, from: from.number, graceTicks: graceTicks,
                now: now.number)
        case nil: return []
        }
    }
}

// MARK: - Other places

extension ValueRegistry {
    func remade(_ places: Places) -> ValueRegistry {
        var registry = self
        registry.versions = places.count
        for length in grids.keys { registry.grids[length]?.move(places) }
        for name in metrics.keys { registry.metrics[name]?.move(places) }
        for name in sampledSeries.keys { registry.sampledSeries[name]?.move(places) }
        for i in sampled.indices {
            registry.sampled[i].weights = sampled[i].weights.map { places.moved($0, missing: 0) }
        }
        return registry
    }
}

// MARK: - Starts

extension ValueRegistry {
    /// Counts the starts of the ticks that are over, and forgets what is done.
    /// - Parameters:
    ///   - wasQuiet: nothing started since the last call, but for what the rings still remember.
    ///   - read: the rings' counts of a tick; nil: nothing started in it.
    /// - Returns: slots that are over, by slot length.
    mutating func observe(
        now: Tick, wasQuiet: Bool, read: (Tick) -> Reading?
    ) -> [(slotTicks: UInt64, slot: StartSlot)] {
        guard isUsed else {
            next = now.number + 1
            return []
        }
        let end = now.number - min(now.number, Self.settleTicks)
        guard end > next else { return [] }
        let oldest = now.number - min(now.number, Self.ringTicks)
        if next < oldest {
            if !wasQuiet { for length in grids.keys { grids[length]?.lose(before: oldest) } }
            next = oldest
        }
        var over: [(slotTicks: UInt64, slot: StartSlot)] = []
        while next < end {
            if let reading = read(Tick(number: next)) { count(reading, next, &over) }
            next += 1
        }
        for length in grids.keys {
            if let slot = grids[length]?.close(before: end) { over.append((length, slot)) }
        }
        settle(now.number, read)
        forget(now.number)
        return over
    }

    private mutating func count(
        _ reading: Reading, _ tick: UInt64, _ over: inout [(slotTicks: UInt64, slot: StartSlot)]
    ) {
        let started = StartedTick(tick: tick, started: reading.started, weights: reading.weights)
        for length in grids.keys {
            if let slot = grids[length]?.add(started) { over.append((length, slot)) }
        }
        // Also where nothing has been sampled yet: the next ticks wait for the samples of this one.
        if !sampledSeries.isEmpty { _ = sampledIndex(tick) }
    }

    /// Takes back what an earlier process had counted.
    mutating func restore(slotTicks: UInt64, _ slot: StartSlot) {
        grids[slotTicks]?.restore(slot)
    }

    private mutating func forget(_ now: UInt64) {
        let isKept = now < keepsUntil
        for name in metrics.keys {
            metrics[name]?.advance(
                grids, graceTicks: graceTicks, keepTicks: isKept ? 1 << 40 : Self.keepTicks, now: now)
        }
        if isKept { return }
        for length in grids.keys {
            let kept = longestWindowTicks(slotTicks: length) + graceTicks + Self.keepTicks
            if now > kept { grids[length]?.forget(before: now - kept) }
        }
        guard now > Self.keepTicks else { return }
        let done = sampled.partitionPoint(after: { $0.tick < now - Self.keepTicks })
        if done > 0 { sampled.removeFirst(done) }
        for name in sampledSeries.keys { sampledSeries[name]?.forget(before: now - Self.keepTicks) }
    }
}

// MARK: - Feedback

extension ValueRegistry {
    private mutating func want(_ metric: String, _ millis: UInt64) {
        var posted = metrics[metric] ?? PostedMetric(versions: versions)
        let length = posted.want(windowMillis: millis)
        if grids[length] == nil {
            grids[length] = StartGrid(slotTicks: length, versions: versions, begin: next)
        }
        metrics[metric] = posted
    }

    /// Counts an item of a metric that is wanted.
    mutating func count(_ metric: String, _ arrival: Arrival, now: Tick) -> ArrivalResult {
        guard var posted = metrics.removeValue(forKey: metric) else { return .late }
        defer { metrics[metric] = posted }
        return posted.count(arrival, grids, graceTicks: graceTicks, now: now.number)
    }

    /// Refuses an item for want of room: what it would have changed is dropped in both arms.
    mutating func spoil(_ metric: String, _ arrival: Arrival, now: Tick) {
        metrics[metric]?.spoil(arrival, grids, graceTicks: graceTicks, now: now.number)
    }

    /// The longest attribution window whose slots have that length.
    func longestWindowTicks(slotTicks: UInt64) -> UInt64 {
        metrics.values.flatMap(\.windows).filter { $0.slotTicks == slotTicks }.map(\.windowTicks).max() ?? 0
    }

    /// Slots of starts that are kept, over all windows.
    var slotsKept: Int { grids.values.reduce(0) { $0 + $1.closed.count } }

    /// Ids that are remembered.
    var remembered: Int { metrics.values.reduce(0) { $0 + $1.windows.reduce(0) { $0 + $1.seen } } }
}

// MARK: - Sampled values

extension ValueRegistry {
    /// Takes a value of a randomised request; nil: it was looked at and has none. Values
    /// that no rule wants, and ticks that have been handed out, are left as they are.
    mutating func add(_ value: Double?, of name: String, version: Int, tick: Tick) {
        guard sampledSeries[name] != nil, version < versions else { return }
        let known = sampled.partitionPoint(after: { $0.tick < tick.number })
        let isKnown = known < sampled.count && sampled[known].tick == tick.number
        if tick.number < next, !isKnown || sampled[known].isComplete(drainedAt) {
            lostValues &+= 1
            return
        }
        _ = sampledIndex(tick.number)
        sampledSeries[name]?.add(value, version: version, tick: tick.number)
    }

    private mutating func sampledIndex(_ tick: UInt64) -> Int {
        let at = sampled.partitionPoint(after: { $0.tick < tick })
        if at == sampled.count || sampled[at].tick != tick { sampled.insert(SampledTick(tick: tick), at: at) }
        return at
    }

    /// Says that all samples that lay in the rings at `tick` have been added.
    mutating func drained(at tick: Tick) { drainedAt = max(drainedAt, tick.number) }

    /// Looks which sampled ticks have nothing pending any more.
    private mutating func settle(_ now: UInt64, _ read: (Tick) -> Reading?) {
        for i in sampled.indices where sampled[i].settledAt == nil && sampled[i].tick < next {
            let tick = sampled[i].tick
            guard now - tick < Self.ringTicks, let reading = read(Tick(number: tick)) else {
                sampled[i].settledAt = now
                sampled[i].weights = nil
                continue
            }
            guard !reading.isPending || now - tick >= Self.deadlineTicks else { continue }
            sampled[i].settledAt = now
            sampled[i].weights = reading.weights
        }
    }

    /// Ticks that are settled and whose samples have come; those before an unsettled one only, so that a
    /// value never goes back.
    private var completeTicks: [SampledTick] {
        Array(sampled.prefix { $0.isComplete(drainedAt) })
    }
}

/// What a value is named after: an entry of `values`, or a metric with its attribution window.
package enum ValueName: Sendable, Hashable {
    case sampled(String)
    case feedback(metric: String, windowMillis: UInt64)

    /// The metric that is posted; nil for a sampled value.
    var metric: String? {
        switch self {
        case .sampled: nil
        case .feedback(let metric, _): metric
        }
    }

    /// Reads "value:score" and "feedback:clicks@1800000".
    package init?(_ name: String) {
        if name.hasPrefix("value:") {
            self = .sampled(String(name.dropFirst("value:".count)))
            return
        }
        guard name.hasPrefix("feedback:"), let at = name.lastIndex(of: "@"),
            let millis = UInt64(name[name.index(after: at)...])
        else { return nil }
        self = .feedback(
            metric: String(name[..<at].dropFirst("feedback:".count)), windowMillis: millis)
    }
}
