// Space for decisions when the disk is full: behind its last line the journal's file has blocks already
// (fallocate with its size kept), which every append moves on. When they can no longer be had the disk is
// full; then only decisions are written, into what is left, until there is space again (`LedgerWriter`).
// Source: fallocate(2).
// Invariant: filling the reserve never fails an append.

import Platform

/// What is left for decisions on a full disk.
package enum JournalReserve: Sendable, Equatable {
    case filled
    /// The disk is full. Bytes of the journal that have their blocks at least.
    case inUse(bytes: Int, reason: String)
    /// The file system, or the directory as it is, gives none.
    case none(reason: String)

    /// As many as about a hundred cuts need.
    static let bytes = 1 << 20

    /// Blocks that have been given, at least.
    package var bytesLeft: Int {
        switch self {
        case .filled: Self.bytes
        case .inUse(let bytes, _): bytes
        case .none: 0
        }
    }

    package var isInUse: Bool { if case .inUse = self { true } else { false } }
}

extension Journal {
    /// Moves the reserve on behind the last line.
    func fillReserve() -> JournalReserve {
        var bytes = JournalReserve.bytes
        var full: SystemFailure?
        while bytes >= 4 << 10 {
            do throws(SystemFailure) {
                try storage.reserve(from: bytesDurable, bytes: bytes)
                return full.map { .inUse(bytes: bytes, reason: "\($0)") } ?? .filled
            } catch {
                guard error.errno.isOutOfSpace else { return .none(reason: "\(error)") }
                full = full ?? error
            }
            bytes /= 2
        }
        return .inUse(bytes: 0, reason: full.map { "\($0)" } ?? "")
    }
}
