// Unfinished input: half a head or trailer section, requests sent ahead. Its sender holds it for as long as
// it likes, so it has a part of the pool (Core+Buffers), and who goes beyond that is found at once: the
// oldest of those who hold most. They are in lines by weight: 1 block, 2 or 3, 4 to 7, 8 and more. A
// client's first bytes take a small block of a pool of their own, so that a slow client with an ordinary head
// does not pay for a crowd, and a crowd with ordinary heads takes nothing from anybody.
// Invariants: a connection is in the line of its weight exactly while `Holding.blocks` is not 0; `smallCount`
// is not 0 exactly while the connection holds a small block, and its `input` is empty then.

import Platform

/// No connection.
private let noHolder = UInt32.max

/// A connection's place in a line of holders. Rows are numbered as timers are: clients, then upstreams.
/// A row of zeroes is one that holds nothing.
struct Holding: BitwiseCopyable {
    /// Neighbours, while `blocks` is not 0.
    var next: UInt32
    var previous: UInt32
    /// Blocks counted in `Core.unfinishedBlocks`.
    var blocks: UInt32
}

/// The ends of a line of holders; the links are in the rows.
struct HolderLine: BitwiseCopyable {
    var oldest: UInt32 = noHolder
    var newest: UInt32 = noHolder

    static var weights: Int { 4 }

    /// The line for a number of blocks, 1 or more.
    static func weight(_ blocks: UInt32) -> Int { min(weights - 1, 31 - blocks.leadingZeroBitCount) }
}

extension Core {
    // MARK: - A client's bytes

    /// Bytes held of what the client sent, in a small block or in ordinary ones.
    @inline(__always)
    func heldCount(_ d: UnsafeMutablePointer<Downstream>) -> Int {
        Int(d.pointee.smallCount) + d.pointee.input.count
    }

    /// Copies them to the inbox's start.
    func copyHeld(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        if d.pointee.smallCount > 0 {
            inbox.copyMemory(from: smallInput(d))
        } else {
            _ = d.pointee.input.copyOut(to: inbox, pool)
        }
    }

    /// What lies in the client's small block.
    func smallInput(_ d: UnsafeMutablePointer<Downstream>) -> UnsafeRawBufferPointer {
        guard d.pointee.smallCount > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let block = UnsafeRawBufferPointer(smallPool.bytes(d.pointee.smallBlock))
        return UnsafeRawBufferPointer(rebasing: block[..<Int(d.pointee.smallCount)])
    }

    private func clearSmallInput(_ d: UnsafeMutablePointer<Downstream>) {
        guard d.pointee.smallCount > 0 else { return }
        d.pointee.smallCount = 0
        smallPool.give(d.pointee.smallBlock)
    }

    /// Forgets what is held, but not since when: more of the same may be held again in a moment. `holdInput`
    /// or `clearHeld` follows.
    func takeHeld(_ slot: Slot<Downstream>) {
        let d = downstreams.pointer(slot)
        clearSmallInput(d)
        d.pointee.input.clear(&pool)
    }

    /// Forgets what is held.
    @inline(__always)
    func clearHeld(_ slot: Slot<Downstream>) {
        takeHeld(slot)
        stopHolding(slot)
    }

    /// Holds more of what the client sent; false: there are no blocks for it, and it is not held.
    func keepInput(_ slot: Slot<Downstream>, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let d = downstreams.pointer(slot)
        if d.pointee.input.isEmpty, keepSmall(d, bytes) { return true }
        if d.pointee.smallCount > 0 {
            guard d.pointee.input.append(smallInput(d), &pool) else { return false }
            clearSmallInput(d)
        }
        guard d.pointee.input.append(bytes, &pool) else { return false }
        holdInput(slot)
        return true
    }

    /// The same in a small block, if it has room and there is one.
    private func keepSmall(
        _ d: UnsafeMutablePointer<Downstream>, _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        let count = Int(d.pointee.smallCount)
        let end = count + bytes.count
        guard let from = bytes.baseAddress, end <= Limits.smallBlockBytes else { return false }
        if count == 0 {
            guard let block = smallPool.take() else { return false }
            d.pointee.smallBlock = block
        }
        // Bound: `end` was checked against the block's size.
        (smallPool.address(d.pointee.smallBlock) + count).copyMemory(from: from, byteCount: bytes.count)
        d.pointee.smallCount = UInt16(end)
        return true
    }

    // MARK: - The lines

    /// Counts the blocks of a client's unfinished input. Called after every change that is not the last.
    func holdInput(_ slot: Slot<Downstream>) {
        count(holder: slot.index, downstreams[slot].input.blocks(pool))
    }

    /// The client holds nothing unfinished any more.
    @inline(__always)
    func stopHolding(_ slot: Slot<Downstream>) {
        if holdings[slot.row].blocks != 0 { count(holder: slot.index, 0) }
    }

    /// As for clients.
    func holdUpstreamInput(_ slot: Slot<Upstream>) {
        count(holder: upstreamTimers + slot.index, upstreams[slot].input.blocks(pool))
    }

    func stopHoldingUpstream(_ slot: Slot<Upstream>) {
        if holdings[Int(upstreamTimers + slot.index)].blocks != 0 {
            count(holder: upstreamTimers + slot.index, 0)
        }
    }

    /// The oldest of those who hold most.
    var heaviestHolder: UInt32? {
        for weight in (0..<HolderLine.weights).reversed() where holderLines[weight].oldest != noHolder {
            return holderLines[weight].oldest
        }
        return nil
    }

    /// Who keeps its weight keeps its place in line.
    private func count(holder: UInt32, _ blocks: Int) {
        let row = holdings + Int(holder)
        let (before, after) = (row.pointee.blocks, UInt32(clamping: blocks))
        guard before != after else { return }
        let stays = before != 0 && after != 0 && HolderLine.weight(before) == HolderLine.weight(after)
        if before != 0, !stays { leaveHolders(HolderLine.weight(before), row) }
        if after != 0, !stays { joinHolders(HolderLine.weight(after), holder, row) }
        row.pointee.blocks = after
        unfinishedBlocks += Int(after) - Int(before)
    }

    private func joinHolders(_ weight: Int, _ holder: UInt32, _ row: UnsafeMutablePointer<Holding>) {
        let newest = holderLines[weight].newest
        row.pointee.next = noHolder
        row.pointee.previous = newest
        if newest == noHolder {
            holderLines[weight].oldest = holder
        } else {
            holdings[Int(newest)].next = holder
        }
        holderLines[weight].newest = holder
    }

    private func leaveHolders(_ weight: Int, _ row: UnsafeMutablePointer<Holding>) {
        let (next, previous) = (row.pointee.next, row.pointee.previous)
        if previous == noHolder {
            holderLines[weight].oldest = next
        } else {
            holdings[Int(previous)].next = next
        }
        if next == noHolder {
            holderLines[weight].newest = previous
        } else {
            holdings[Int(next)].previous = previous
        }
    }
}
