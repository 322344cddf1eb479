// Who called: trusted ranges, and the walk through X-Forwarded-For from the right. What is at stake is who
// may force a version and whose address a cohort sees, so every doubtful form must end the walk.
// Place: `caller` as a core calls it; the address parser against Platform's.
// Invariant tested: nothing that an untrusted hop wrote is believed.

import Platform
import Testing

@testable import Proxy

private func address(_ text: String) -> IPAddress { IPAddress(text) ?? .none }

@Suite("The caller in assignment")
struct AssignCallerTests {
    private static let trusted = [
        AddressRange(base: address("10.0.0.0"), prefixBits: 104),
        AddressRange(base: address("10.1.0.0"), prefixBits: 112),
        AddressRange(base: address("fd00::"), prefixBits: 8),
        AddressRange(base: address("127.0.0.1"), prefixBits: 128),
    ]

    private static func caller(peer: String, _ forwarded: [String]) -> Caller? {
        let table = AssignTable(models: [], trusted: trusted)
        return Ask(headers: forwarded.map { ("X-Forwarded-For", $0) }).parsed { head, parser, bytes in
            table.caller(peer: address(peer), head: head, fields: parser, bytes: bytes)
        }
    }

    @Test(
        "The client is the last hop that no trusted proxy stands behind",
        arguments: [
            ("203.0.113.1", ["10.0.0.1"], "203.0.113.1"), ("10.0.0.9", [], "10.0.0.9"),
            ("10.0.0.9", ["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.9", ["1.1.1.1, 198.51.100.7, 10.0.0.3"], "198.51.100.7"),
            ("10.0.0.9", ["1.1.1.1", "198.51.100.7,10.0.0.3", "10.2.2.2"], "198.51.100.7"),
            ("10.0.0.9", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"), ("fd12::1", ["2001:db8::5"], "2001:db8::5"),
            ("10.0.0.9", ["[2001:db8::5]:4711, 10.0.0.3:80"], "2001:db8::5"),
            ("10.0.0.9", ["198.51.100.7, unknown"], "10.0.0.9"),
            ("10.0.0.9", ["198.51.100.7, unknown, 10.0.0.3"], "10.0.0.3"),
            ("10.0.0.9", ["198.51.100.7,, 10.0.0.3"], "10.0.0.3"), ("10.0.0.9", [""], "10.0.0.9"),
            ("127.0.0.1", ["198.51.100.7\t"], "198.51.100.7"), ("127.0.0.2", ["198.51.100.7"], "127.0.0.2"),
        ] as [(String, [String], String)])
    func client(peer: String, forwarded: [String], expected: String) {
        let caller = Self.caller(peer: peer, forwarded)
        #expect(caller?.client == address(expected))
        #expect(caller?.isTrusted == (peer.hasPrefix("10.") || peer.hasPrefix("fd") || peer == "127.0.0.1"))
    }

    @Test(
        "A hop is an address with at most a port and blanks around it; nothing else is",
        arguments: [
            ("1.2.3.4", "1.2.3.4"), (" 1.2.3.4:65535\t", "1.2.3.4"), ("255.255.255.255", "255.255.255.255"),
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("[ABCD:ef::1]", "abcd:ef::1"), ("[::1]:80", "::1"), ("::ffff:1.2.3.4", "1.2.3.4"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
            ("", nil), (" ", nil), ("1.2.3", nil), ("1.2.3.4.5", nil), ("1.2.3.256", nil), ("01.2.3.4", nil),
            ("1.2.3.4:", nil), ("1.2.3.4:123456", nil), ("1.2.3.4:x", nil), ("1..3.4", nil),
            ("localhost", nil),
            (":", nil), (":::", nil), ("1:2:3:4:5:6:7", nil), ("1:2:3:4:5:6:7:8:9", nil), ("1::2::3", nil),
            ("12345::", nil), ("g::", nil), ("1:", nil), (":1", nil), ("[::1", nil), ("[::1]x", nil),
            ("::1%eth0", nil),
            ("::1.2.3", nil), ("1:2:3:4:5:6:7:1.2.3.4", nil), ("::1.2.3.4:5", nil), ("\"1.2.3.4\"", nil),
            ("1:2:3:4::5:6:7:8", nil), ("_hidden", nil),
        ] as [(String, String?)])
    func hops(text: String, expected: String?) {
        let hop = Array((text + " ").utf8).withUnsafeBytes { raw in
            raw.baseAddress.flatMap { IPAddress(hop: ByteView($0, text.utf8.count)) }
        }
        #expect(hop == expected.map(address))
    }

    @Test("The parser of hops reads every address that Platform prints")
    func roundTrip() {
        let seed = testSeed(61)
        var random = Random64(seed: seed)
        for _ in 0..<3_000 {
            var value = IPAddress(high: random.next(), low: random.next())
            for place in 0..<8 where random.below(2) == 0 {
                let mask = ~(UInt64(0xFFFF) << UInt64(place % 4 * 16))
                if place < 4 { value.high &= mask } else { value.low &= mask }
            }
            if random.below(4) == 0 { value = IPAddress(ipv4: UInt32(truncatingIfNeeded: value.low)) }
            let text = value.description
            let hop = Array(text.utf8).withUnsafeBytes { raw in
                raw.baseAddress.flatMap { IPAddress(hop: ByteView($0, raw.count)) }
            }
            #expect(hop == value, "\(text), seed \(seed)")
        }
    }

    @Test("No trusted ranges: nobody is trusted, and the peer is the client")
    func nobody() {
        let table = AssignTable(models: [], trusted: [])
        let caller = Ask(headers: [("x-forwarded-for", "1.1.1.1")]).parsed { head, parser, bytes in
            table.caller(peer: address("10.0.0.1"), head: head, fields: parser, bytes: bytes)
        }
        #expect(caller == Caller(client: address("10.0.0.1"), isTrusted: false))
    }
}
