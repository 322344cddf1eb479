// Laws of the text of addresses: printing and parsing are inverses, and what is ambiguous is refused. The
// table of refusals holds the spellings that other parsers let through: signs, blanks, leading zeros,
// short forms, digits that are not ASCII. Source: RFC 4291 section 2.2, RFC 5952.

import Platform
import Testing

@Suite struct AddressTextTests {
    @Test(
        "An address reads and prints as itself",
        arguments: [
            "127.0.0.1:9001", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:8080",
            "[2001:db8::8:800:200c:417a]:443", "[fe80::1]:1", "unix:/run/x.sock", "unix:weir.sock",
            "unix:/a:b",
        ])
    func canonical(text: String) throws {
        let address = try #require(SocketAddress(text))
        #expect(address.description == text)
    }

    @Test(
        "Other spellings of an address print in the canonical one",
        arguments: [
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"), ("[::ffff:7f00:1]:80", "127.0.0.1:80"),
            ("[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"), ("[0:0:0:0:0:0:0:0]:1", "[::]:1"),
        ])
    func spellings(text: String, canonical: String) throws {
        let address = try #require(SocketAddress(text))
        #expect(address.description == canonical)
    }

    @Test(
        "What is not exactly an address is refused",
        arguments: [
            "", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+80", "127.0.0.1:080",
            "127.0.0.1:-1", "127.0.0.1: 80", " 127.0.0.1:80", "127.0.0.1:80 ", "127.1:80", "127.0.0.01:80",
            "127.0.0.256:80", "[127.0.0.1]:80", "::1:80", "[::1]", "[::1]80", "[::1", "[]:80", "[::1%lo]:80",
            "[[::1]]:80", "localhost:80", "unix:", "unix:/a\0b", "127.0.0.1\0:80", "127.0.0.1:٨٠",
        ])
    func refused(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test("Every IP address survives its text and the kernel's form", arguments: seeds(4))
    func roundTrip(seed: UInt64) throws {
        var random = Random64(seed: seed)
        for _ in 0..<2_000 {
            let address: IPAddress
            switch random.below(4) {
            case 0: address = IPAddress(ipv4: UInt32(truncatingIfNeeded: random.next()))
            case 1: address = IPAddress(high: 0, low: random.next() >> random.below(64))
            case 2: address = IPAddress(high: random.next() & random.next() & random.next(), low: 1)
            default: address = IPAddress(high: random.next(), low: random.next())
            }
            #expect(IPAddress(address.description) == address)
            let endpoint = SocketAddress.ip(address, port: UInt16(truncatingIfNeeded: random.next()))
            #expect(SocketAddress(endpoint.description) == endpoint)
            #expect(RawAddress(endpoint) != nil)
        }
    }

    @Test("The text can be written without a String")
    func written() {
        let address = IPAddress(ipv4: 0x0A00_00FF)
        var room = [UInt8](repeating: 0xEE, count: IPAddress.textBytesMax)
        let count = room.withUnsafeMutableBytes { address.writeText(into: $0) }
        #expect(String(decoding: room[..<count], as: UTF8.self) == "10.0.0.255")
    }

    @Test("A host and a port split at the last colon, names too")
    func split() throws {
        let name = try #require(SocketAddress.split("model.svc:8080"))
        #expect(name == ("model.svc", 8080))
        let six = try #require(SocketAddress.split("[::1]:80"))
        #expect(six == ("::1", 80))
        #expect(SocketAddress.split("model.svc") == nil)
        #expect(SocketAddress.split("model.svc:http") == nil)
        #expect(SocketAddress.split("::1:80") == nil)
    }
}
