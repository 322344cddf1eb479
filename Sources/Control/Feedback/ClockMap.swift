// From the wall clock, in which an exchange id names its start, to the monotonic ticks that evidence is kept
// in. The difference of the two clocks is noted whenever it has moved by more than a few milliseconds, so an
// id from before a clock was set still finds its tick.
// Invariant: entries ascend by the tick from which they hold; bounded, the oldest go first.

import Metrics

/// How the wall clock and the ticks have run beside each other.
struct ClockMap: Sendable {
    private struct Entry: Sendable {
        /// Holds from this monotonic millisecond on.
        var from: Int64
        /// Wall clock less monotonic clock, in milliseconds.
        var offset: Int64
    }

    static let entriesMax = 256
    /// Smaller movements are noise of reading two clocks one after the other.
    private static let toleranceMillis: Int64 = 3

    private var entries: [Entry] = []

    /// Records the clocks of one moment.
    mutating func record(monotonicNanos: UInt64, wallMicros: UInt64) {
        let monotonic = Int64(monotonicNanos / 1_000_000)
        let offset = Int64(wallMicros / 1_000) - monotonic
        if let last = entries.last, abs(last.offset - offset) <= Self.toleranceMillis { return }
        entries.append(Entry(from: entries.isEmpty ? .min : monotonic, offset: offset))
        if entries.count > Self.entriesMax { entries.removeFirst() }
    }

    /// The tick of a wall-clock time; the latest one where the clock was set back and passed it twice. A
    /// time that the clock jumped over belongs to the moment of the jump. Negative: before the machine ran.
    func tick(wallMillis: UInt64) -> Int64? {
        let wall = Int64(clamping: wallMillis)
        for i in entries.indices.reversed() {
            let monotonic = wall - entries[i].offset
            guard monotonic >= entries[i].from else { continue }
            let until = i + 1 < entries.count ? entries[i + 1].from : .max
            return Self.tick(min(monotonic, until))
        }
        return nil
    }

    private static func tick(_ millis: Int64) -> Int64 { millis >= 0 ? millis / 100 : (millis - 99) / 100 }
}

/// The clocks at one moment, kept with evidence and with durations under way, so that a later process with
/// another monotonic clock knows its ticks and how much of a duration is left.
package struct ClockAnchor: Sendable, Equatable, Codable {
    var tick: UInt64
    package var wallMicros: UInt64
    /// The clock of durations (`ControlLoop.steadyMicros`); nil: it was the wall clock, in earlier releases.
    package var steadyMicros: UInt64?
    /// The boot of the machine that the ticks are of; nil where it is not known.
    var boot: String?

    package init(tick: UInt64, wallMicros: UInt64, steadyMicros: UInt64? = nil, boot: String? = nil) {
        self.tick = tick
        self.wallMicros = wallMicros
        self.steadyMicros = steadyMicros
        self.boot = boot
    }

    /// What to add to a tick of this anchor's clock to get one of `now`'s: 0 within the same boot, however
    /// the wall clock was set meanwhile.
    func shift(to now: ClockAnchor) -> Int64 {
        if let boot, boot == now.boot { return 0 }
        let elapsed = (Int64(clamping: now.wallMicros) - Int64(clamping: wallMicros)) / Int64(Tick.micros)
        let shift = Int64(clamping: now.tick) - Int64(clamping: tick) - elapsed
        let isKnown = boot != nil && now.boot != nil
        return !isKnown && abs(shift) <= Self.sameBootTicks ? 0 : shift
    }

    /// What this anchor's clock of durations shows at `now`. Within the same boot it has gone on beside the
    /// monotonic clock. Over another boot only the wall clock could say how long the machine was off, and who
    /// sets that could end what is under way, so that time is not counted.
    func steadyMicros(at now: ClockAnchor) -> UInt64 {
        let then = steadyMicros ?? wallMicros
        guard let boot, boot == now.boot, now.tick > tick else { return then }
        let (elapsed, overflow) = (now.tick - tick).multipliedReportingOverflow(by: Tick.micros)
        return overflow ? then : then &+ elapsed
    }

    /// A tick of this anchor's clock by `now`'s; nil: before that machine ran.
    func tick(_ tick: Tick, at now: ClockAnchor) -> Tick? {
        UInt64(exactly: Int64(clamping: tick.number) &+ shift(to: now)).map {
            Tick(number: min($0, now.tick + 1))
        }
    }

    /// A clock that was set by more than this between two processes looks like another boot, where that is
    /// not known.
    private static let sameBootTicks: Int64 = 50
}
