// Clients whose input is unfinished hold blocks for as long as they like: half a head, half a trailer
// section, requests sent ahead. They stand in one of two lines, oldest first, so that the one that goes
// when blocks run short is found at once. Those who hold little stand in a line of their own and go last: a
// slow client with an ordinary head is not to pay for a crowd with large ones.
// Invariant: a connection stands in the line that its `holding` names, and in no line with `.nothing`.

/// In which line of holders a connection stands.
enum Holding: UInt8 {
    case nothing
    /// At most `Limits.smallInputBytes`.
    case little
    case much
}

/// The ends of a line of holders; the links lie in the connections.
struct HolderLine {
    var oldest: UInt32 = noSlot
    var newest: UInt32 = noSlot
}

extension Core {
    /// Counts what the connection holds as unfinished input, and has it stand where that belongs. Called
    /// after every change of `input` that leaves some.
    func holdInput(_ slot: UInt32) {
        let d = downstreams.pointer(slot)
        let holding: Holding =
            d.pointee.input.isEmpty
            ? .nothing : d.pointee.input.count <= Limits.smallInputBytes ? .little : .much
        if holding != d.pointee.holding {
            leaveHolders(slot)
            enterHolders(slot, holding)
        }
        let blocks = UInt16(clamping: d.pointee.input.blocks(pool))
        unfinishedBlocks += Int(blocks) - Int(d.pointee.heldBlocks)
        d.pointee.heldBlocks = blocks
    }

    /// The connection holds nothing unfinished any more.
    @inline(__always)
    func dropHolding(_ slot: UInt32) {
        if downstreams.pointer(slot).pointee.holding != .nothing { leaveHolders(slot) }
    }

    private func enterHolders(_ slot: UInt32, _ holding: Holding) {
        guard holding != .nothing else { return }
        let d = downstreams.pointer(slot)
        var line = holding == .little ? littleHolders : muchHolders
        d.pointee.holding = holding
        d.pointee.previousHolder = line.newest
        if line.newest == noSlot {
            line.oldest = slot
        } else {
            downstreams.pointer(line.newest).pointee.nextHolder = slot
        }
        line.newest = slot
        store(line, holding)
    }

    private func leaveHolders(_ slot: UInt32) {
        let d = downstreams.pointer(slot)
        let holding = d.pointee.holding
        guard holding != .nothing else { return }
        var line = holding == .little ? littleHolders : muchHolders
        let (next, previous) = (d.pointee.nextHolder, d.pointee.previousHolder)
        if previous == noSlot {
            line.oldest = next
        } else {
            downstreams.pointer(previous).pointee.nextHolder = next
        }
        if next == noSlot {
            line.newest = previous
        } else {
            downstreams.pointer(next).pointee.previousHolder = previous
        }
        store(line, holding)
        unfinishedBlocks -= Int(d.pointee.heldBlocks)
        d.pointee.heldBlocks = 0
        d.pointee.holding = .nothing
        d.pointee.nextHolder = noSlot
        d.pointee.previousHolder = noSlot
    }

    private func store(_ line: HolderLine, _ holding: Holding) {
        if holding == .little { littleHolders = line } else { muchHolders = line }
    }
}
