// Blocks of equal size for bytes that one read or write could not finish. A core has one pool; its bound
// is the core's whole buffer memory. Each block has a link, with which holders chain their blocks and the
// pool its free ones, so that giving a whole chain back is one splice.
// Invariant: blocks at or above `fresh` were never taken; below it a block is taken or on the free list.

/// A fixed set of blocks. Owner: one core. Last-in first-out, so the resident part is the peak's.
@frozen public struct BufferPool: ~Copyable {
    @usableFromInline let memory: UnsafeMutableRawPointer
    @usableFromInline let links: UnsafeMutablePointer<UInt32>
    @usableFromInline let limit: UInt32
    @usableFromInline let shift: UInt32
    @usableFromInline var fresh: UInt32
    @usableFromInline var head: UInt32
    @usableFromInline var available: UInt32

    /// The end of a chain.
    @inlinable public static var none: UInt32 { .max }

    /// - Parameters:
    ///   - blocks: 1…2³¹.
    ///   - blockBytes: size of one block, a power of two, 64 bytes … 1 GiB.
    public init(blocks: Int, blockBytes: Int) {
        precondition(blocks > 0 && blocks <= 1 << 31, "1…2^31 blocks")
        precondition(blockBytes >= 64 && blockBytes <= 1 << 30, "blocks of 64 bytes … 1 GiB")
        precondition(blockBytes & (blockBytes - 1) == 0, "the size of a block is a power of two")
        memory = Pages.allocate(bytes: blocks * blockBytes)
        links = Pages.allocate(bytes: blocks * 4).bindMemory(to: UInt32.self, capacity: blocks)
        limit = UInt32(blocks)
        shift = UInt32(blockBytes.trailingZeroBitCount)
        fresh = 0
        head = Self.none
        available = UInt32(blocks)
    }

    deinit {
        Pages.release(memory, bytes: Int(limit) << Int(shift))
        Pages.release(links, bytes: Int(limit) * 4)
    }

    /// Blocks that can still be taken.
    @inlinable public var free: Int { Int(available) }
    @inlinable public var blocks: Int { Int(limit) }
    @inlinable public var blockBytes: Int { 1 &<< Int(shift) }

    /// Takes a block, its contents unspecified and its link `none`; nil when all are taken.
    @inlinable public mutating func take() -> UInt32? {
        let block: UInt32
        if head != Self.none {
            block = head
            head = links[Int(block)]
        } else if fresh < limit {
            block = fresh
            fresh &+= 1
        } else {
            return nil
        }
        available &-= 1
        links[Int(block)] = Self.none
        return block
    }

    /// Gives one block back.
    /// - Precondition: it was taken and is not on any chain.
    @inlinable public mutating func give(_ block: UInt32) { give(chain: block, to: block, count: 1) }

    /// Gives a chain of `count` blocks back at once.
    /// - Precondition: following the links from `first` ends at `last` after `count` taken blocks.
    @inlinable public mutating func give(chain first: UInt32, to last: UInt32, count: Int) {
        precondition(first < fresh && last < fresh, "no such block")
        precondition(count > 0 && count <= Int(limit &- available), "more blocks given than taken")
        links[Int(last)] = head
        head = first
        available &+= UInt32(count)
    }

    /// The block's memory: `blockBytes` bytes at a stable address.
    @inlinable public func bytes(_ block: UInt32) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: address(block), count: blockBytes)
    }

    /// The first of the block's `blockBytes` bytes.
    @inlinable public func address(_ block: UInt32) -> UnsafeMutableRawPointer {
        precondition(block < fresh, "no such block")
        return memory + (Int(block) &<< Int(shift))
    }

    /// The block behind this one in its holder's chain.
    @inlinable public func next(_ block: UInt32) -> UInt32 {
        precondition(block < fresh, "no such block")
        return links[Int(block)]
    }

    /// Puts `next` behind a block in its holder's chain.
    @inlinable public mutating func link(_ block: UInt32, to next: UInt32) {
        precondition(block < fresh, "no such block")
        links[Int(block)] = next
    }
}
