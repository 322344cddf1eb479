// The slots in which copied exchanges lie, and the two lines between one core and control's reader: slots
// that are full go one way, slots that have been read come back. Any order of ends is fine, since a slot is
// held by whoever has its number: the core's desk, an exchange, a line, or the reader.
// Invariant: each number is in one place at a time, so neither line can overflow: both have room for all.
// Memory: reserved for all slots, touched as they are used; the core takes the slot that came back last.
// Source: Lamport's single-producer single-consumer queue, twice.

import Platform
import Synchronization

/// The slots of one core and their way to control and back.
struct TapRing: ~Copyable, Sendable {
    /// The parts of a slot.
    enum Region: Int {
        case requestHead, requestBody, responseHead, responseBody
    }

    private static let recordBytes = 256
    private static let slotBytes = 2 * (Limits.tapHeadBytes + Limits.tapBodyBytes)
    private let records = SharedPages(byteCount: Limits.tapSlots * recordBytes)
    private let bytes = SharedPages(byteCount: Limits.tapSlots * slotBytes)
    private let lines = SharedPages(byteCount: 2 * Limits.tapSlots)
    private let offered = Atomic<UInt64>(0)
    private let taken = Atomic<UInt64>(0)
    private let returned = Atomic<UInt64>(0)
    private let reclaimed = Atomic<UInt64>(0)

    init() {
        precondition(MemoryLayout<TapRecord>.size <= Self.recordBytes && Limits.tapSlots < Int(UInt8.max))
        for slot in 0..<UInt8(Limits.tapSlots) { giveBack(slot) }
    }

    /// A slot's record; for its holder only.
    func record(_ slot: UInt8) -> UnsafeMutablePointer<TapRecord> {
        precondition(Int(slot) < Limits.tapSlots)
        return (records.base + Int(slot) * Self.recordBytes).assumingMemoryBound(to: TapRecord.self)
    }

    /// A slot's memory for one of its parts; for its holder only.
    func region(_ slot: UInt8, _ region: Region) -> UnsafeMutableRawBufferPointer {
        precondition(Int(slot) < Limits.tapSlots)
        let start = bytes.base + Int(slot) * Self.slotBytes
        let (head, body) = (Limits.tapHeadBytes, Limits.tapBodyBytes)
        return switch region {
        case .requestHead: UnsafeMutableRawBufferPointer(start: start, count: head)
        case .responseHead: UnsafeMutableRawBufferPointer(start: start + head, count: head)
        case .requestBody: UnsafeMutableRawBufferPointer(start: start + 2 * head, count: body)
        case .responseBody: UnsafeMutableRawBufferPointer(start: start + 2 * head + body, count: body)
        }
    }

    private var full: UnsafeMutablePointer<UInt8> { lines.base.assumingMemoryBound(to: UInt8.self) }
    private var empty: UnsafeMutablePointer<UInt8> { full + Limits.tapSlots }

    /// Hands a filled slot over. The core's thread only.
    func offer(_ slot: UInt8) {
        let head = offered.load(ordering: .relaxed)
        full[Int(head % UInt64(Limits.tapSlots))] = slot
        offered.store(head &+ 1, ordering: .releasing)
    }

    /// Takes the oldest filled slot. Control's reader only.
    func take() -> UInt8? {
        let tail = taken.load(ordering: .relaxed)
        guard tail < offered.load(ordering: .acquiring) else { return nil }
        let slot = full[Int(tail % UInt64(Limits.tapSlots))]
        taken.store(tail &+ 1, ordering: .releasing)
        return slot
    }

    /// Hands a slot back that has been read. Control's reader only.
    func giveBack(_ slot: UInt8) {
        let head = returned.load(ordering: .relaxed)
        empty[Int(head % UInt64(Limits.tapSlots))] = slot
        returned.store(head &+ 1, ordering: .releasing)
    }

    /// Takes a slot that came back. The core's thread only.
    func reclaim() -> UInt8? {
        let tail = reclaimed.load(ordering: .relaxed)
        guard tail < returned.load(ordering: .acquiring) else { return nil }
        let slot = empty[Int(tail % UInt64(Limits.tapSlots))]
        reclaimed.store(tail &+ 1, ordering: .relaxed)
        return slot
    }
}
