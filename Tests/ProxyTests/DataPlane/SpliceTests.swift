// Long bodies that pass inside the kernel: they arrive as they were sent, whoever is slow; what must be seen
// by somebody else is read; a body that breaks off leaves nothing behind.
// Place: DataPlane over real sockets. The counter of spliced bytes says which way a body took.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct SpliceTests {
    /// Bytes whose order shows: numbered lines.
    private static func pattern(_ count: Int) -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(count + 1_000)
        let rest = String(repeating: ".", count: 990)
        while bytes.count < count { bytes.append(contentsOf: "\(bytes.count) \(rest)\n".utf8) }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    private static let sizes = [(64 << 10) - 1, 64 << 10, (128 << 10) - 1, 200_000, (320 << 10) + 7, 3 << 20]

    @Test(
        "A long answer arrives as it was sent, and so does the next one on the connection", arguments: sizes)
    func responses(_ size: Int) throws {
        let body = Self.pattern(size)
        let origin = try Origin { peer, _ in
            while try peer.request() != nil {
                try peer.send("HTTP/1.1 200 OK\r\ncontent-length: \(body.count)\r\n\r\n")
                try peer.send(body)
            }
        }
        let plane = try Plane(to: origin)
        for receiveBytes in [nil, 64 << 10] as [Int32?] {
            let client = try plane.connect(receiveBytes: receiveBytes)
            for _ in 0..<3 {
                try client.send(get() + get())
                for _ in 0..<2 {
                    _ = try client.responseHead()
                    #expect(try client.take(size) == body)
                }
            }
        }
        try plane.waitForRest()
        let counts = plane.counts(0)
        #expect(counts[.success] == 12)
        #expect(counts.bytesOut == UInt64(12 * size))
        #expect(size < 1 << 20 || plane.core[.splicedBytes] > UInt64(6 * size))
        #expect(size >= 64 << 10 || plane.core[.splicedBytes] == 0)
    }

    @Test("A long answer and a long upload pass between TCP and a Unix socket as well")
    func overUnix() throws {
        let body = Self.pattern(3 << 20)
        let path = "/tmp/weir-splice-\(Entropy.word()).sock"
        defer { _ = try? File.remove(path) }
        let origin = try Origin(on: .unix(path: path)) { peer, _ in
            while true {
                _ = try peer.requestHead()
                let isWhole = try peer.take(body.count) == body
                try peer.send("HTTP/1.1 \(isWhole ? 200 : 500) X\r\ncontent-length: \(body.count)\r\n\r\n")
                try peer.send(body)
            }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<3 {
            try client.send(request("POST", "/", ["content-length: \(body.count)"]))
            try client.send(body)
            #expect(try client.responseHead().status == 200)
            #expect(try client.take(body.count) == body)
        }
        try plane.waitForRest()
        #expect(plane.core[.splicedBytes] > UInt64(4 * body.count))
    }

    @Test("A long upload arrives as it was sent, also where the server reads slowly")
    func requests() throws {
        let body = Self.pattern(5 << 20)
        let begin = try Gate()
        let origin = try Origin { peer, _ in
            while true {
                _ = try peer.requestHead()
                try begin.pass()
                let isWhole = try peer.take(body.count) == body
                try peer.send(ok(isWhole ? "whole" : "broken"))
            }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        for _ in 0..<3 {
            try client.send(request("POST", "/", ["content-length: \(body.count)"]))
            let sent = try client.pour(body, upTo: body.count)
            begin.open()
            try client.send(Array(body[sent...]))
            #expect(try client.response().text == "whole")
        }
        try plane.waitForRest()
        #expect(plane.counts(0).bytesIn == UInt64(3 * body.count))
        #expect(plane.core[.splicedBytes] > UInt64(2 * body.count))
    }

    @Test("More long answers than there are pipes all arrive, and the pipes are used again")
    func manyAtOnce() throws {
        let body = Self.pattern(1 << 20)
        let origin = try Origin { peer, _ in
            while try peer.request() != nil {
                try peer.send("HTTP/1.1 200 OK\r\ncontent-length: \(body.count)\r\n\r\n")
                try peer.send(body)
            }
        }
        let plane = try Plane(to: origin)
        for _ in 0..<2 {
            var clients: [Peer] = []
            for _ in 0..<Limits().pipesMax + 16 {
                let client = try plane.connect(receiveBytes: 64 << 10)
                try client.send(get())
                clients.append(client)
            }
            // Nobody reads: each holds a pipe, or blocks where there is none.
            for client in clients { _ = try client.responseHead() }
            for client in clients { #expect(try client.take(body.count) == body) }
        }
        try plane.waitForRest()
        #expect(plane.counts(0)[.success] == UInt64(2 * (Limits().pipesMax + 16)))
        #expect(plane.core[.splicedBytes] > 0)
    }

    @Test("A long answer that breaks off is a reset for the client and a failure of the version")
    func brokenAnswer() throws {
        let part = Self.pattern(2 << 20)
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: \(part.count * 2)\r\n\r\n")
            try peer.send(part)
        }
        let plane = try Plane(to: origin)
        for _ in 0..<Limits().pipesMax + 4 {
            let client = try plane.connect()
            try client.send(get())
            _ = try client.responseHead()
            #expect(try client.end() == .reset)
        }
        try plane.waitForRest()
        #expect(plane.counts(0).failed == UInt64(Limits().pipesMax + 4))
        #expect(plane.core[.splicedBytes] > 0)
    }

    @Test("A client that leaves a long answer is no failure, and its pipe is not missed")
    func clientLeaves() throws {
        let body = Self.pattern(4 << 20)
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\ncontent-length: \(body.count)\r\n\r\n")
            try peer.send(body)
        }
        let plane = try Plane(to: origin)
        for _ in 0..<Limits().pipesMax + 4 {
            let client = try plane.connect(receiveBytes: 64 << 10)
            try client.send(get())
            _ = try client.responseHead()
            _ = try client.take(100_000)
            client.reset()
        }
        try plane.waitForRest()
        #expect(plane.counts(0).failed == 0)
        let spliced = plane.core[.splicedBytes]
        let last = try plane.connect()
        try last.send(get())
        _ = try last.responseHead()
        #expect(try last.take(body.count) == body)
        #expect(plane.core[.splicedBytes] > spliced)
    }

    @Test("A server that leaves in the middle of a long upload ends the exchange")
    func serverLeaves() throws {
        let body = Self.pattern(8 << 20)
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            _ = try peer.take(1 << 20)
            peer.reset()
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: \(body.count)"]))
        _ = try? client.pour(body, upTo: body.count, stillness: .millis(50))
        #expect(try client.response().status == 502)
        client.close()
        try plane.waitForRest()
        #expect(plane.counts(0).failed == 1)
    }

    @Test("A long upload reaches the shadow too: it is read, not spliced")
    func shadowed() throws {
        let body = Self.pattern(700_000)
        let script: Origin.Script = { peer, _ in
            _ = try peer.requestHead()
            try peer.send(ok(try peer.take(body.count) == body ? "whole" : "broken"))
        }
        let (primary, shadow) = (try Origin(script), try Origin(script))
        var model = ModelPlan.trial([
            .version(0, "stable", 1_000_000, [primary.address]), .version(1, "copy", 0, [shadow.address]),
        ])
        model.shadow = ShadowPlan(version: 1, ppm: 1_000_000, bodyBytesMax: 1 << 20)
        let plane = try Plane([model])
        let client = try plane.connect()
        try client.send(request("POST", "/", ["content-length: \(body.count)"]))
        try client.send(body)
        #expect(try client.response().text == "whole")
        try plane.waitForRest()
        #expect(plane.counts(1).shadowOutcomes[Int(Outcome.success.rawValue)] == 1)
        #expect(plane.core[.splicedBytes] == 0)
    }
}
