// Backpressure: whoever is slow is waited for, and nothing is gathered for him meanwhile.
// Place: DataPlane over real sockets. Memory is judged by the core's own pool, which is all that bytes can
// lie in, and by the process, whose other threads allow for a wide margin.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite(.serialized) struct MemoryTests {
    private static let block = [UInt8](repeating: 0x61, count: 256 << 10)
    /// Two reads' worth, and a block begun at each end.
    private static let heldMax = 2 * Limits.readBytesMax / Limits.blockBytes + 4

    /// Blocks in use.
    private func held(_ plane: Plane) -> Int { Limits().blocksMax - plane.core[.buffersFree] }

    /// Other tests of the process come and go meanwhile: what grows for them does not grow each time.
    private func expectGrowth(below bound: Int, _ growth: () throws -> Int) rethrows {
        var least = Int.max
        for _ in 0..<3 where least >= bound { least = min(least, try growth()) }
        #expect(least < bound)
    }

    @Test("A 256 MB upload waits for a slow upstream and arrives whole; memory does not grow")
    func upload() throws { try expectGrowth(below: 128 << 20, uploaded) }

    /// The bytes by which the process grew.
    private func uploaded() throws -> Int {
        let size = 256 << 20
        let begin = try Gate()
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try begin.pass()
            try peer.discard(size)
            try peer.send(ok("all of it"))
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: \(size)"]))
        let before = ProcessUsage.residentBytes
        // The upstream does not read: the client soon has no room either.
        var sent = try client.pour(Self.block, upTo: size)
        #expect(sent < 64 << 20)
        #expect(held(plane) <= Self.heldMax + Limits().replayBytesMax / Limits.blockBytes)
        begin.open()
        while sent < size {
            let part = min(Self.block.count, size - sent)
            try client.send(part == Self.block.count ? Self.block : Array(Self.block[..<part]))
            sent += part
            #expect(held(plane) <= 2 * Self.heldMax)
        }
        #expect(try client.response().text == "all of it")
        let growth = Int(ProcessUsage.residentBytes) - Int(before)
        try plane.waitForRest()
        #expect(plane.counts(0).bytesIn == UInt64(size))
        return growth
    }

    @Test("A 64 MB download waits for a slow client and arrives whole; memory does not grow")
    func download() throws { try expectGrowth(below: 64 << 20, downloaded) }

    /// The bytes by which the process grew.
    private func downloaded() throws -> Int {
        let size = 64 << 20
        let written = try Notes<Int>()
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: \(size)\r\n\r\n")
            let first = try peer.pour(Self.block, upTo: size)
            written.add(first)
            var sent = first
            while sent < size {
                sent += try peer.pour(Self.block, upTo: size - sent, stillness: .seconds(10))
            }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect(receiveBytes: 64 << 10)
        let before = ProcessUsage.residentBytes
        try client.send(get())
        // The client does not read: the upstream soon has no room either.
        #expect(try written.wait(for: 1)[0] < 32 << 20)
        #expect(held(plane) <= Self.heldMax)
        _ = try client.responseHead()
        try client.discard(size)
        let growth = Int(ProcessUsage.residentBytes) - Int(before)
        try plane.waitForRest()
        #expect(plane.counts(0)[.success] == 1)
        return growth
    }

    @Test("A client that never reads is bounded in memory, and ends")
    func neverReads() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\n\r\n")
            while true { try peer.send(Self.block) }
        }
        let plane = try Plane(to: origin) { $0.timeouts.idle = .millis(300) }
        let client = try plane.connect(receiveBytes: 16 << 10)
        try client.send(get())
        try eventually("the connection to be given up") {
            plane.core[.downstreams] == 0 && plane.core[.turns] > 3
        }
        #expect(held(plane) == 0)
        try plane.waitForRest()
        #expect(plane.counts(0)[.clientCancel] == 1)
        #expect(try client.end() == .reset)
    }

    @Test("Pipelined requests wait in the socket while replies wait for their reader")
    func pipelinedFlood() throws {
        let body = String(repeating: "r", count: 50_000)
        let origin = try Origin.answering { _ in ok(body) }
        let plane = try Plane(to: origin)
        let client = try plane.connect(receiveBytes: 16 << 10)
        let many = Array(String(repeating: get(), count: 200_000).utf8)
        let sent = try client.pour(many, upTo: many.count)
        #expect(sent < many.count)
        try plane.settle()
        #expect(held(plane) <= 2 * Self.heldMax)
        let whole = sent / get().utf8.count
        for _ in 0..<min(whole, 200) { #expect(try client.response().body.count == body.utf8.count) }
        client.reset()
        try plane.waitForRest()
    }

    @Test("Requests that are kept for a retry leave the buffers that responses are read with")
    func keptRequests() throws {
        let gate = try Gate()
        let origin = try Origin.answering { _ in
            try? gate.pass()
            return ok()
        }
        var limits = Limits()
        limits.blocksMax = 128
        let plane = try Plane(to: origin, limits: limits)
        let body = String(repeating: "k", count: 200_000)
        var clients: [Peer] = []
        for i in 0..<24 {
            let client = try plane.connect()
            try client.send(post(body))
            try origin.seen.wait(for: i + 1)
            clients.append(client)
        }
        #expect(plane.core[.buffersFree] > 128 / 4)
        gate.open()
        for client in clients { #expect(try client.response().status == 200) }
        try plane.waitForRest(blocks: 128)
    }
}
