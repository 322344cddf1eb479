// The bytes and values that a core's tables point to: made once per plan, given back with it.
// Place: filled while a plan is compiled (Core+Plan), read per request through the tables.
// Invariant: what is in an arena does not move and is not changed.

/// Bytes that live as long as the plan they were compiled from.
struct PlanArena: ~Copyable {
    private var pieces: [UnsafeMutableRawBufferPointer] = []

    deinit {
        for piece in pieces { piece.deallocate() }
    }

    /// A copy of the text's UTF-8 in the arena.
    mutating func bytes(_ text: String) -> UnsafeRawBufferPointer {
        let utf8 = Array(text.utf8)
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, utf8.count), alignment: 1)
        piece.copyBytes(from: utf8)
        pieces.append(piece)
        return UnsafeRawBufferPointer(rebasing: piece[..<utf8.count])
    }

    /// A copy of the values in the arena; nil when there are none.
    mutating func values<T: BitwiseCopyable>(_ values: [T]) -> UnsafeMutablePointer<T>? {
        guard !values.isEmpty else { return nil }
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: values.count * MemoryLayout<T>.stride, alignment: MemoryLayout<T>.alignment)
        pieces.append(piece)
        let typed = piece.bindMemory(to: T.self)
        _ = typed.initialize(from: values)
        return typed.baseAddress
    }
}
