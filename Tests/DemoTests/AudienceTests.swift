// Users who click: the share of answers that is clicked on, and that nobody at the other end stops nothing.

import Control
import Load
import Platform
import Sidecar
import Testing

@testable import Demo

@Suite("Audience")
struct AudienceTests {
    /// A port where nobody listens.
    private func deadAdmin() throws -> AdminClient {
        let listener = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: false)
        let bound = Socket.localAddress(of: listener)
        _ = consume listener
        return AdminClient(try #require(bound), timeout: .seconds(1))
    }

    private func id() throws -> ExchangeID { try #require(ExchangeID(String(repeating: "0f", count: 24))) }

    @Test("Every answer is clicked on at 100 %, none at 0 %, and posts that fail are not accepted")
    func shares() throws {
        let audience = try Audience((wellPPM: 1_000_000, badPPM: 0), try deadAdmin())
        let id = try id()
        for _ in 0..<50 { audience.see(id, isCandidate: true) }
        let deadline = Clock.now() + .seconds(60)
        var clock = try Poller(eventsMax: 1)
        while audience.counts.posted < 50, Clock.now() < deadline { _ = clock.wait(timeoutMillis: 20) }
        audience.spoil()
        for _ in 0..<50 { audience.see(id, isCandidate: true) }
        for _ in 0..<10 { audience.see(id, isCandidate: false) }
        while audience.counts.posted < 60, Clock.now() < deadline { _ = clock.wait(timeoutMillis: 20) }
        audience.stop()
        #expect(audience.counts.posted == 60)
        #expect(audience.counts.accepted == 0)
    }

    @Test("More answers than it can look at are lost and counted, and nothing else happens")
    func bounded() throws {
        let audience = try Audience((wellPPM: 0, badPPM: 0), try deadAdmin(), waitingMax: 10)
        let id = try id()
        // Far faster than its thread takes ten of them, four times a second.
        for _ in 0..<10_000 { audience.see(id, isCandidate: false) }
        audience.stop()
        #expect(audience.lost > 0 && audience.lost < 10_000)
        #expect(audience.counts.posted == 0)
    }
}
