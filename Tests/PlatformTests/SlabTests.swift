// Laws of the slab: slots, generations, bounds, and that values are destroyed exactly once. The stand-in
// for a connection counts its own end, because a value that is dropped without it would leak a descriptor,
// and one that ends twice would close a stranger's.

import Glibc
import Platform
import Testing

/// Counts its own end, as a connection that owns a descriptor would.
private struct Resource: ~Copyable {
    let value: Int
    let ended: UnsafeMutablePointer<Int>

    deinit { ended.pointee += 1 }
}

@Suite struct SlabTests {
    @Test("A full slab refuses the value and destroys it")
    func full() {
        let ended = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        ended.initialize(to: 0)
        defer { ended.deallocate() }
        var slab = Slab<Resource>(capacity: 2)
        let first = slab.insert(Resource(value: 1, ended: ended))
        let second = slab.insert(Resource(value: 2, ended: ended))
        #expect(first == .some(.first) && second == Slot(row: 1))
        let full = slab.isFull
        #expect(full && ended.pointee == 0)
        let third = slab.insert(Resource(value: 3, ended: ended))
        #expect(third == nil && ended.pointee == 1)
        let count = slab.count
        #expect(count == 2)
    }

    @Test("A slab that goes destroys what is live in it, and nothing twice")
    func destruction() {
        let ended = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        ended.initialize(to: 0)
        defer { ended.deallocate() }
        do {
            var slab = Slab<Resource>(capacity: 8)
            for value in 0..<5 { _ = slab.insert(Resource(value: value, ended: ended)) }
            slab.remove(Slot(row: 3))
            #expect(ended.pointee == 1)
        }
        #expect(ended.pointee == 5)
    }

    @Test("A slot's generation ends with its value, so an old token is stale")
    func generations() throws {
        var slab = Slab<Int>(capacity: 4)
        guard let slot = slab.insert(7) else { throw Errno(code: ENOMEM) }
        let first = slab.generation(slot)
        let (liveBefore, wrong) = (
            slab.isLive(slot, generation: first), slab.isLive(slot, generation: first + 1)
        )
        #expect(liveBefore && !wrong)
        slab.remove(slot)
        let afterwards = slab.isLive(slot, generation: first)
        #expect(!afterwards)
        let again = slab.insert(8)
        #expect(again == slot, "the slot used last is used next")
        let (old, new) = (
            slab.isLive(slot, generation: first), slab.isLive(slot, generation: slab.generation(slot))
        )
        #expect(!old && new)
    }

    @Test("A token gives back its slot as long as that lives the same life")
    func tokens() throws {
        var slab = Slab<Int>(capacity: 4)
        guard let slot = slab.insert(7) else { throw Errno(code: ENOMEM) }
        let token = Token(kind: 1, generation: slab.generation(slot), slot: slot.index)
        slab[slot] += 1
        let (named, value) = (slab.slot(of: token), slab[slot])
        #expect(named == slot && value == 8)
        slab.remove(slot)
        _ = slab.insert(9)
        let stale = slab.slot(of: token)
        #expect(stale == nil)
    }

    @Test("A token for a slot out of range is stale, not a trap")
    func range() {
        let slab = Slab<Int>(capacity: 4)
        let (below, above) = (slab.isLive(Slot(row: 3), generation: 0), slab.isLive(.none, generation: 0))
        #expect(!below && !above)
    }

    @Test("A generation wraps after 2^24 lives and stays inside a token")
    func wrap() throws {
        var slab = Slab<UInt8>(capacity: 1)
        for _ in 0..<(1 << 24) - 1 {
            _ = slab.insert(1)
            slab.remove(.first)
        }
        let last = slab.generation(.first)
        #expect(last == 0xFF_FFFF)
        _ = slab.insert(1)
        slab.remove(.first)
        let wrapped = slab.generation(.first)
        #expect(wrapped == 0)
        _ = slab.insert(1)
        let live = slab.isLive(.first, generation: 0)
        #expect(live)
    }

    @Test("A walk over the live slots may remove as it goes")
    func drain() {
        var slab = Slab<Int>(capacity: 100)
        for value in 0..<100 { _ = slab.insert(value) }
        for row in stride(from: 0, to: 100, by: 3) { slab.remove(Slot(row: row)) }
        var seen: [Int] = []
        var next = Slot<Int>.first
        while let slot = slab.nextLive(from: next) {
            seen.append(slab.pointer(slot).pointee)
            slab.remove(slot)
            next = slot.next
        }
        #expect(seen == (0..<100).filter { $0 % 3 != 0 })
        let count = slab.count
        #expect(count == 0)
    }

    @Test("A slab agrees with a dictionary over any sequence of inserts and removals", arguments: seeds(20))
    func model(seed: UInt64) {
        var random = Random64(seed: seed)
        var slab = Slab<UInt64>(capacity: 50)
        var model: [Slot<UInt64>: (value: UInt64, generation: UInt32)] = [:]
        var dead: [(slot: Slot<UInt64>, generation: UInt32)] = []
        for _ in 0..<5_000 {
            if random.below(100) < 55 {
                let value = random.next()
                guard let slot = slab.insert(value) else {
                    #expect(model.count == 50)
                    continue
                }
                #expect(model[slot] == nil)
                model[slot] = (value, slab.generation(slot))
            } else if let (slot, entry) = model.randomElement(using: &random) {
                slab.remove(slot)
                model[slot] = nil
                dead.append((slot, entry.generation))
            }
        }
        let count = slab.count
        #expect(count == model.count)
        var visited = 0
        slab.forEachLive { slot, element in
            visited += 1
            #expect(model[slot]?.value == element.pointee)
        }
        #expect(visited == model.count)
        let resurrected = dead.filter { slab.isLive($0.slot, generation: $0.generation) }
        #expect(resurrected.isEmpty)
    }

    @Test("A value in a slot can be swapped out and its descriptor handed over")
    func handOver() throws {
        struct Connection: ~Copyable {
            var socket: Descriptor?
        }
        var slab = Slab<Connection>(capacity: 2)
        let wakeup = try Wakeup()
        guard let slot = slab.insert(Connection(socket: try wakeup.descriptor.duplicate())),
            let taken = slab.pointer(slot).pointee.socket.take()
        else {
            Issue.record("the socket was there")
            return
        }
        slab.remove(slot)
        let isOpenStill = isOpen(taken.raw)
        #expect(isOpenStill)
    }

    @Test("A connection's socket closes when it is swapped out and dropped, or leaves with its slot")
    func closing() throws {
        struct Connection: ~Copyable {
            var socket: Descriptor?
        }
        let (first, firstPeer) = Pair.numbers()
        let (second, secondPeer) = Pair.numbers()
        let peers = [firstPeer, secondPeer]
        defer { for peer in peers { close(peer) } }
        var slab = Slab<Connection>(capacity: 8)
        guard let slot = slab.insert(Connection(socket: Descriptor(adopting: first))) else {
            Issue.record("an empty slab has room")
            return
        }
        #expect(peerState(peers[0]) == .wouldBlock)
        slab.pointer(slot).pointee.socket = Descriptor(adopting: second)
        #expect(peerState(peers[0]) == .closed, "what was replaced is closed")
        #expect(peerState(peers[1]) == .wouldBlock)
        slab.remove(slot)
        #expect(peerState(peers[1]) == .closed)
    }

    /// What a read at this end says about the other one.
    private func peerState(_ raw: Int32) -> Transfer {
        let descriptor = Descriptor(adopting: raw)
        let transfer = descriptor.received(1).transfer
        _ = descriptor.release()
        return transfer
    }
}
