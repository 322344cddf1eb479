// Bytes in order, in a chain of pool blocks: what could not be sent yet, or must be kept for a retry.
// Sixteen trivial bytes, so that a connection holds it inline and an empty queue costs nothing; the pool
// is an argument of every call. Trivially copyable, but owned by one holder: a copy is the same chain.
// Invariant: a queue with bytes holds ⌈(start + count) / blockBytes⌉ blocks; an empty one holds none.

import CLinux
import Glibc

/// A queue of bytes in blocks of one pool. Owner: one holder, which clears it before it goes.
@frozen public struct ByteQueue: BitwiseCopyable, Sendable {
    @usableFromInline var head: UInt32
    @usableFromInline var tail: UInt32
    /// Offset of the first byte in the head block; below the block size.
    @usableFromInline var start: UInt32
    @usableFromInline var length: UInt32

    @inlinable public init() {
        head = BufferPool.none
        tail = BufferPool.none
        start = 0
        length = 0
    }

    @inlinable public static var empty: ByteQueue { ByteQueue() }

    /// Most pieces that one gathered send passes to the kernel: 128 KiB in blocks of 16 KiB.
    @inlinable public static var piecesMax: Int { 8 }

    @inlinable public var count: Int { Int(length) }
    @inlinable public var isEmpty: Bool { length == 0 }

    /// Blocks that this queue holds.
    @inlinable public func blocks(_ pool: borrowing BufferPool) -> Int {
        (Int(start) + Int(length) + pool.blockBytes - 1) &>> Int(pool.shift)
    }

    /// Appends a copy of all bytes, or of none: false when the pool has too few blocks left, or when the
    /// queue would pass 4 GiB.
    @inlinable public mutating func append(
        _ bytes: UnsafeRawBufferPointer, _ pool: inout BufferPool
    ) -> Bool {
        guard var source = bytes.baseAddress, bytes.count > 0 else { return true }
        var left = bytes.count
        let blockBytes = pool.blockBytes
        let end = (Int(start) + Int(length)) & (blockBytes - 1)
        var room = end == 0 ? 0 : blockBytes - end
        let missing = left > room ? (left - room + blockBytes - 1) &>> Int(pool.shift) : 0
        guard missing <= pool.free, left <= Int(UInt32.max) - Int(length) else { return false }
        while left > 0 {
            if room == 0 {
                // Cannot fail: the pool had `missing` blocks above.
                guard let block = pool.take() else { preconditionFailure("the pool lost a block") }
                if head == BufferPool.none { head = block } else { pool.link(tail, to: block) }
                tail = block
                room = blockBytes
            }
            let moved = min(room, left)
            // Bound: `moved` bytes end at the end of the tail block at the latest.
            memcpy(pool.address(tail) + (blockBytes - room), source, moved)
            source += moved
            left -= moved
            room -= moved
        }
        length &+= UInt32(bytes.count)
        return true
    }

    /// The first bytes that lie together; empty when the queue is. Valid until the queue changes.
    @inlinable public func front(_ pool: borrowing BufferPool) -> UnsafeRawBufferPointer {
        guard length > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let block = pool.bytes(head)
        let count = min(block.count - Int(start), Int(length))
        return UnsafeRawBufferPointer(rebasing: block[Int(start)..<(Int(start) + count)])
    }

    /// Drops the first `n` bytes and gives the blocks behind them back.
    /// - Precondition: `n <= count`.
    @inlinable public mutating func consume(_ n: Int, _ pool: inout BufferPool) {
        precondition(n >= 0 && n <= Int(length), "more consumed than queued")
        if n == Int(length) { return clear(&pool) }
        length &-= UInt32(n)
        var offset = Int(start) + n
        while offset >= pool.blockBytes {
            let next = pool.next(head)
            pool.give(head)
            head = next
            offset -= pool.blockBytes
        }
        start = UInt32(offset)
    }

    /// Drops everything and gives all blocks back, in constant time.
    @inlinable public mutating func clear(_ pool: inout BufferPool) {
        if length > 0 { pool.give(chain: head, to: tail, count: blocks(pool)) }
        self = ByteQueue()
    }

    /// Copies the first bytes, as many as there are and fit, without dropping them; returns how many.
    @inlinable public func copyOut(
        to target: UnsafeMutableRawBufferPointer, _ pool: borrowing BufferPool
    ) -> Int {
        copyOut(from: 0, to: target, pool)
    }

    /// Copies bytes from an offset on, as many as there are and fit; returns how many. Walks the blocks
    /// before the offset.
    /// - Precondition: `0 <= offset <= count`.
    @inlinable public func copyOut(
        from offset: Int, to target: UnsafeMutableRawBufferPointer, _ pool: borrowing BufferPool
    ) -> Int {
        precondition(offset >= 0 && offset <= Int(length), "no such offset")
        let wanted = min(target.count, Int(length) - offset)
        guard wanted > 0, let base = target.baseAddress else { return 0 }
        var block = head
        var position = Int(start) + offset
        while position >= pool.blockBytes {
            block = pool.next(block)
            position -= pool.blockBytes
        }
        var done = 0
        while done < wanted {
            let moved = min(pool.blockBytes - position, wanted - done)
            // Bound: `done + moved <= wanted <= target.count`, and the block holds `position + moved` bytes.
            memcpy(base + done, pool.address(block) + position, moved)
            done += moved
            position = 0
            if done < wanted { block = pool.next(block) }
        }
        return done
    }

    /// Describes the first bytes as pieces for a gathered write; returns how many pieces were filled in.
    @inlinable public func pieces(
        _ pool: borrowing BufferPool, into pieces: UnsafeMutableBufferPointer<iovec>
    ) -> Int {
        var filled = 0
        var block = head
        var position = Int(start)
        var left = Int(length)
        while left > 0 && filled < pieces.count {
            let count = min(pool.blockBytes - position, left)
            pieces[filled] = iovec(iov_base: pool.address(block) + position, iov_len: count)
            filled += 1
            left -= count
            position = 0
            if left > 0 { block = pool.next(block) }
        }
        return filled
    }

    /// Sends as much as one system call takes and drops what went out. `moved` may be less than `count`
    /// even though the socket has room: call again until `wouldBlock` or empty.
    @inlinable public mutating func send(
        to socket: borrowing Descriptor, _ pool: inout BufferPool, more: Bool = false
    ) -> Transfer {
        guard length > 0 else { return .moved(0) }
        let result: Transfer
        if Int(start) + Int(length) <= pool.blockBytes {
            result = socket.send(front(pool), more: more)
        } else {
            result = gather(to: socket, pool, more: more)
        }
        if case .moved(let n) = result { consume(n, &pool) }
        return result
    }

    @inlinable func gather(
        to socket: borrowing Descriptor, _ pool: borrowing BufferPool, more: Bool
    ) -> Transfer {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.piecesMax) { vector in
            let filled = pieces(pool, into: vector)
            return socket.send(pieces: UnsafeMutableBufferPointer(rebasing: vector[..<filled]), more: more)
        }
    }
}
