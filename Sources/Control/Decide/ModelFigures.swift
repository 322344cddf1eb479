// A model's rolling windows: for the rules that are written over windows, for the latency reference, and for
// the live figures of the status page. Read once a second, because a reading touches every histogram bin.
// Invariant: all windows of all versions are read at the same instants, so that pairs can be compared.

import Metrics
import Rollout

/// Rolling windows per version.
struct ModelFigures {
    /// What "recently" means for the latency reference and for stable's rate before a cut.
    static let recentTicks = 6_000
    /// What "now" means for rates and quantiles shown to people.
    static let liveTicks = 100
    private static let ticksPerReading: UInt64 = 10

    /// A window's length in ticks, and which time its latency is.
    private struct Key: Hashable {
        var ticks: Int
        var time: TimeKind
    }

    /// By version, then by length and time. A window that has been read holds some 100 KB of bins, so those
    /// of a model that rests are let go.
    private var windows: [[Key: Window]]
    private let empty: [[Key: Window]]
    /// The windows that rules are written over.
    private let ruled: Set<Key>
    /// The times that some window needs.
    private let times: Set<TimeKind>
    private let stable: Int
    /// A part of stable with meters of its own.
    private let control: Int?
    private let countsClientErrors: Bool
    private var lastReading: Tick?

    init(
        specs: [GuardrailSpec], versions: Int, stable: Int, control: Int? = nil,
        countsClientErrors: Bool = false
    ) {
        self.control = control
        self.countsClientErrors = countsClientErrors
        var ruled: Set<Key> = []
        for spec in specs {
            for ticks in spec.windowLengths { ruled.insert(Key(ticks: ticks, time: spec.time)) }
        }
        self.ruled = ruled
        let keys = ruled.union([Key(ticks: Self.liveTicks, time: WatchedModel.judged)])
        func windows(_ keys: Set<Key>) -> [Key: Window] {
            var own: [Key: Window] = [:]
            for key in keys {
                let slices = min(60, max(1, key.ticks / Int(Self.ticksPerReading)))
                own[key] = Window(ticks: key.ticks, slices: slices)
            }
            return own
        }
        times = Set(keys.map(\.time))
        var all = Array(repeating: windows(keys), count: versions)
        for arm in [stable, control].compactMap({ $0 }) {
            all[arm] = windows(keys.union([Key(ticks: Self.recentTicks, time: WatchedModel.judged)]))
        }
        empty = all
        self.windows = all
        self.stable = stable
    }

    /// Begins anew with the next reading.
    mutating func forget() {
        guard lastReading != nil else { return }
        windows = empty
        lastReading = nil
    }

    /// Begins the windows of rules anew with the next reading.
    mutating func forgetRules() {
        for version in windows.indices {
            for key in ruled { windows[version][key] = empty[version][key] }
        }
    }

    /// Takes a reading of every version when a second has passed since the last one.
    mutating func observe(_ meters: [[VersionMeter]], at now: Tick) {
        if let last = lastReading, now.number < last.number + Self.ticksPerReading { return }
        lastReading = now
        for version in meters.indices {
            for time in times {
                let reading = reading(meters[version], time)
                for key in windows[version].keys where key.time == time {
                    windows[version][key]?.observe(reading, at: now)
                }
            }
        }
    }

    /// Counts and one histogram, summed over cores.
    private func reading(_ meters: [VersionMeter], _ time: TimeKind) -> WindowReading {
        var counts = VersionCounts()
        var latency = HistogramSnapshot()
        for meter in meters {
            meter.read(into: &counts)
            meter.histogram(time).snapshot(into: &latency)
        }
        return WindowReading(
            started: counts.started, requests: counts.counted,
            failures: counts.failedFirst(countingClientErrors: countsClientErrors),
            cancelled: counts[.clientCancel], latency: latency)
    }

    /// Stable's last ten minutes, less what its control arm served.
    var recent: WindowReading? { window(stable, Self.recentTicks)?.content }

    /// Those of its control arm.
    var recentControl: WindowReading? { control.flatMap { window($0, Self.recentTicks)?.content } }

    /// A version's last ten seconds.
    func liveWindow(_ version: Int) -> Window? { window(version, Self.liveTicks) }

    private func window(_ version: Int, _ ticks: Int, _ time: TimeKind = WatchedModel.judged) -> Window? {
        windows[version][Key(ticks: ticks, time: time)]
    }

    /// Candidate and stable over the same window, for rules over windows.
    func pair(candidate: Int, stable: Int, _ query: WindowQuery) -> WindowPair? {
        guard let a = window(candidate, query.ticks, query.time)?.content,
            let b = window(stable, query.ticks, query.time)?.content
        else { return nil }
        return WindowPair(candidate: WindowArm(a, query.quantile), stable: WindowArm(b, query.quantile))
    }
}

extension WindowArm {
    fileprivate init(_ content: WindowReading, _ quantile: Double?) {
        self.init(
            requests: Int(clamping: content.requests), failures: Int(clamping: content.failures),
            latencyMicros: quantile.flatMap { content.latency.quantile($0) })
    }
}
