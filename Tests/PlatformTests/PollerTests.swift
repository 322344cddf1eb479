// Laws of the poller: tokens come back as they went in, and readiness is reported once per change. They
// state what a core builds on: a short read may be taken for drained, and what was ready before it was
// watched is still reported. Source: epoll(7), "Level-triggered and edge-triggered".

import Glibc
import Platform
import Testing

private let token = Token(kind: 7, generation: 0xABCDEF, slot: 0xDEAD_BEEF)

@Suite struct PollerTests {
    @Test("A token keeps its three parts apart")
    func tokens() {
        #expect(token.kind == 7 && token.generation == 0xABCDEF && token.slot == 0xDEAD_BEEF)
        let cut = Token(kind: 255, generation: .max, slot: .max)
        #expect(cut.kind == 255 && cut.generation == 0xFF_FFFF && cut.slot == .max)
    }

    @Test("Edge-triggered: unread bytes are reported once, new bytes again")
    func edges() throws {
        let pair = Pair()
        var poller = try Poller(eventsMax: 4)
        let added = poller.add(pair.b, token: token, interest: [.readable, .peerClosed])
        #expect(added == nil)
        let quiet = poller.wait(timeoutMillis: 0)
        #expect(quiet == 0)
        _ = pair.a.sent([1])
        let first = poller.wait(timeoutMillis: 60_000)
        let event = poller[0]
        #expect(first == 1 && event.token == token && event.readiness == .readable)
        let again = poller.wait(timeoutMillis: 0)
        #expect(again == 0, "nothing changed, though the byte is still there")
        _ = pair.a.sent([2])
        let more = poller.wait(timeoutMillis: 60_000)
        #expect(more == 1)
        let bytes = pair.b.received(8)
        #expect(bytes.bytes == [1, 2])
    }

    @Test("What is ready before it is watched is reported by the first wait")
    func readyBefore() throws {
        let pair = Pair()
        _ = pair.a.sent([1])
        var poller = try Poller(eventsMax: 4)
        _ = poller.add(pair.b, token: token, interest: .readable)
        let count = poller.wait(timeoutMillis: 60_000)
        #expect(count == 1)
    }

    @Test("A change of interest re-arms what is ready already")
    func rearm() throws {
        let pair = Pair()
        _ = pair.a.sent([1])
        var poller = try Poller(eventsMax: 4)
        _ = poller.add(pair.b, token: token, interest: .readable)
        _ = poller.wait(timeoutMillis: 60_000)
        let renamed = Token(kind: 1, generation: 2, slot: 3)
        _ = poller.change(pair.b, token: renamed, interest: [.readable, .writable])
        let count = poller.wait(timeoutMillis: 60_000)
        let event = poller[0]
        #expect(count == 1 && event.token == renamed && event.readiness == [.readable, .writable])
    }

    @Test("A writer that met a full socket hears when there is room")
    func writable() throws {
        let pair = Pair()
        let chunk = [UInt8](repeating: 0, count: 64 << 10)
        while pair.a.sent(chunk) != .wouldBlock {}
        var poller = try Poller(eventsMax: 4)
        _ = poller.add(pair.a, token: token, interest: .writable)
        let full = poller.wait(timeoutMillis: 0)
        #expect(full == 0)
        while pair.b.received(1 << 20).transfer != .wouldBlock {}
        let room = poller.wait(timeoutMillis: 60_000)
        #expect(room == 1)
    }

    @Test("A peer that has finished sending is told from one that is gone")
    func ends() throws {
        let connection = try TCPPair()
        var poller = try Poller(eventsMax: 4)
        _ = poller.add(connection.server, token: token, interest: [.readable, .peerClosed])
        connection.client.shutdownWrite()
        _ = poller.wait(timeoutMillis: 60_000)
        let half = poller[0].readiness
        #expect(half == [.readable, .peerClosed])
        connection.server.shutdownWrite()
        _ = poller.wait(timeoutMillis: 60_000)
        let both = poller[0].readiness
        #expect(both.contains(.hangUp))
    }

    @Test("A removed descriptor is silent, and can be added again")
    func remove() throws {
        let pair = Pair()
        var poller = try Poller(eventsMax: 4)
        _ = poller.add(pair.b, token: token, interest: .readable)
        poller.remove(pair.b)
        _ = pair.a.sent([1])
        let silent = poller.wait(timeoutMillis: 0)
        #expect(silent == 0)
        let added = poller.add(pair.b, token: token, interest: .readable)
        #expect(added == nil)
        let heard = poller.wait(timeoutMillis: 60_000)
        #expect(heard == 1)
    }

    @Test("Adding twice and changing the unknown are errors, not traps")
    func misuse() throws {
        let pair = Pair()
        let poller = try Poller(eventsMax: 4)
        let unknown = poller.change(pair.b, token: token, interest: .readable)
        #expect(unknown == .noSuchFile)
        _ = poller.add(pair.b, token: token, interest: .readable)
        let twice = poller.add(pair.b, token: token, interest: .readable)
        #expect(twice == .exists)
    }

    @Test("More events than room come with the next wait")
    func overflow() throws {
        var pairs = Slab<Pair>(capacity: 3)
        var poller = try Poller(eventsMax: 2)
        while let slot = pairs.insert(Pair()) {
            let pair = pairs.pointer(slot)
            _ = poller.add(
                pair.pointee.b, token: Token(kind: 0, generation: 0, slot: slot.index), interest: .readable)
            _ = pair.pointee.a.sent([1])
        }
        var slots: Set<UInt32> = []
        while true {
            let count = poller.wait(timeoutMillis: 0)
            if count == 0 { break }
            for i in 0..<count { slots.insert(poller[i].token.slot) }
        }
        #expect(slots == [0, 1, 2])
    }

    @Test("A wakeup wakes the poller, once for many signals, and again after it was drained")
    func wakeup() throws {
        let wakeup = try Wakeup()
        var poller = try Poller(eventsMax: 4)
        _ = poller.add(wakeup.descriptor, token: token, interest: .readable)
        for _ in 0..<10 { wakeup.signal() }
        let first = poller.wait(timeoutMillis: 60_000)
        #expect(first == 1)
        wakeup.drain()
        let quiet = poller.wait(timeoutMillis: 0)
        #expect(quiet == 0)
        wakeup.signal()
        let second = poller.wait(timeoutMillis: 60_000)
        #expect(second == 1)
    }
}
