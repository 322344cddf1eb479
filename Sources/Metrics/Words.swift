// Rows of single-writer words: the one way in which a core's numbers become visible to another thread.
// A view onto memory that the caller owns, has zeroed and keeps alive; it allocates and frees nothing.
// Invariant: each word has one writing thread, so an increment is a relaxed load and a relaxed store
// (0.3 ns) and not a locked read-modify-write (10 ns); any thread may read. The address is kept as an
// integer because that is what makes a view Sendable without an unchecked promise: every access through
// it is an atomic one.

import Synchronization

/// 64-bit words, zero at first.
@frozen public struct Words: Sendable {
    @usableFromInline let address: UInt

    /// - Parameter memory: zeroed, 8-byte aligned, alive as long as any copy of this view.
    @inlinable public init(at memory: UnsafeMutableRawPointer) {
        address = UInt(bitPattern: memory)
    }

    /// The view that begins `count` words later.
    @inlinable func advanced(by count: Int) -> Words {
        Words(address: address &+ UInt(bitPattern: count &* 8))
    }

    @inlinable init(address: UInt) { self.address = address }

    // The bound of `index` is the caller's: every caller in this target passes an enum's raw value or an
    // index that the layout has clamped.
    @inlinable var base: UnsafePointer<Atomic<UInt64>> {
        UnsafePointer(bitPattern: address).unsafelyUnwrapped
    }

    @inlinable func load(_ index: Int) -> UInt64 { base[index].load(ordering: .relaxed) }

    @inlinable func store(_ index: Int, _ value: UInt64) { base[index].store(value, ordering: .relaxed) }

    /// Adds by the one writer. Wraps after 2^64, which no counter of ours lives to see.
    @inlinable func add(_ index: Int, _ amount: UInt64 = 1) {
        base[index].store(base[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}

extension Words {
    /// As `add`, and whoever sees the sum sees everything that was stored before it.
    @inlinable func release(_ index: Int, _ amount: UInt64) {
        base[index].store(base[index].load(ordering: .relaxed) &+ amount, ordering: .releasing)
    }
}

/// 32-bit words, zero at first; otherwise as `Words`.
@frozen public struct HalfWords: Sendable {
    @usableFromInline let address: UInt

    /// - Parameter memory: zeroed, 4-byte aligned, alive as long as any copy of this view.
    @inlinable public init(at memory: UnsafeMutableRawPointer) {
        address = UInt(bitPattern: memory)
    }

    @inlinable init(address: UInt) { self.address = address }

    @inlinable var base: UnsafePointer<Atomic<UInt32>> {
        UnsafePointer(bitPattern: address).unsafelyUnwrapped
    }

    @inlinable func load(_ index: Int) -> UInt32 { base[index].load(ordering: .relaxed) }

    @inlinable func store(_ index: Int, _ value: UInt32) { base[index].store(value, ordering: .relaxed) }

    @inlinable func add(_ index: Int, _ amount: UInt32 = 1) {
        base[index].store(base[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}
