// A core whose buffers are used up: who is cut, who goes on, and that all of it comes back.
// Place: DataPlane over real sockets, with pools small enough to be filled.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct BufferTests {
    @Test("Clients that never read are cut when others have no buffers left to go on with")
    func clientsThatNeverRead() throws {
        let origin = try Origin.endless()
        let plane = try Plane(to: origin, limits: .scarce)
        var clients: [Peer] = []
        while plane.core[CoreCounter.buffersExhausted] == 0, clients.count < 36 {
            let client = try neverReading(plane.data.addresses[0])
            try eventually("its answer") { origin.seen.count > clients.count }
            clients.append(client)
            _ = try? client.responseHead()
        }
        let other = try plane.connect()
        try other.send(get())
        #expect(try other.response().text == "served")
        #expect(plane.counts(0).failed == 0)
        for client in clients { client.reset() }
        try plane.waitForRest(blocks: 64)
    }

    @Test("Connections that come and go while buffers are short leave nothing behind")
    func churn() throws {
        let gate = try Gate()
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try? gate.pass()
        }
        let plane = try Plane(to: origin, limits: .scarce)
        // Uploads that their upstream does not read take all buffers.
        var uploads: [Peer] = []
        let block = [UInt8](repeating: 1, count: 1 << 20)
        while plane.core[.buffersFree] > 4 || uploads.isEmpty, uploads.count < 30 {
            let client = try plane.connect()
            try client.send(request("POST", "/", ["content-length: 100000000"]))
            _ = try? client.pour(block, upTo: 100_000_000, stillness: .millis(10))
            uploads.append(client)
        }
        // More than the line of those who wait for buffers has places.
        for _ in 0..<600 {
            let client = try plane.connect()
            try client.send(get())
            client.reset()
        }
        gate.open()
        for upload in uploads { upload.reset() }
        try plane.waitForRest(blocks: 64)
        try eventually("the connections' end") { plane.core[.downstreams] == 0 }
    }

    @Test("An upstream that takes nothing does not stop the other uploads for long")
    func upstreamThatNeverReads() throws {
        let stuck = try Origin { peer, _ in
            _ = try peer.requestHead()
            peer.hold()
        }
        let origin = try Origin.answering { ok("\($0.body.count)") }
        var hanging = ModelPlan.trial([.version(0, "hanging", 1_000_000, [stuck.address])])
        hanging.matches = [RouteMatch(host: nil, path: .prefix("/stuck"))]
        hanging.retries.attemptsMax = 0
        var sound = ModelPlan.trial([.version(1, "sound", 1_000_000, [origin.address])])
        sound.slot = 1
        let plane = try Plane([hanging, sound], limits: .scarce)
        let block = [UInt8](repeating: 1, count: 1 << 20)
        var uploads: [Peer] = []
        for _ in 0..<12 where plane.core[CoreCounter.buffersExhausted] == 0 {
            let client = try plane.connect()
            try client.send(request("POST", "/stuck", ["content-length: 100000000"]))
            _ = try? client.pour(block, upTo: 100_000_000, stillness: .millis(30))
            uploads.append(client)
        }
        #expect(try plane.ask(post(String(repeating: "s", count: 100_000))).text == "100000")
        #expect(plane.counts(0).failed == 0)
        for upload in uploads { upload.reset() }
        try plane.waitForRest(blocks: 64)
    }

    @Test(
        "A client that awaits 100 Continue is not judged by its body's rate; a hung upstream is, by its limit"
    )
    func awaitsContinue() throws {
        let gate = try Gate()
        let origin = try Origin { peer, index in
            _ = try peer.requestHead()
            if index == 1 { return peer.hold() }
            try gate.pass()
            try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
            _ = try peer.take(4)
            try peer.send(ok("late"))
            peer.hold()
        }
        var limits = Limits()
        limits.bodyRateWindow = .millis(50)
        let plane = try Plane(to: origin, limits: limits) { $0.timeouts.firstByte = .seconds(600) }
        let expecting = request("POST", "/", ["content-length: 4", "expect: 100-continue"])
        let client = try plane.connect()
        try client.send(expecting)
        try origin.connections.wait(for: 1)
        let turns = plane.core[.turns]
        // A few rate windows pass, each of which wakes the core.
        try eventually("rate windows") { plane.core[TimeLimit.body] >= 3 || plane.core[.turns] > turns + 50 }
        gate.open()
        #expect(try client.responseHead().status == 100)
        try client.send("body")
        #expect(try client.response().text == "late")
        try plane.publish { $0.models[0].timeouts.firstByte = .millis(100) }
        let hung = try plane.connect()
        try hung.send(expecting)
        #expect(try hung.response().status == 504)
        #expect(plane.counts(0)[.timeoutFirstByte] == 1)
    }
}
