// How many randomised requests of each version started in which slot of time, and by which weights: what the
// mean of feedback is taken over, because a request of which nothing is posted counts as 0. Counts only, no
// ids. A slot is a run of ticks, long for long attribution windows, so that a grid has `slotsMax` slots
// whatever its window.
//
// Invariant: slots ascend and do not overlap; a slot whose weights changed, or of which the rings forgot a
// tick, is spoiled and says nothing of any version. Source: guardrails/statistics.md, sections 2 and 3.4.

import Metrics

/// One run of ticks.
struct StartSlot: Sendable, Equatable {
    /// Its ticks: `first..<end`.
    var first: UInt64
    var end: UInt64
    /// Randomised requests by version.
    var started: [UInt32]
    /// Parts per million by version, in force in all its ticks; nil: spoiled.
    var weights: [UInt32]?

    func contains(_ tick: UInt64) -> Bool { first <= tick && tick < end }
    mutating func move(_ places: Places) {
        started = places.moved(started, missing: 0)
        weights = weights.map { places.moved($0, missing: 0) }
    }

    var isEmpty: Bool { started.allSatisfy { $0 == 0 } }
}

/// What one tick adds.
struct StartedTick: Sendable, Equatable {
    var tick: UInt64
    var started: [UInt32]
    /// nil: weights changed or differed between cores.
    var weights: [UInt32]?
}

/// The slots of the attribution windows that share a slot length.
struct StartGrid: Sendable {
    /// A window is cut into about this many slots; a longer one waits 0.05 % longer for its verdict.
    static let slotsPerWindow: UInt64 = 2_000
    /// Slots kept: those of the window, its grace and a minute in which they are taken.
    static let slotsMax = 8_192

    let slotTicks: UInt64
    /// Slots that are over; ascending.
    private(set) var closed: [StartSlot] = []
    /// The slot under way; nil before the first tick.
    private var open: StartSlot?
    private var versions: Int
    /// Nothing was counted before this tick, but for what is restored.
    private var begin: UInt64

    init(slotTicks: UInt64, versions: Int, begin: UInt64) {
        self.slotTicks = slotTicks
        self.versions = versions
        self.begin = begin
    }

    /// At least a second: an id's time is exact to a millisecond, and one in a thousand that falls into the
    /// neighbouring slot is harmless where slots of ten ticks hold both versions.
    static func slotTicks(_ windowTicks: UInt64) -> UInt64 { max(10, windowTicks / slotsPerWindow) }

    /// Takes in the next tick; ticks ascend. Those in between had no requests.
    /// - Returns: the slot that this tick has ended, when anything started in it.
    mutating func add(_ tick: StartedTick) -> StartSlot? {
        let ended = close(before: tick.tick)
        if open == nil { open = slot(of: tick.tick, weights: tick.weights) }
        guard var current = open else { return ended }
        for version in current.started.indices { current.started[version] &+= tick.started[version] }
        if current.weights != tick.weights { current.weights = nil }
        open = current
        return ended
    }

    /// Says that nothing more starts before `tick`.
    /// - Returns: the slot that is over, when anything started in it.
    mutating func close(before tick: UInt64) -> StartSlot? {
        guard let current = open, current.end <= tick else { return nil }
        open = nil
        guard !current.isEmpty else { return nil }
        append(current)
        return current
    }

    /// Spoils the slot under way: counts before `tick` are lost.
    mutating func lose(before tick: UInt64) {
        open?.weights = nil
        begin = max(begin, tick)
    }

    /// A slot that an earlier process has counted; older than all that follow.
    mutating func restore(_ slot: StartSlot) {
        guard slot.started.count == versions, closed.last.map({ $0.end <= slot.first }) ?? true else {
            return
        }
        append(slot)
    }

    private mutating func append(_ slot: StartSlot) {
        closed.append(slot)
        if closed.count > Self.slotsMax { closed.removeFirst(closed.count - Self.slotsMax) }
    }

    private func slot(of tick: UInt64, weights: [UInt32]?) -> StartSlot {
        StartSlot(
            first: key(of: tick), end: tick / slotTicks * slotTicks + slotTicks,
            started: Array(repeating: 0, count: versions), weights: weights)
    }

    /// The first tick of the slot that has, or will have, that tick.
    func key(of tick: UInt64) -> UInt64 {
        let at = closed.partitionPoint(after: { $0.end <= tick })
        if at < closed.count, closed[at].contains(tick) { return closed[at].first }
        if let open, open.contains(tick) { return open.first }
        let aligned = max(tick / slotTicks * slotTicks, at > 0 ? closed[at - 1].end : 0)
        return tick < begin ? aligned : max(aligned, begin)
    }

    /// Closed slots that begin at `tick` or later.
    func slots(from tick: UInt64) -> ArraySlice<StartSlot> {
        closed[closed.partitionPoint(after: { $0.first < tick })...]
    }

    /// The slot, closed or under way, that begins at that tick.
    func slot(at first: UInt64) -> StartSlot? {
        if let open, open.first == first { return open }
        let at = closed.partitionPoint(after: { $0.first < first })
        return at < closed.count && closed[at].first == first ? closed[at] : nil
    }

    mutating func move(_ places: Places) {
        versions = places.count
        for i in closed.indices { closed[i].move(places) }
        open?.move(places)
    }

    /// Forgets slots that ended before `tick`.
    mutating func forget(before tick: UInt64) {
        let count = closed.partitionPoint(after: { $0.end < tick })
        if count > 0 { closed.removeFirst(count) }
    }
}
