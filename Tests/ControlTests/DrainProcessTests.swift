// The end of the built binary: what a load balancer, a client and a supervisor see of SIGTERM.
// Place: a process with two scripted upstreams.

import Foundation
import Platform
import Testing

@testable import Control
@testable import Sidecar

private let half = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf"

@Suite(.enabled(if: builtWeir != nil, "the weir executable was not built"), .serialized)
struct DrainProcessTests {
    private func start(_ drain: String) throws -> (WeirProcess, SocketAddress) {
        let running = try WeirProcess()
        try running.configure(weight: "0%", extra: "drain: \(drain)")
        try running.start()
        let text = try #require(try running.status()["listeners"]?[0]?.string)
        return (running, try #require(SocketAddress(text)))
    }

    private func client(_ address: SocketAddress, _ path: String) throws -> RawClient {
        let client = try RawClient(address)
        client.send("GET \(path) HTTP/1.1\r\nhost: a\r\n\r\n")
        return client
    }

    private func ready(_ running: WeirProcess) -> Int? {
        try? AdminClient(running.admin).get("/readyz").status
    }

    @Test("Until the delay is over new clients are served though not ready, then the listeners close; exit 0")
    func delay() throws { try calmly(from: .seconds(4), delays) }

    /// False: the delay was over before its clients had come.
    private func delays(_ delay: Interval) throws -> Bool {
        let (running, address) = try start("{ delay: \(delay.millis / 1_000)s, deadline: 10m }")
        let begin = Clock.now()
        running.signal(SIGTERM)
        let isUnready = eventually { ready(running) == 503 || Clock.now() - begin >= delay }
        let during = try? client(address, "/during")
        let reply = during?.receive { $0.hasSuffix("ok") } ?? ""
        // One that is open when the listeners close is waited for.
        running.stable.set(.silence)
        let open = try? client(address, "/open")
        let hasCome = eventually { running.stable.count == 2 || Clock.now() - begin >= delay }
        guard hasCome, Clock.now() - begin < delay, let open else { return false }
        #expect(isUnready)
        #expect(reply.hasPrefix("HTTP/1.1 200 OK"))
        #expect(eventually { (try? RawClient(address).send("x")) != true })
        #expect(running.process.isRunning)
        running.stable.release("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast")
        #expect(open.receive().contains("connection: close\r\n\r\nlast"))
        #expect(try running.exitCode() == 0)
        #expect(running.log.contains("drained, stopped"))
        #expect(running.log.contains("listeners close in "))
        return true
    }

    @Test("At the deadline streams end with a reset, waiting requests with 503; a line for each, exit 1")
    func deadline() throws {
        let (running, address) = try start("{ deadline: 1s }")
        running.stable.set(.kept(half))
        let stream = try client(address, "/stream")
        _ = stream.receive { $0.contains("half") }
        running.stable.set(.silence)
        let waiting = try client(address, "/waiting")
        #expect(eventually { running.stable.count == 2 })
        running.signal(SIGTERM)
        #expect(waiting.receive().hasSuffix("{\"error\":\"draining\"}\n"))
        _ = stream.receive()
        #expect(stream.wasReset)
        #expect(try running.exitCode() == 1)
        let log = running.log
        #expect(log.contains("drain deadline (1s) reached, 2 requests were cut; stopped"), "\(log)")
        for (path, outcome) in [("/stream", "drain_cut"), ("/waiting", "local_refusal")] {
            let line = log.split(separator: "\n").first { $0.contains("\"path\":\"\(path)\"") }
            #expect(line?.contains("cut at the drain deadline: ") == true, "\(log)")
            #expect(line?.contains("\"outcome\":\"\(outcome)\"") == true, "\(log)")
        }
    }

    @Test("A reload changes the times of the drain; a second signal exits at once, whatever they are")
    func reload() throws {
        let (running, address) = try start("{ delay: 0s, deadline: 1h }")
        running.stable.set(.silence)
        let open = try client(address, "/open")
        #expect(eventually { running.stable.count == 1 })
        try running.configure(weight: "0%", extra: "drain: { delay: 30m, deadline: 1h }")
        running.signal(SIGHUP)
        #expect(eventually { running.log.contains("drain: delay 0s, deadline 1h -> delay 30m, deadline 1h") })
        running.signal(SIGTERM)
        #expect(eventually { ready(running) == 503 && running.log.contains("listeners close in 30m") })
        running.signal(SIGTERM)
        #expect(try running.exitCode() == 128 + SIGTERM)
        _ = open.receive()
    }
}
