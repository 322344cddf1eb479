// The durable side of every decision: journal lines first, then the state file, then the report "done".
//
// Theory: entries are written in the order in which they were posted; those that wait together share one
// fsync. A step is durable with its lines, which carry what they changed (`StateChange`); the state file is a
// copy that names the last line it includes. Three things can be wrong, alone or together:
//   the disk is full    the reserve is in use: decisions are written into it, notes and evidence are kept,
//                       what raises exposure is refused
//   no journal          an entry is reported as failed at once and kept
//   no state file       the newest state is owed
// Each is retried every second; then what was kept is written after a line that says for how long it waited.
// What is kept is bounded: beyond `keptEventsMax` the oldest are dropped and counted in that line. The newest
// state always wins.

import Payload
import Platform
import Rollout

/// The order, retries and bounds of durable writing, without a thread.
package struct LedgerWriter {
    static let keptEventsMax = 4_096
    static let retryEvery = Interval.seconds(1)

    private var journal: Journal
    private let saveState: (SavedState) throws(SystemFailure) -> Void
    /// What is wrong with the space for the next state; nil: nothing.
    private let spareTrouble: () -> SystemFailure?
    /// The newest state that the lines written say.
    private var state: SavedState
    private var keptEvents: [JournalEvent] = []
    private var droppedEvents = 0
    /// The newest state that is not in the file.
    private var owedState: SavedState?
    private var isOwedTold = false
    private var blindSince: UInt64?
    private var fullSince: UInt64?
    private var reserve = JournalReserve.filled
    package private(set) var retryAt = Instant.never
    /// What has been said of rotation.
    private var rotationsTold: UInt64 = 0
    private var rotationTroubleTold: String?

    /// - Parameters:
    ///   - state: as the start found it.
    ///   - saveState: replaces the state file durably.
    ///   - spareTrouble: why a full disk could not take the next state; asked after it was saved.
    package init(
        journal: Journal, state: SavedState = SavedState(),
        spareTrouble: @escaping () -> SystemFailure? = { nil },
        saveState: @escaping (SavedState) throws(SystemFailure) -> Void
    ) {
        self.journal = journal
        self.state = state
        self.saveState = saveState
        self.spareTrouble = spareTrouble
    }

    var lines: UInt64 { journal.lines }
    var hash: String { journal.hash.hex }

    /// Sets the reserve aside, before anything is written.
    package mutating func prepare(now: Instant, wallMicros: UInt64) -> [LedgerReport] {
        fill(now: now, wallMicros: wallMicros)
    }

    /// Writes steps that came together as one: one fsync for all lines, one state file, the last. Says what
    /// became of each.
    package mutating func write(_ entries: [LedgerEntry], now: Instant, wallMicros: UInt64) -> [LedgerReport]
    {
        var reports: [LedgerReport] = []
        if isTroubled { reports += retry(now: now, wallMicros: wallMicros) }
        if blindSince != nil {
            for entry in entries { keep(entry) }
            let reason = "the state directory cannot be written"
            return reports + entries.map { .failed(id: $0.id, reason: reason) }
        }
        let written = fullSince == nil ? entries : entries.filter(\.isDecision)
        if let failure = append(written.flatMap(\.events), now: now, wallMicros: wallMicros) {
            for entry in entries { keep(entry) }
            return reports + entries.map { .failed(id: $0.id, reason: "\(failure)") }
                + [.degraded(reason: "\(failure)")]
        }
        reports += tellRotation() + fill(now: now, wallMicros: wallMicros)
        if let newest = written.last(where: { $0.state != nil })?.state {
            if written.count < entries.count, entries.contains(where: { !$0.isKeptOnFailure }) {
                // It has what is refused here in it; the one in which that is taken back follows.
                owedState = newest
            } else {
                reports += save(newest, now: now, wallMicros: wallMicros)
            }
        }
        for entry in entries {
            if fullSince != nil, !written.contains(where: { $0.id == entry.id }) {
                keep(entry)
                reports.append(
                    .failed(id: entry.id, reason: "the disk is full, and what is left is for cuts"))
            } else if owedState != nil, entry.events.isEmpty, entry.state != nil {
                reports.append(.failed(id: entry.id, reason: "the state file cannot be written"))
            } else {
                reports.append(.durable(id: entry.id))
            }
        }
        return reports
    }

    /// Tries to write what is kept; to be called at `retryAt`.
    package mutating func retry(now: Instant, wallMicros: UInt64) -> [LedgerReport] {
        guard isTroubled else { return [] }
        retryAt = now + Self.retryEvery
        var reports: [LedgerReport] = []
        if let since = blindSince {
            guard append([restored(since, wallMicros)] + keptEvents, now: now, wallMicros: wallMicros) == nil
            else { return [] }
            (keptEvents, droppedEvents, blindSince) = ([], 0, nil)
            reports += [.restored] + tellRotation()
        }
        if blindSince == nil, fullSince != nil { reports += fill(now: now, wallMicros: wallMicros) }
        if let owed = owedState, fullSince == nil || isOwedTold {
            reports += save(owed, now: now, wallMicros: wallMicros)
        }
        if !isTroubled { retryAt = .never }
        return reports
    }

    private var isTroubled: Bool { blindSince != nil || fullSince != nil || owedState != nil }

    // MARK: Journal

    /// - Returns: why nothing was written; the journal is blind then.
    private mutating func append(
        _ events: [JournalEvent], now: Instant, wallMicros: UInt64
    ) -> SystemFailure? {
        // Another file needs blocks of its own.
        if fullSince != nil { journal.rotation.putOff(until: wallMicros + 1) }
        do throws(SystemFailure) {
            try journal.appendNoting(events, at: wallMicros, checkpoint: { state.checkpoint(at: wallMicros) })
            return nil
        } catch {
            if blindSince == nil { blindSince = wallMicros }
            retryAt = now + Self.retryEvery
            return error
        }
    }

    private func restored(_ since: UInt64, _ wallMicros: UInt64) -> JournalEvent {
        waited(since, wallMicros, .journalRestored, "the journal could not be written")
    }

    private func waited(
        _ since: UInt64, _ wallMicros: UInt64, _ kind: JournalEvent.Kind, _ what: String
    ) -> JournalEvent {
        let seconds = Int64(wallMicros > since ? (wallMicros - since) / 1_000_000 : 0)
        return JournalEvent(
            at: wallMicros, kind,
            reason: "\(what) for \(seconds) s; \(keptEvents.count) events follow late"
                + (droppedEvents == 0 ? "" : ", \(droppedEvents) older ones are lost"),
            details: [
                .init("blind_since", .string(Timestamp.text(wallMicros: since))),
                .init("events_late", .integer(Int64(keptEvents.count))),
                .init("events_lost", .integer(Int64(droppedEvents))),
            ])
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

    // MARK: Reserve

    /// Moves the reserve on, and writes what was kept when it is whole again.
    private mutating func fill(now: Instant, wallMicros: UInt64) -> [LedgerReport] {
        var found = journal.fillReserve()
        if case .filled = found, let trouble = spareTrouble() {
            found = .inUse(bytes: JournalReserve.bytes, reason: "\(trouble)")
        }
        if found.isInUse {
            if fullSince == nil { fullSince = wallMicros }
            retryAt = now + Self.retryEvery
        } else if let since = fullSince {
            fullSince = nil
            let line = waited(since, wallMicros, .journalReserve, "the disk was full")
            if let failure = append([line] + keptEvents, now: now, wallMicros: wallMicros) {
                return [.degraded(reason: "\(failure)")]
            }
            (keptEvents, droppedEvents) = ([], 0)
            found = journal.fillReserve()
        }
        defer { reserve = found }
        return found == reserve ? [] : [.reserve(found)]
    }

    // MARK: State

    /// Replaces the state file; a failure leaves the state owed.
    private mutating func save(_ newest: SavedState, now: Instant, wallMicros: UInt64) -> [LedgerReport] {
        state = newest
        state.journal = JournalMark(line: journal.lines, hash: journal.hash.hex)
        do throws(SystemFailure) {
            try saveState(state)
        } catch {
            owedState = newest
            retryAt = now + Self.retryEvery
            defer { isOwedTold = true }
            return isOwedTold ? [] : [.stateOwed(reason: "\(error)")]
        }
        owedState = nil
        defer { isOwedTold = false }
        var reports: [LedgerReport] = isOwedTold ? [.stateSaved] : []
        if fullSince == nil, spareTrouble() != nil { reports += fill(now: now, wallMicros: wallMicros) }
        return reports
    }

    private mutating func keep(_ entry: LedgerEntry) {
        guard entry.isKeptOnFailure else { return }
        keptEvents += entry.events
        if keptEvents.count > Self.keptEventsMax {
            droppedEvents += keptEvents.count - Self.keptEventsMax
            keptEvents.removeFirst(keptEvents.count - Self.keptEventsMax)
        }
        if let state = entry.state { owedState = state }
    }
}
