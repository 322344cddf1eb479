// What the controller asks of the ledger, a step with its journal lines and the state after it, and what the
// ledger says: whether it is durable.
// Place: between `ControlLoop` and `LedgerWriter`, by mailbox (`LedgerThread`).
// Invariant: a step whose lines are in the journal is durable, whatever becomes of the state file: the next
// start applies them.

import Platform

/// What the controller needs of the ledger.
package protocol Ledger: Sendable {
    /// Hands a step over; false when too many wait, which counts as a refused disk.
    func post(_ entry: LedgerEntry) -> Bool
    /// The next report, in order.
    func take() -> LedgerReport?
}

/// One durable step.
package struct LedgerEntry: Sendable {
    /// Steps that may wait for a slow disk: one for each model that a config can have, and as many again.
    package static let waitingMax = 4_096

    /// Given by the poster; comes back in the report.
    var id: UInt64
    var events: [JournalEvent]
    /// nil: the state file stays as it is.
    var state: SavedState?
    /// Whether a step that fails is kept and retried. A verb that is refused when it cannot be made durable
    /// must not appear later.
    var isKeptOnFailure: Bool

    /// A decision that a full disk must not lose, as opposed to notes, evidence, and what raises exposure.
    var isDecision: Bool { isKeptOnFailure && state != nil && !events.isEmpty }
}

/// What became of a step, or of the disk.
package enum LedgerReport: Sendable, Equatable {
    case durable(id: UInt64)
    case failed(id: UInt64, reason: String)
    /// The journal cannot be written; said once.
    case degraded(reason: String)
    /// It works again and everything kept is written.
    case restored
    /// The reserve for decisions is another than it was.
    case reserve(JournalReserve)
    /// The state file cannot be replaced, and the journal alone has what was decided since; said once.
    case stateOwed(reason: String)
    /// It is up to date again.
    case stateSaved
    /// The journal file was closed and another begun.
    case rotated
    /// It could not be, or old files could not be removed; lines go on into the file there is. Said once.
    case rotationFailed(reason: String)
}
