// The durable side of every decision: journal lines first, then the state file, then the report "done". It
// has a thread of its own, so that a disk that hangs for seconds delays reports and never a cut.
//
// Theory: entries are written in the order in which they were posted; those that wait together share one
// fsync. When the disk refuses, an entry is reported as failed at once and kept; the ledger retries every
// second and, when it succeeds, writes what was kept and a line that says for how long the journal had been
// blind. What is kept is bounded: beyond `keptEventsMax` the oldest are dropped and counted in that line. The
// newest state always wins.

import Platform

/// One durable step.
struct LedgerEntry: Sendable {
    /// Given by the poster; comes back in the report.
    var id: UInt64
    var events: [JournalEvent]
    /// nil: the state file stays as it is.
    var state: SavedState?
    /// Whether a step that fails is kept and retried. A verb that is refused when it cannot be made durable
    /// must not appear later.
    var isKeptOnFailure: Bool
}

/// What became of a step, or of the disk.
enum LedgerReport: Sendable, Equatable {
    case durable(id: UInt64)
    case failed(id: UInt64, reason: String)
    /// The disk refuses; said once.
    case degraded(reason: String)
    /// The disk works again and everything kept is written.
    case restored
    /// The journal file was closed and another begun.
    case rotated
    /// It could not be, or old files could not be removed; lines go on into the file there is. Said once.
    case rotationFailed(reason: String)
}

/// The order, retries and bounds of durable writing, without a thread.
struct LedgerWriter {
    static let keptEventsMax = 4_096
    static let retryEvery = Interval.seconds(1)

    private var journal: Journal
    private let saveState: (SavedState) throws(SystemFailure) -> Void
    private var keptEvents: [JournalEvent] = []
    private var droppedEvents = 0
    private var keptState: SavedState?
    private var blindSince: UInt64?
    private(set) var retryAt = Instant.never
    /// What has been said of rotation.
    private var rotationsTold: UInt64 = 0
    private var rotationTroubleTold: String?

    /// - Parameter saveState: replaces the state file durably.
    init(journal: Journal, saveState: @escaping (SavedState) throws(SystemFailure) -> Void) {
        self.journal = journal
        self.saveState = saveState
    }

    var lines: UInt64 { journal.lines }
    var hash: String { journal.hash.hex }

    /// Writes steps that came together as one: one fsync for all lines, one state file, the last. Says what
    /// became of each.
    mutating func write(_ entries: [LedgerEntry], now: Instant, wallMicros: UInt64) -> [LedgerReport] {
        var reports: [LedgerReport] = []
        if blindSince != nil { reports += retry(now: now, wallMicros: wallMicros) }
        if blindSince != nil {
            for entry in entries { keep(entry) }
            let reason = "the state directory cannot be written"
            return reports + entries.map { .failed(id: $0.id, reason: reason) }
        }
        do throws(SystemFailure) {
            try journal.appendNoting(entries.flatMap(\.events), at: wallMicros)
        } catch {
            return reports + fail(entries, error, now: now, wallMicros: wallMicros)
        }
        reports += tellRotation()
        if let state = entries.last(where: { $0.state != nil })?.state {
            do throws(SystemFailure) {
                try saveState(state)
            } catch {
                // The lines stand; only the state is owed.
                let owed = entries.map { entry in
                    LedgerEntry(
                        id: entry.id, events: [], state: entry.state, isKeptOnFailure: entry.isKeptOnFailure)
                }
                return reports + fail(owed, error, now: now, wallMicros: wallMicros)
            }
        }
        return reports + entries.map { .durable(id: $0.id) }
    }

    /// Tries to write what is kept; to be called at `retryAt`.
    mutating func retry(now: Instant, wallMicros: UInt64) -> [LedgerReport] {
        guard let since = blindSince else { return [] }
        retryAt = now + Self.retryEvery
        let seconds = Int64(wallMicros > since ? (wallMicros - since) / 1_000_000 : 0)
        let restored = JournalEvent(
            at: wallMicros, .journalRestored,
            reason:
                "the journal could not be written for \(seconds) s; \(keptEvents.count) events follow late"
                + (droppedEvents == 0 ? "" : ", \(droppedEvents) older ones are lost"),
            details: [
                .init("blind_since", .string(Timestamp.text(wallMicros: since))),
                .init("events_late", .integer(Int64(keptEvents.count))),
                .init("events_lost", .integer(Int64(droppedEvents))),
            ])
        do throws(SystemFailure) {
            try journal.appendNoting([restored] + keptEvents, at: wallMicros)
            keptEvents = []
            droppedEvents = 0
            if let state = keptState { try saveState(state) }
        } catch {
            return []
        }
        keptState = nil
        blindSince = nil
        retryAt = .never
        return [.restored] + tellRotation()
    }

    /// What rotation came to since it was last said.
    private mutating func tellRotation() -> [LedgerReport] {
        let rotation = journal.rotation
        var reports: [LedgerReport] = []
        if rotation.count != rotationsTold { reports.append(.rotated) }
        if rotation.trouble != rotationTroubleTold, let trouble = rotation.trouble {
            reports.append(.rotationFailed(reason: trouble))
        }
        (rotationsTold, rotationTroubleTold) = (rotation.count, rotation.trouble)
        return reports
    }

    private mutating func keep(_ entry: LedgerEntry) {
        guard entry.isKeptOnFailure else { return }
        keptEvents += entry.events
        if keptEvents.count > Self.keptEventsMax {
            droppedEvents += keptEvents.count - Self.keptEventsMax
            keptEvents.removeFirst(keptEvents.count - Self.keptEventsMax)
        }
        if let state = entry.state { keptState = state }
    }

    private mutating func fail(
        _ entries: [LedgerEntry], _ failure: SystemFailure, now: Instant, wallMicros: UInt64
    ) -> [LedgerReport] {
        for entry in entries { keep(entry) }
        blindSince = wallMicros
        retryAt = now + Self.retryEvery
        return entries.map { .failed(id: $0.id, reason: "\(failure)") } + [.degraded(reason: "\(failure)")]
    }
}
