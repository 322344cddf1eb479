// A bounded ring of access records between one core (writer) and control (reader): two counters, no lock.
// Full: the record is dropped and counted, the exchange is not held up.
// Source: Lamport's single-producer single-consumer queue.

import Platform
import Synchronization

/// A single-producer single-consumer ring of `AccessRecord`s.
struct AccessRing: ~Copyable, Sendable {
    private static let capacity = 1_024
    private let pages = SharedPages(byteCount: capacity * MemoryLayout<AccessRecord>.stride)
    private let written = Atomic<UInt64>(0)
    private let taken = Atomic<UInt64>(0)

    private var records: UnsafeMutablePointer<AccessRecord> {
        pages.base.assumingMemoryBound(to: AccessRecord.self)
    }

    /// Copies a record in; false when the ring is full. The core's thread only.
    func offer(_ record: borrowing AccessRecord) -> Bool {
        let head = written.load(ordering: .relaxed)
        guard head &- taken.load(ordering: .acquiring) < UInt64(Self.capacity) else { return false }
        records[Int(head % UInt64(Self.capacity))] = copy record
        written.store(head &+ 1, ordering: .releasing)
        return true
    }

    /// Takes the oldest record out. Control's thread only.
    func take() -> AccessRecord? {
        let tail = taken.load(ordering: .relaxed)
        guard tail < written.load(ordering: .acquiring) else { return nil }
        let record = records[Int(tail % UInt64(Self.capacity))]
        taken.store(tail &+ 1, ordering: .releasing)
        return record
    }
}
