// Rotation: when the file is large or old enough it gets a name of its own, and the next line begins a new
// one, with `journal_rotated`: the file before, its last line and that line's hash. Files beyond `keep` are
// removed, after a `journal_pruned` line says so, so that verification can tell pruning from tampering.
//
//   killed                              the next start finds                and does
//   before the renaming                 the file as it was                  rotates when it is due
//   between renaming and the new line   no journal.jsonl                    goes on from the last closed file
//   in the new file's first line        a torn line, or lines               as after any torn line
//   between the record and the removal  files that are recorded as pruned   records and removes them later
//
// Invariant: a rotation that fails leaves the journal writable as it was; it is tried again a minute later.

import Payload
import Platform

/// Where a journal's rotation stands.
struct Rotation {
    /// The file that was closed and is not yet named by the first lines of the next one.
    var previous: Closed?
    /// Why the last attempt failed; nil after one that did not.
    var trouble: String?
    /// Rotations so far.
    var count: UInt64 = 0
    fileprivate var retryAt: UInt64 = 0
    /// No rotation before: a full disk has no blocks for another file.
    fileprivate var putOffUntil: UInt64 = 0
    fileprivate var isPruneDue = false

    static let retryMicros: UInt64 = 60_000_000

    /// A closed file, its last line and that line's hash.
    struct Closed {
        var name: String
        var last: UInt64
        var hash: ChainHash
    }

    mutating func putOff(until wallMicros: UInt64) { putOffUntil = wallMicros }

    /// What a file begins with: nothing, when it is the first one or has begun.
    func begin(at wallMicros: UInt64) -> [JournalEvent] {
        guard let previous else { return [] }
        return [
            JournalEvent(
                at: wallMicros, .journalRotated,
                reason: "goes on from \(previous.name), which ends with line \(previous.last)",
                details: [
                    .init("previous", .string(previous.name)), .init("previous_last", .count(previous.last)),
                    .init("previous_hash", .string(previous.hash.hex)),
                ])
        ]
    }
}

extension Journal {
    /// Closes the file when it is due. Never fails: the trouble is kept for the report. A file at whose end
    /// lines are gone gets the line that says so first.
    mutating func rotateIfDue(at wallMicros: UInt64) {
        let age = wallMicros > beganAt ? wallMicros - beganAt : 0
        guard bytesDurable > 0, !isAhead,
            bytesDurable - bytesBegun >= rules.rotateBytes || age >= rules.rotateAge.micros,
            rotation.trouble == nil || wallMicros >= rotation.retryAt, wallMicros >= rotation.putOffUntil
        else { return }
        let name = JournalFiles.rotated(first: linesBefore + 1, wallMicros: wallMicros)
        do throws(SystemFailure) {
            try dropRest()
            try storage.rotate(to: name)
        } catch {
            rotation.trouble = "\(error)"
            rotation.retryAt = wallMicros + Rotation.retryMicros
            return
        }
        linesBefore = lines
        bytesDurable = 0
        beganAt = wallMicros
        rotation.previous = Rotation.Closed(name: name, last: lines, hash: hash)
        rotation.trouble = nil
        rotation.count += 1
        rotation.isPruneDue = true
    }

    /// Removes what is beyond `keep`, after it is on record.
    mutating func prune(at wallMicros: UInt64) {
        guard rotation.isPruneDue else { return }
        do throws(SystemFailure) {
            let names = try storage.rotated()
            if let closed = names.last { try storage.release(closed) }
            let victims = Array(names.dropLast(rules.keep))
            if !victims.isEmpty {
                try append([try pruned(victims, at: wallMicros)])
                for name in victims { try storage.remove(name) }
            }
        } catch {
            rotation.trouble = "\(error)"
            rotation.retryAt = wallMicros + Rotation.retryMicros
        }
        rotation.isPruneDue = false
    }

    private func pruned(_ names: [String], at wallMicros: UInt64) throws(SystemFailure) -> JournalEvent {
        var files: [JSON] = []
        for name in names {
            let tail = try JournalTail(storage, name)
            files.append([
                "file": .string(name), "first": .count(JournalFiles.firstLine(of: name) ?? 0),
                "last": .count(tail?.sequence ?? 0),
                "hash": .string((tail?.last.map { ChainHash(of: $0) } ?? .origin).hex),
            ])
        }
        return JournalEvent(
            at: wallMicros, .journalPruned,
            reason: "\(names.count) of the rotated files are removed: \(rules.keep) are kept",
            details: [.init("files", .array(files))])
    }
}
