// No peer keeps the core: whoever floods gets slices, and the requests of others, timers and plans have their
// turn meanwhile.
// Place: DataPlane over real sockets, one core. Orderings and counts: neighbours are answered while the
// flood is seen to go on. Nothing is timed but by the patience of clients, which a core that is kept never
// meets.

import Metrics
import Platform
import Synchronization
import Testing

@testable import Proxy

/// What a flooding peer sends without end.
enum Flood: String, CaseIterable {
    case largeChunks, smallChunks, untilClose, long

    /// What frames it in a head.
    var field: String {
        switch self {
        case .largeChunks, .smallChunks: "transfer-encoding: chunked"
        case .untilClose: "connection: close"
        case .long: "content-length: \(1 << 50)"
        }
    }

    /// What is repeated.
    var piece: [UInt8] {
        switch self {
        case .largeChunks: Array("10000\r\n".utf8) + [UInt8](repeating: 0x61, count: 1 << 16) + [13, 10]
        case .smallChunks: [UInt8](repeatElement(Array("1\r\na\r\n".utf8), count: 16_384).joined())
        case .untilClose, .long: [UInt8](repeating: 0x61, count: 1 << 18)
        }
    }
}

/// Threads that flood, or read what floods, until the test is over.
final class Flow: Sendable {
    /// One for every piece that was sent or taken.
    let pieces: Notes<Int>
    private let isOver = Atomic<Bool>(false)
    private let threads = Mutex<[Thread]>([])

    init() throws { pieces = try Notes() }

    var goesOn: Bool { !isOver.load(ordering: .acquiring) }

    /// Sends the piece over and over.
    func pour(_ peer: Peer, _ piece: [UInt8]) throws {
        while goesOn {
            try peer.send(piece)
            pieces.add(piece.count)
        }
    }

    /// Reads and forgets.
    func drink(_ peer: Peer) throws {
        while goesOn, try peer.more("more") { try peer.discard(peer.buffer.count) }
    }

    /// Runs a peer of its own on a thread of its own.
    func run(_ address: SocketAddress, _ body: @escaping @Sendable (Peer, Flow) throws -> Void) throws {
        let thread = try Thread.spawn(name: "flow") { [self] in
            // An error is the end of the flow, which the test sees by its silence.
            try? body(Peer(to: address), self)
        }
        threads.withLock { $0.append(thread) }
    }

    func stop() {
        isOver.store(true, ordering: .releasing)
        for thread in threads.withLock({ $0 }) { thread.join() }
    }
}

@Suite(.serialized) struct FairnessTests {
    /// Three models on one core: /flood, /hung (which never answers) and all the rest.
    private static func plane(
        _ wild: Origin, _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws -> (Plane, [Origin]) {
        let hung = try Origin { peer, _ in
            while try peer.request() != nil {}
        }
        let calm = try Origin.named("calm")
        var models: [ModelPlan] = []
        for (slot, (path, origin)) in [("/flood", wild), ("/hung", hung), ("/", calm)].enumerated() {
            models.append(
                ModelPlan(
                    slot: slot, name: "m\(slot)", matches: [RouteMatch(host: nil, path: .prefix(path))],
                    versions: [.version(2 * slot, "v\(slot)", 1_000_000, [origin.address])], stable: 0))
        }
        change(&models[0])
        models[1].timeouts.firstByte = .millis(50)
        return (try Plane(models), [wild, hung, calm])
    }

    /// While more of the flood passes each time: neighbours are answered, a time limit comes, plans are
    /// obeyed.
    private static func expectOthersServed(_ plane: Plane, during flow: Flow) throws {
        let neighbour = try plane.connect()
        for _ in 0..<10 {
            try flow.pieces.wait(for: flow.pieces.count + 1)
            try neighbour.send(get("/calm"))
            #expect(try neighbour.response().text == "calm")
        }
        try flow.pieces.wait(for: flow.pieces.count + 1)
        #expect(try plane.ask(get("/hung")).reason == "upstream_first_byte_timeout")
        try flow.pieces.wait(for: flow.pieces.count + 1)
        try plane.publish { _ in }
        try flow.pieces.wait(for: flow.pieces.count + 1)
    }

    @Test(
        "Beside an answer without end that its client reads, all others are served", arguments: Flood.allCases
    )
    func answers(_ flood: Flood) throws {
        let flow = try Flow()
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\n\(flood.field)\r\n\r\n")
            try flow.pour(peer, flood.piece)
        }
        let (plane, others) = try Self.plane(origin)
        try flow.run(plane.data.addresses[0]) { peer, flow in
            try peer.send(get("/flood"))
            try flow.drink(peer)
        }
        defer { flow.stop() }
        try withExtendedLifetime(others) { try Self.expectOthersServed(plane, during: flow) }
    }

    @Test(
        "Beside an upload without end that its server reads, all others are served",
        arguments: [Flood.largeChunks, .smallChunks, .long])
    func uploads(_ flood: Flood) throws {
        let flow = try Flow()
        let origin = try Origin { peer, _ in
            _ = try peer.requestHead()
            try flow.drink(peer)
        }
        let (plane, others) = try Self.plane(origin)
        try flow.run(plane.data.addresses[0]) { peer, flow in
            try peer.send(request("POST", "/flood", [flood.field]))
            try flow.pour(peer, flood.piece)
        }
        defer { flow.stop() }
        try withExtendedLifetime(others) { try Self.expectOthersServed(plane, during: flow) }
    }

    @Test("Beside a shadow that answers without end, requests are answered", arguments: Flood.allCases)
    func copies(_ flood: Flood) throws {
        let flow = try Flow()
        let shadow = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\n\(flood.field)\r\n\r\n")
            try flow.pour(peer, flood.piece)
        }
        let (plane, others) = try Self.plane(try .named("copied")) { model in
            model.versions.append(.version(1, "shadow", 0, [shadow.address]))
            model.shadow = ShadowPlan(version: 1, ppm: 1_000_000, ageMax: .seconds(600))
        }
        defer { flow.stop() }
        #expect(try plane.ask(get("/flood")).text == "copied")
        try withExtendedLifetime(others) { try Self.expectOthersServed(plane, during: flow) }
    }

    @Test("Beside a tunnel in which both sides talk without end, all others are served")
    func tunnels() throws {
        let flow = try Flow()
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            while flow.goesOn {
                try peer.send(Flood.long.piece)
                try peer.discard(Flood.long.piece.count)
            }
        }
        let (plane, others) = try Self.plane(origin)
        for _ in 0..<2 {
            try flow.run(plane.data.addresses[0]) { peer, flow in
                try peer.send(get("/flood", "connection: upgrade", "upgrade: x"))
                guard try peer.responseHead().status == 101 else { return }
                while flow.goesOn {
                    try peer.discard(Flood.long.piece.count)
                    try peer.send(Flood.long.piece)
                    flow.pieces.add(1)
                }
            }
        }
        defer { flow.stop() }
        try withExtendedLifetime(others) { try Self.expectOthersServed(plane, during: flow) }
    }

    @Test(
        "Beside clients that pipeline requests which Weir answers itself, all are served, and so are they"
    )
    func pipelines() throws {
        let flow = try Flow()
        let refusing = try RefusingAddress()
        let origin = try Origin.named("never asked")
        let (plane, others) = try Self.plane(origin) { model in
            model.versions[0].endpoints[0].address = refusing.address
        }
        let count = 500
        try flow.run(plane.data.addresses[0]) { peer, flow in
            while flow.goesOn {
                try peer.send(String(repeating: get("/flood"), count: count))
                for _ in 0..<count {
                    guard try peer.response().reason == "upstream_connect_failed" else { return }
                    flow.pieces.add(1)
                }
            }
        }
        defer { flow.stop() }
        try withExtendedLifetime(others) { try Self.expectOthersServed(plane, during: flow) }
    }

    @Test("Beside a client that goes on sending after it was refused, all others are served")
    func lingering() throws {
        let flow = try Flow()
        var limits = Limits()
        limits.lingerDeadline = .seconds(60)
        let calm = try Origin.named("calm")
        let plane = try Plane(to: calm, limits: limits)
        try flow.run(plane.data.addresses[0]) { peer, flow in
            try peer.send("nonsense\r\n\r\n")
            guard try peer.response().status == 400 else { return }
            try flow.pour(peer, Flood.long.piece)
        }
        defer { flow.stop() }
        let neighbour = try plane.connect()
        for _ in 0..<10 {
            try flow.pieces.wait(for: flow.pieces.count + 1)
            try neighbour.send(get())
            #expect(try neighbour.response().text == "calm")
        }
        try flow.pieces.wait(for: flow.pieces.count + 1)
    }

    // MARK: Interim heads

    private static let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"

    @Test(
        "A response may have 32 interim heads; the 33rd is a 502 and the version's protocol error",
        arguments: [0, 1])
    func interimHeads(_ minorVersion: Int) throws {
        let origin = try Origin { peer, index in
            _ = try peer.request()
            let answer = ok("done", "connection: close")
            try peer.send(String(repeating: Self.hint, count: 32 + index) + answer)
        }
        let plane = try Plane(to: origin)
        for status in [200, 502] {
            let client = try plane.connect()
            try client.send("GET / HTTP/1.\(minorVersion)\r\nhost: m\r\nconnection: close\r\n\r\n")
            let response = try client.response()
            #expect(response.status == status)
            #expect(status == 200 || response.reason == "upstream_protocol_error")
        }
        try plane.waitForRest()
        let counts = plane.counts(0)
        #expect(counts[.success] == 1 && counts[.protocolError] == 1)
    }

    @Test("A copy's response may have 32 interim heads; the 33rd ends the copy as a protocol error")
    func interimHeadsOfCopies() throws {
        let stable = try Origin.named("stable")
        let shadow = try Origin { peer, index in
            _ = try peer.request()
            try peer.send(String(repeating: Self.hint, count: 33) + ok("done"))
            peer.hold()
        }
        let plane = try ShadowTests.plane(stable, shadow: shadow.address)
        #expect(try plane.ask().text == "stable")
        let failed = Int(Outcome.protocolError.rawValue)
        try eventually("the copy's end") { plane.counts(1).shadowOutcomes[failed] == 1 }
    }

    @Test("Interim heads without end do not outlive the 33rd, whoever they go to, and hold up nobody")
    func endlessInterimHeads() throws {
        let flow = try Flow()
        let wild: Origin.Script = { peer, _ in
            _ = try peer.request()
            try flow.pour(peer, Array(String(repeating: Self.hint, count: 4_000).utf8))
        }
        let (candidate, shadow) = (try Origin(wild), try Origin(wild))
        let stable = try Origin.named("stable")
        var model = ModelPlan.trial([
            .version(0, "stable", 500_000, [stable.address]),
            .version(1, "candidate", 500_000, [candidate.address]),
            .version(2, "shadow", 0, [shadow.address]),
        ])
        for version in 1...2 { model.versions[version].ejection.consecutiveFailures = 0 }
        model.shield = false
        model.shadow = ShadowPlan(version: 2, ppm: 1_000_000)
        let plane = try Plane([model])
        defer { flow.stop() }
        let answers = try (0..<40).map { _ in try plane.ask().status }
        #expect(answers.allSatisfy { $0 == 200 || $0 == 502 })
        try eventually("the copies' ends") { plane.core[.shadows] == 0 }
        #expect(plane.counts(1)[.protocolError] == UInt64(answers.count { $0 == 502 }))
        #expect(answers.contains(502) && answers.contains(200))
        let copies = plane.counts(2)
        #expect(copies.shadowOutcomes[Int(Outcome.protocolError.rawValue)] == copies.shadowSent)
    }

    @Test("An interim head is no answer: the limit of the first byte comes although they do")
    func firstByteBehindInterimHeads() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send(String(repeating: Self.hint, count: 10))
            peer.hold()
        }
        let plane = try Plane(to: origin) { $0.timeouts.firstByte = .millis(100) }
        #expect(try plane.ask().reason == "upstream_first_byte_timeout")
        #expect(plane.counts(0)[.timeoutFirstByte] == 1)
    }
}
