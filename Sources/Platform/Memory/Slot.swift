// The number of a row in a table of one kind of element. Two kinds of slot do not mix: a connection's slot
// where an exchange's belongs does not compile.
// Place: slabs and tables are indexed by their own slots only; outside a table a slot is a number of 32 bits.
// Invariant: `none` is the number of no row.

/// A row in a table of `Element`s.
@frozen public struct Slot<Element: ~Copyable>: Hashable, BitwiseCopyable, Sendable {
    public let index: UInt32

    @inlinable public init(index: UInt32) { self.index = index }

    /// - Precondition: the row is 0...2³²-2.
    @inlinable public init(row: Int) {
        index = UInt32(row)
        precondition(index != .max, "a row of a table")
    }

    /// No row.
    @inlinable public static var none: Slot { Slot(index: .max) }
    @inlinable public static var first: Slot { Slot(index: 0) }

    /// The row behind this one.
    /// - Precondition: this is a row.
    @inlinable public var next: Slot { Slot(index: index + 1) }
    /// The number for pointers and arrays.
    @inlinable public var row: Int { Int(index) }
}
