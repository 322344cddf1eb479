// Laws of the buffer pool and of the byte queue, the latter against an array of bytes over any history.
// After every step the blocks held and the blocks free add up to the pool, so that a leaked block fails
// the test that leaks it and not a later one.

import Glibc
import Platform
import Testing

private func bytes(_ count: Int, _ random: inout Random64) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
}

extension ByteQueue {
    fileprivate func all(_ pool: borrowing BufferPool) -> [UInt8] {
        var content = [UInt8](repeating: 0, count: count)
        let copied = content.withUnsafeMutableBytes { copyOut(to: $0, pool) }
        #expect(copied == count)
        return content
    }
}

@Suite struct BufferPoolTests {
    @Test("A pool hands out each block once, then none, and takes them all back")
    func bounds() {
        var pool = BufferPool(blocks: 10, blockBytes: 64)
        var taken: [UInt32] = []
        while let block = pool.take() { taken.append(block) }
        #expect(Set(taken).count == 10)
        let none = pool.free
        #expect(none == 0)
        for block in taken { pool.give(block) }
        let all = pool.free
        #expect(all == 10)
        let next = pool.take()
        #expect(next == taken.last, "the block given last is taken next")
    }

    @Test("Blocks do not overlap")
    func separate() {
        var pool = BufferPool(blocks: 4, blockBytes: 128)
        let taken = (0..<4).compactMap { _ in pool.take() }
        for block in taken {
            let bytes = pool.bytes(block)
            #expect(bytes.count == 128)
            bytes.initializeMemory(as: UInt8.self, repeating: UInt8(block) + 1)
        }
        for block in taken {
            let isIntact = pool.bytes(block).allSatisfy { $0 == UInt8(block) + 1 }
            #expect(isIntact)
        }
    }
}

@Suite struct ByteQueueTests {
    @Test("An append that the pool cannot hold changes nothing")
    func allOrNothing() {
        var pool = BufferPool(blocks: 3, blockBytes: 64)
        var queue = ByteQueue.empty
        var random = Random64(seed: 1)
        let first = bytes(100, &random)
        let fits = first.withUnsafeBytes { queue.append($0, &pool) }
        #expect(fits)
        let tooMuch = bytes(93, &random).withUnsafeBytes { queue.append($0, &pool) }
        #expect(!tooMuch)
        #expect(queue.all(pool) == first)
        let exact = bytes(92, &random).withUnsafeBytes { queue.append($0, &pool) }
        #expect(exact)
        let (count, free) = (queue.count, pool.free)
        #expect(count == 192 && free == 0)
    }

    @Test("A queue agrees with an array over any history, and gives every block back", arguments: seeds(30))
    func model(seed: UInt64) {
        var random = Random64(seed: seed)
        var pool = BufferPool(blocks: 40, blockBytes: 64)
        var queues = [ByteQueue](repeating: .empty, count: 3)
        var models = [[UInt8]](repeating: [], count: 3)
        for _ in 0..<2_000 {
            let i = Int(random.below(3))
            switch random.below(8) {
            case 0...3:
                let more = bytes(Int(random.below(random.below(4) == 0 ? 700 : 60)), &random)
                let fits = more.withUnsafeBytes { queues[i].append($0, &pool) }
                if fits { models[i] += more }
            case 4, 5:
                let n = Int(random.below(UInt64(models[i].count + 1)))
                queues[i].consume(n, &pool)
                models[i].removeFirst(n)
            case 6:
                checkViews(queues[i], models[i], pool, &random)
            default:
                if random.below(10) == 0 {
                    queues[i].clear(&pool)
                    models[i] = []
                }
            }
            let held = queues.reduce(0) { $0 + $1.blocks(pool) }
            let free = pool.free
            #expect(held + free == 40)
            #expect(queues[i].all(pool) == models[i])
        }
        for i in 0..<3 { queues[i].clear(&pool) }
        let free = pool.free
        #expect(free == 40)
    }

    private func checkViews(
        _ queue: ByteQueue, _ model: [UInt8], _ pool: borrowing BufferPool, _ random: inout Random64
    ) {
        #expect(Array(queue.front(pool)) == Array(model.prefix(queue.front(pool).count)))
        #expect(queue.front(pool).isEmpty == model.isEmpty)
        let offset = Int(random.below(UInt64(model.count + 1)))
        var part = [UInt8](repeating: 0, count: Int(random.below(200)))
        let copied = part.withUnsafeMutableBytes { queue.copyOut(from: offset, to: $0, pool) }
        #expect(Array(part[..<copied]) == Array(model[offset...].prefix(part.count)))
        var gathered: [UInt8] = []
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: 3) { pieces in
            let filled = queue.pieces(pool, into: pieces)
            for piece in pieces[..<filled] {
                gathered += Array(UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
            }
        }
        #expect(gathered == Array(model.prefix(gathered.count)))
        #expect(gathered.count == model.count || gathered.count >= 2 * 64)
    }

    @Test("A queue goes through a socket in order, however little the socket takes", arguments: seeds(4))
    func through(seed: UInt64) throws {
        var random = Random64(seed: seed)
        var pool = BufferPool(blocks: 2_000, blockBytes: 1_024)
        var queue = ByteQueue()
        let content = bytes(1 << 20, &random)
        let fits = content.withUnsafeBytes { queue.append($0, &pool) }
        try #require(fits)
        let pair = Pair()
        var arrived: [UInt8] = []
        var calls = 0
        while !queue.isEmpty {
            let sent = queue.send(to: pair.a, &pool)
            if case .failed(let errno) = sent { throw errno }
            calls += 1
            while true {
                let part = pair.b.received(1 + Int(random.below(300_000)))
                if part.bytes.isEmpty { break }
                arrived += part.bytes
            }
        }
        #expect(arrived == content)
        #expect(calls < 1_024, "pieces are gathered: \(calls) calls for 1024 blocks")
        let free = pool.free
        #expect(free == 2_000)
    }

    @Test("Sending an empty queue is no system call and moves nothing")
    func empty() {
        var pool = BufferPool(blocks: 1, blockBytes: 64)
        var queue = ByteQueue()
        let pair = Pair()
        let result = queue.send(to: pair.a, &pool)
        #expect(result == .moved(0))
        queue.clear(&pool)
        queue.consume(0, &pool)
        #expect(queue.isEmpty)
    }
}
