// A posted metric of one model: its attribution windows side by side, and what has been posted so far.
// Invariant: an exchange counts once per metric, in every window that its delay fits into. The longest window
// remembers the exchanges, so a repetition is known for as long as it could count anywhere.

/// All windows of a metric.
package struct PostedMetric: Sendable {
    /// What was posted since the start, by version, whatever became of it later.
    package struct Posted: Sendable, Equatable {
        package var count: UInt64 = 0
        package var sum = 0.0
    }

    /// By window, ascending; not empty once wanted.
    private(set) var windows: [FeedbackWindow] = []
    private(set) var posted: [Posted]

    init(versions: Int) { posted = Array(repeating: Posted(), count: versions) }

    /// - Returns: the slot length of that window's grid.
    mutating func want(windowMillis: UInt64) -> UInt64 {
        if let known = windows.first(where: { $0.windowMillis == windowMillis }) { return known.slotTicks }
        let window = FeedbackWindow(windowMillis: windowMillis, versions: posted.count)
        windows.append(window)
        windows.sort { $0.windowMillis < $1.windowMillis }
        return window.slotTicks
    }

    mutating func count(
        _ arrival: Arrival, _ grids: [UInt64: StartGrid], graceTicks: UInt64, now: UInt64
    ) -> ArrivalResult {
        guard let home = windows.indices.last, let grid = grids[windows[home].slotTicks],
            windows[home].isOpen(arrival.start, graceTicks, now),
            arrival.delayMillis <= windows[home].windowMillis
        else { return .late }
        guard windows[home].remember(arrival, grid) else { return .duplicate }
        posted[arrival.version].count &+= 1
        posted[arrival.version].sum += ValueCounts.value(of: arrival.code)
        guard arrival.isRandomised else { return .accepted }
        for i in windows.indices where arrival.delayMillis <= windows[i].windowMillis {
            guard let grid = grids[windows[i].slotTicks], windows[i].isOpen(arrival.start, graceTicks, now)
            else { continue }
            windows[i].count(arrival, grid)
        }
        return .accepted
    }

    /// An item that would have counted found no room: its slots are dropped, for every version alike.
    mutating func spoil(
        _ arrival: Arrival, _ grids: [UInt64: StartGrid], graceTicks: UInt64, now: UInt64
    ) {
        for i in windows.indices where arrival.delayMillis <= windows[i].windowMillis {
            guard let grid = grids[windows[i].slotTicks], windows[i].isOpen(arrival.start, graceTicks, now)
            else { continue }
            windows[i].spoil(arrival, grid)
        }
    }

    mutating func move(_ places: Places) {
        posted = places.moved(posted, missing: Posted())
        for i in windows.indices { windows[i].move(places) }
    }

    mutating func advance(
        _ grids: [UInt64: StartGrid], graceTicks: UInt64, keepTicks: UInt64, now: UInt64
    ) {
        for i in windows.indices {
            guard let grid = grids[windows[i].slotTicks] else { continue }
            windows[i].advance(grid, graceTicks: graceTicks, keepTicks: keepTicks, now: now)
        }
    }
}

/// A metric as the status page shows it, over its longest window.
package struct FeedbackFigures: Sendable {
    package var metric: String
    package var windowMillis: UInt64
    /// By version.
    package var posted: [PostedMetric.Posted]
    package var matured: [MaturedMean]
}

extension ValueRegistry {
    /// What was posted of each metric, by name.
    var figures: [FeedbackFigures] {
        metrics.sorted { $0.key < $1.key }.compactMap { name, metric in
            metric.windows.last.map {
                FeedbackFigures(
                    metric: name, windowMillis: $0.windowMillis, posted: metric.posted, matured: $0.matured)
            }
        }
    }
}
