// A posted metric of one model: its attribution windows side by side, and what has been posted so far.
// Invariant: an exchange counts once per metric, in every window that its delay fits into. The longest window
// remembers the exchanges, so a repetition is known for as long as it could count anywhere.

/// All windows of a metric.
struct MetricBook: Sendable {
    /// What was posted since the start, by version, whatever became of it later.
    struct Posted: Sendable, Equatable {
        var count: UInt64 = 0
        var sum = 0.0
    }

    /// By window, ascending; not empty once wanted.
    private(set) var lanes: [FeedbackWindow] = []
    private(set) var posted: [Posted]

    init(versions: Int) { posted = Array(repeating: Posted(), count: versions) }

    /// - Returns: the slot length of that window's grid.
    mutating func want(windowMillis: UInt64) -> UInt64 {
        if let known = lanes.first(where: { $0.windowMillis == windowMillis }) { return known.slotTicks }
        let lane = FeedbackWindow(windowMillis: windowMillis, versions: posted.count)
        lanes.append(lane)
        lanes.sort { $0.windowMillis < $1.windowMillis }
        return lane.slotTicks
    }

    mutating func post(
        _ arrival: Arrival, _ grids: [UInt64: StartGrid], graceTicks: UInt64, now: UInt64
    ) -> ArrivalResult {
        guard let home = lanes.indices.last, let grid = grids[lanes[home].slotTicks],
            lanes[home].isOpen(arrival.start, graceTicks, now),
            arrival.delayMillis <= lanes[home].windowMillis
        else { return .late }
        guard lanes[home].remember(arrival, grid) else { return .duplicate }
        posted[arrival.version].count &+= 1
        posted[arrival.version].sum += ValueCounts.value(of: arrival.code)
        guard arrival.isRandomised else { return .accepted }
        for i in lanes.indices where arrival.delayMillis <= lanes[i].windowMillis {
            guard let grid = grids[lanes[i].slotTicks], lanes[i].isOpen(arrival.start, graceTicks, now)
            else { continue }
            lanes[i].count(arrival, grid)
        }
        return .accepted
    }

    /// An item that would have counted found no room: its slots are dropped, for every version alike.
    mutating func spoil(
        _ arrival: Arrival, _ grids: [UInt64: StartGrid], graceTicks: UInt64, now: UInt64
    ) {
        for i in lanes.indices where arrival.delayMillis <= lanes[i].windowMillis {
            guard let grid = grids[lanes[i].slotTicks], lanes[i].isOpen(arrival.start, graceTicks, now)
            else { continue }
            lanes[i].spoil(arrival, grid)
        }
    }

    mutating func move(_ places: Places) {
        posted = places.moved(posted, missing: Posted())
        for i in lanes.indices { lanes[i].move(places) }
    }

    mutating func advance(
        _ grids: [UInt64: StartGrid], graceTicks: UInt64, keepTicks: UInt64, now: UInt64
    ) {
        for i in lanes.indices {
            guard let grid = grids[lanes[i].slotTicks] else { continue }
            lanes[i].advance(grid, graceTicks: graceTicks, keepTicks: keepTicks, now: now)
        }
    }
}

/// A metric as the status page shows it, over its longest window.
struct FeedbackFigures: Sendable {
    var metric: String
    var windowMillis: UInt64
    /// By version.
    var posted: [MetricBook.Posted]
    var matured: [MaturedMean]
}

extension SignalBook {
    /// What was posted of each metric, by name.
    var figures: [FeedbackFigures] {
        metrics.sorted { $0.key < $1.key }.compactMap { name, book in
            book.lanes.last.map {
                FeedbackFigures(
                    metric: name, windowMillis: $0.windowMillis, posted: book.posted, matured: $0.matured)
            }
        }
    }
}
