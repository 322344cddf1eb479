// One posted metric of a model: its attribution windows, what was posted in each, and which ids had theirs.
// A request's feedback counts in its slot when it happened within the window, and the slot is handed out when
// all its requests are older than window and grace, so early clickers and fast versions look no better.
//
// Invariants: the longest window remembers the ids; a slot's memory goes when the slot is done; ids without
// feedback cost nothing. Source: guardrails/statistics.md, section 3.4.

import Rollout

/// An item of feedback as the registry counts it.
struct Arrival: Sendable, Equatable {
    var version: Int
    /// The tick in which the exchange started.
    var start: UInt64
    /// From the exchange's start to what happened.
    var delayMillis: UInt64
    /// Whether a random or hashed choice assigned the version; others count in totals only.
    var isRandomised: Bool
    var weightPPM: UInt32
    /// `ValueCounts.code(of:)`.
    var code: UInt16
    /// Names the exchange.
    var hash: UInt64
}

/// What became of an item of feedback.
enum ArrivalResult: Sendable, Equatable {
    case accepted
    /// The exchange already had feedback of this metric; the first one counts.
    case duplicate
    /// Older than the attribution window and its grace.
    case late
}

/// One attribution window of a metric.
struct FeedbackWindow: Sendable {
    private struct Slot: Sendable {
        /// The first tick of its slot in the grid.
        var first: UInt64
        var values = ValueCounts()
        /// Those of them that came in the last tenth of the window.
        var late = ValueCounts()
        /// An item found no room: the slot says nothing of any version.
        var isSpoiled = false
        var seen = Fingerprints()
    }

    let windowMillis: UInt64
    let windowTicks: UInt64
    let slotTicks: UInt64
    /// Ascending.
    private var slots: [Slot] = []
    /// Slots before this tick stand in `matured`.
    private var maturedUpTo: UInt64 = 0
    private(set) var matured: [MaturedMean]

    init(windowMillis: UInt64, versions: Int) {
        self.windowMillis = windowMillis
        windowTicks = max(1, (windowMillis + 99) / 100)
        slotTicks = StartGrid.slotTicks(windowTicks)
        matured = Array(repeating: MaturedMean(), count: versions)
    }

    /// Ids remembered.
    private(set) var seen = 0

    /// Whether everything that started in a slot ending at `end` has had its time.
    private func isMature(_ end: UInt64, _ graceTicks: UInt64, _ now: UInt64) -> Bool {
        end + windowTicks + graceTicks <= now
    }

    /// Whether feedback on that tick is still accepted.
    func isOpen(_ start: UInt64, _ graceTicks: UInt64, _ now: UInt64) -> Bool {
        !isMature(start / slotTicks * slotTicks + slotTicks, graceTicks, now)
    }

    /// Remembers the exchange; false when it was remembered.
    mutating func remember(_ arrival: Arrival, _ grid: StartGrid) -> Bool {
        let isNew = slots[index(grid.key(of: arrival.start))].seen.insert(arrival.hash)
        if isNew { seen += 1 }
        return isNew
    }

    mutating func count(_ arrival: Arrival, _ grid: StartGrid) {
        let first = grid.key(of: arrival.start)
        // An id that was made under other weights than its slot belongs to another slot: a clock jumped.
        if let weights = grid.slot(at: first)?.weights, weights[arrival.version] != arrival.weightPPM {
            return
        }
        let at = index(first)
        slots[at].values.add(version: arrival.version, code: arrival.code)
        if arrival.delayMillis > windowMillis - windowMillis / 10 {
            slots[at].late.add(version: arrival.version, code: arrival.code)
        }
    }

    mutating func spoil(_ arrival: Arrival, _ grid: StartGrid) {
        slots[index(grid.key(of: arrival.start))].isSpoiled = true
    }

    private mutating func index(_ first: UInt64) -> Int {
        let at = slots.partitionPoint(after: { $0.first < first })
        if at == slots.count || slots[at].first != first { slots.insert(Slot(first: first), at: at) }
        return at
    }

    /// nil: spoiled.
    private func values(_ first: UInt64) -> (all: ValueCounts, late: ValueCounts)? {
        let at = slots.partitionPoint(after: { $0.first < first })
        guard at < slots.count, slots[at].first == first else {
            return (all: ValueCounts(), late: ValueCounts())
        }
        if slots[at].isSpoiled { return nil }
        return (all: slots[at].values, late: slots[at].late)
    }

    /// Mature slots that begin at `from` or later, oldest first, while they hold fewer than `requestsMax`
    /// requests; the rest comes with the next call.
    func ticks(
        _ grid: StartGrid, candidate: Int, stable: Int, from: UInt64, graceTicks: UInt64, now: UInt64,
        requestsMax: Int = 200_000
    ) -> [ValueTick] {
        var ticks: [ValueTick] = []
        var requests = 0
        for slot in grid.slots(from: from) {
            guard isMature(slot.end, graceTicks, now), requests < requestsMax else { break }
            let (ours, theirs) = (Int(slot.started[candidate]), Int(slot.started[stable]))
            guard ours + theirs > 0 else { continue }
            var tick = ValueTick(tick: .init(number: slot.first), split: nil)
            if let weights = slot.weights, let counts = values(slot.first) {
                tick.split = PairSplit(candidatePPM: weights[candidate], stablePPM: weights[stable])
                func arm(_ version: Int, _ requests: Int) -> ValueArm {
                    var arm = ValueArm(values: counts.all.values(version: version, requests: requests))
                    arm.posted = counts.all.count(version: version)
                    arm.late = counts.late.count(version: version)
                    return arm
                }
                tick.candidate = arm(candidate, ours)
                tick.stable = arm(stable, theirs)
                requests += ours + theirs
            }
            ticks.append(tick)
        }
        return ticks
    }

    mutating func move(_ places: Places) {
        matured = places.moved(matured, missing: MaturedMean())
        for i in slots.indices {
            slots[i].values = slots[i].values.mapped { places.new[$0] }
            slots[i].late = slots[i].late.mapped { places.new[$0] }
        }
    }

    /// Adds what has become mature to the means, and forgets what was mature `keepTicks` ago.
    mutating func advance(_ grid: StartGrid, graceTicks: UInt64, keepTicks: UInt64, now: UInt64) {
        for slot in grid.slots(from: maturedUpTo) {
            guard isMature(slot.end, graceTicks, now) else { break }
            maturedUpTo = slot.end
            guard slot.weights != nil, let counts = values(slot.first) else { continue }
            for version in matured.indices {
                matured[version].requests &+= UInt64(slot.started[version])
                matured[version].sum += counts.all.sum(version: version)
            }
        }
        for i in slots.indices {
            guard isMature(slots[i].first + slotTicks, graceTicks, now) else { break }
            // What is late is refused without looking.
            seen -= slots[i].seen.count
            slots[i].seen = Fingerprints()
        }
        let done = slots.partitionPoint(after: {
            isMature($0.first + slotTicks, graceTicks + keepTicks, now)
        })
        slots.removeFirst(done)
    }
}

/// A metric's mean per request, over requests that have had their time.
package struct MaturedMean: Sendable, Equatable {
    package var requests: UInt64 = 0
    package var sum = 0.0

    package var mean: Double? { requests > 0 ? sum / Double(requests) : nil }
}
