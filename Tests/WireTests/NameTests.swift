// Names: known fields, comparison without case, cookies and query parameters.
// Law: a name is recognised in any case of letters, and by nothing that differs in one byte.
// Source: RFC 9110 section 5.1, RFC 6265 section 4.2.1.

import Testing

@testable import Wire

@Suite struct NameTests {
    static let names: [KnownField: String] = [
        .connection: "connection", .keepAlive: "keep-alive", .proxyConnection: "proxy-connection", .te: "te",
        .transferEncoding: "transfer-encoding", .upgrade: "upgrade", .proxyAuthenticate: "proxy-authenticate",
        .proxyAuthorization: "proxy-authorization", .host: "host", .contentLength: "content-length",
        .trailer: "trailer", .expect: "expect", .contentType: "content-type",
        .contentEncoding: "content-encoding", .accept: "accept", .acceptEncoding: "accept-encoding",
        .acceptLanguage: "accept-language", .userAgent: "user-agent", .cookie: "cookie",
        .setCookie: "set-cookie", .authorization: "authorization", .forwarded: "forwarded",
        .forwardedFor: "x-forwarded-for", .forwardedProto: "x-forwarded-proto",
        .forwardedHost: "x-forwarded-host", .forwardedPort: "x-forwarded-port", .via: "via",
        .requestID: "x-request-id", .traceparent: "traceparent", .tracestate: "tracestate",
        .idempotencyKey: "idempotency-key", .retryAfter: "retry-after", .date: "date", .server: "server",
        .location: "location", .cacheControl: "cache-control", .etag: "etag", .weir: "x-weir-version",
    ]

    private func known(_ name: [UInt8]) -> KnownField {
        // The name in the middle of other bytes, as in a head.
        (bytes("zz") + name + bytes(": z\r\n\r\n")).span.bytes.withText {
            KnownField.named($0, at: 2, count: name.count)
        }
    }

    @Test("Every known field is recognised in any case of letters")
    func knownNames() {
        for field in KnownField.allCases where field != .none && field != .lookalike {
            guard let name = Self.names[field] else {
                Issue.record("\(field) has no name in the table")
                continue
            }
            #expect(known(bytes(name)) == field)
            #expect(known(bytes(name.uppercased())) == field)
            let capital = bytes(name.prefix(1).uppercased() + name.dropFirst())
            #expect(known(capital) == field)
        }
    }

    @Test("A name that differs in one token byte, or in length, is not known")
    func nearMisses() {
        for (field, name) in Self.names where field != .weir {
            let name = bytes(name)
            for index in name.indices {
                for value in UInt8.min ... .max where ByteClass.isToken(value) || value == 9 || value >= 0x80
                {
                    guard value | 0x20 != name[index] | 0x20 || value == 0x0D else { continue }
                    var changed = name
                    changed[index] = value
                    #expect(known(changed) != field, "\(text(changed))")
                }
                var shorter = name
                shorter.remove(at: index)
                #expect(known(shorter) != field)
                #expect(known(name + [name[index]]) != field)
            }
        }
    }

    @Test("Hop-by-hop fields are the eight of RFC 9110 and common practice")
    func hopByHop() {
        let expected: Set<KnownField> = [
            .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade, .proxyAuthenticate,
            .proxyAuthorization,
        ]
        #expect(Set(KnownField.allCases.filter(\.isHopByHop)) == expected)
    }

    private func matches(_ bytes: [UInt8], _ slice: Slice, lowercase: [UInt8]) -> Bool {
        bytes.span.bytes.matches(slice, lowercase: lowercase.span.bytes)
    }

    private func matches(_ bytes: [UInt8], _ slice: Slice, exactly other: [UInt8]) -> Bool {
        bytes.span.bytes.matches(slice, exactly: other.span.bytes)
    }

    @Test("Names are compared without case, over every length")
    func comparison() {
        let long = "abcdefghijklmnopqrstuvwxyz-0123456789"
        for count in 0...long.utf8.count {
            let name = Array(long.utf8.prefix(count))
            let upper = Array(long.uppercased().utf8.prefix(count))
            let buffer = bytes("..") + upper + bytes("..")
            let slice = Slice(start: 2, count: UInt32(count))
            #expect(matches(buffer, slice, lowercase: name))
            #expect(matches(buffer, slice, exactly: upper))
            #expect(matches(buffer, slice, exactly: name) == (name == upper))
            for index in 0..<count {
                var other = upper
                other[index] ^= 0x01
                let buffer = bytes("..") + other
                #expect(!matches(buffer, slice, lowercase: name))
                #expect(!matches(buffer, slice, exactly: upper))
            }
            #expect(!matches(buffer, slice, lowercase: (name + [0x61])))
        }
    }

    @Test("A field is named without case")
    func fieldName() {
        let buffer = bytes("X-User-Id: 7")
        let field = Field(
            name: Slice(start: 0, count: 9), value: Slice(start: 11, count: 1), known: .none,
            isHopByHop: false)
        func isNamed(_ name: String) -> Bool { field.isNamed(bytes(name).span.bytes, in: buffer.span.bytes) }
        #expect(isNamed("x-user-id"))
        #expect(!isNamed("x-user-i"))
        #expect(!isNamed("x-user-ie"))
    }

    private func cookie(_ name: String, _ list: String) -> String? {
        let buffer = bytes("Cookie: \(list)\r\nuid=9")
        let field = Slice(start: 8, count: UInt32(bytes(list).count))
        return CookieScan.value(of: bytes(name).span.bytes, in: buffer.span.bytes, field: field)
            .map { text($0, buffer) }
    }

    private func parameter(_ name: String, _ query: String) -> String? {
        let buffer = bytes("?\(query) uid=9")
        let slice = Slice(start: 1, count: UInt32(bytes(query).count))
        return QueryScan.value(of: bytes(name).span.bytes, in: buffer.span.bytes, query: slice)
            .map { text($0, buffer) }
    }

    @Test("The first cookie of a name is found, and nothing that only looks like it")
    func cookies() {
        let cases: [(String, String?)] = [
            ("uid=1", "1"), ("a=b; uid=1; uid=2", "1"), ("a=uid=2;uid=1", "1"), ("xuid=2; uid=1", "1"),
            ("uid", nil), ("uid; uid=1", "1"), ("uid=", ""), ("uid= 1 ; b", "1"), ("\t uid=1", "1"),
            ("uidx=1", nil), ("UID=1", nil), ("", nil), (";;uid=1;", "1"), ("uid=a=b", "a=b"),
            ("uid=\"x\"", "\"x\""),
            ("a=\"; uid=3\"", "3\""), ("ui", nil), ("u=d", nil), ("uid=%20", "%20"),
            ("long-name-of-a-cookie=0123456789abcdef; uid=0123456789abcdefghij", "0123456789abcdefghij"),
        ]
        for (list, value) in cases { #expect(cookie("uid", list) == value, "\(list)") }
        #expect(cookie("a-very-long-cookie-name", "a-very-long-cookie-name=1") == "1")
        #expect(cookie("a-very-long-cookie-name", "a-very-long-cookie-namf=1") == nil)
        #expect(cookie("", "=1") == nil)
    }

    @Test("The first query parameter of a name is found, and nothing that only looks like it")
    func parameters() {
        let cases: [(String, String?)] = [
            ("uid=1", "1"), ("a=b&uid=1&uid=2", "1"), ("a=uid=2&uid=1", "1"), ("xuid=2&uid=1", "1"),
            ("uid", ""),
            ("uid&x", ""), ("uid=", ""), ("uid= 1", " 1"), ("uidx=1", nil), ("UID=1", nil), ("", nil),
            ("&&uid=1&", "1"), ("uid=a=b?c", "a=b?c"), ("uid=a;b", "a;b"), ("uid%3D1", nil),
            ("uid=%31+", "%31+"),
        ]
        for (query, value) in cases { #expect(parameter("uid", query) == value, "\(query)") }
    }
}
