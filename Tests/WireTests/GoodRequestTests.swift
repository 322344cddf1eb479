// What a well-formed request head means: target, authority, framing, flags, fields.
// Law: the reading is the one that the RFC gives, and limits are met exactly.
// Source: RFC 9112 sections 3, 6 and 9; RFC 9110 sections 7.6.1, 7.8 and 10.1.1.

import Testing

@testable import Wire

@Suite struct GoodRequestTests {
    @Test("A usual request is read as it stands")
    func usual() {
        let text =
            "POST /v2/models/iris/infer?x=1 HTTP/1.1\r\nHost: a.example:8080\r\n"
            + "Content-Type: application/json\r\nContent-Length: 42\r\nX-User-Id: u-7\r\n\r\nrest"
        #expect(
            request(text)
                == .read(
                    Reading(
                        start: [
                            "post", "POST", "origin", "/v2/models/iris/infer?x=1", "/v2/models/iris/infer",
                            "x=1", "a.example:8080", "1.1",
                        ],
                        fields: [
                            "Host=a.example:8080:host", "Content-Type=application/json:contentType",
                            "Content-Length=42:contentLength", "X-User-Id=u-7:none",
                        ],
                        framing: .length(42), flags: ["keep", "query"], byteCount: text.utf8.count - 4)))
    }

    /// What the tables below compare: target parts, authority, framing and flags.
    struct Meaning: CustomTestStringConvertible, Sendable {
        var text: String
        var form = "origin"
        var path = "/"
        var query = ""
        var authority = "a"
        var framing = BodyFraming.none
        var flags = ["keep"]

        var testDescription: String { text.debugDescription }
    }

    static let meanings: [Meaning] = [
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.0\r\n\r\n", authority: "", flags: []),
        Meaning(text: "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", flags: []),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: , x ,CLOSE\r\n\r\n", flags: []),
        Meaning(
            text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
            flags: []),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n"),
        Meaning(text: "GET /? HTTP/1.1\r\nHost: a\r\n\r\n", flags: ["keep", "query"]),
        Meaning(
            text: "GET /a//b/../c?d=/?e HTTP/1.1\r\nHost: a\r\n\r\n", path: "/a//b/../c", query: "d=/?e",
            flags: ["keep", "query"]),
        Meaning(
            text: "GET HTTP://B.example:80/p?q HTTP/1.1\r\nHost: a\r\n\r\n", form: "absolute", path: "/p",
            query: "q", authority: "B.example:80", flags: ["keep", "query"]),
        Meaning(text: "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", form: "absolute", authority: "b"),
        Meaning(
            text: "GET https://b?q HTTP/1.1\r\nHost: a\r\n\r\n", form: "absolute", query: "q", authority: "b",
            flags: ["keep", "query"]),
        Meaning(text: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", form: "asterisk", path: "*"),
        Meaning(text: "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", form: "asterisk", authority: "b"),
        Meaning(text: "OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", form: "absolute", authority: "b"),
        Meaning(
            text: "OPTIONS http://b? HTTP/1.1\r\nHost: a\r\n\r\n", form: "absolute", authority: "b",
            flags: ["keep", "query"]),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:1\r\nTransfer-Encoding:chunked\r\n\r\n",
            authority: "[::ffff:1.2.3.4]:1", framing: .chunked),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost:a:\r\nContent-Length:\t007 \r\n\r\n", authority: "a:",
            framing: .length(7)),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
            framing: .length(99_999_999)),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 123456789\r\n\r\n",
            framing: .length(123_456_789)),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
            framing: .length(UInt64(Int64.max))),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-CONTINUE\r\n\r\n",
            framing: .length(5), flags: ["keep", "expect"]),
        Meaning(
            text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
            framing: .length(0)),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"),
        Meaning(
            text: "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
            framing: .length(5), flags: []),
        Meaning(
            text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            flags: ["keep", "upgrade"]),
        Meaning(
            text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo/2, websocket\r\n\r\n",
            flags: ["keep", "upgrade"]),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"),
        Meaning(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nUpgrade: y\r\n\r\n"),
        Meaning(
            text: "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", flags: []),
    ]

    @Test("Target, authority, framing and flags follow the RFC", arguments: meanings)
    func meaning(_ meaning: Meaning) throws {
        guard case .read(let reading) = request(meaning.text) else {
            Issue.record("\(request(meaning.text))")
            return
        }
        #expect(reading.start[2] == meaning.form)
        #expect(reading.start[4] == meaning.path)
        #expect(reading.start[5] == meaning.query)
        #expect(reading.start[6] == meaning.authority)
        #expect(reading.framing == meaning.framing)
        #expect(reading.flags == meaning.flags)
        #expect(reading.byteCount == meaning.text.unicodeScalars.count)
    }

    @Test("Methods are recognised exactly, and any other token is passed on")
    func methods() {
        let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
        let others = ["get", "GETS", "X", "M-SEARCH", "BASELINE-CONTROL", "_", "CONNEC", "TRACER", "TRAC"]
        for name in names + others {
            guard case .read(let reading) = request("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n") else {
                Issue.record("\(name) was not read")
                continue
            }
            #expect(reading.start[0] == (names.contains(name) ? name.lowercased() : "other"))
            #expect(reading.start[1] == name)
        }
    }

    @Test("Hop-by-hop fields are marked: by themselves and where Connection names them")
    func hopByHop() {
        let text =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, te ,x-Gone\r\nTE: trailers\r\n"
            + "x-hop: 1\r\nX-HOP: 2\r\nX-Hops: 3\r\nKeep-Alive: 5\r\n"
            + "Proxy-Connection: x\r\nUpgrade: x\r\nProxy-Authorization: b\r\n"
            + "Proxy-Authenticate: b\r\nTrailer: y\r\nCookie: c\r\n\r\n"
        guard case .read(let reading) = request(text) else {
            Issue.record("\(request(text))")
            return
        }
        let passing = reading.fields.filter { !$0.hasPrefix("!") }.map { $0.prefix { $0 != "=" } }
        #expect(passing == ["Host", "X-Hops", "Trailer", "Cookie"])
    }

    @Test("Blanks around a value are no part of it, blanks and tabs inside are")
    func blanks() {
        let text =
            "GET / HTTP/1.1\r\nHost: \t a\t \r\na:\r\nb: \r\nc:x\r\n"
            + "d:  x  y\tz \t\r\ne:\u{e9}\r\nf:\t\r\n\r\n"
        guard case .read(let reading) = request(text) else {
            Issue.record("\(request(text))")
            return
        }
        #expect(
            reading.fields == [
                "Host=a:host", "a=:none", "b=:none", "c=x:none", "d=x  y\tz:none", "e=\u{e9}:none", "f=:none",
            ])
    }

    @Test("Limits are met exactly and no further")
    func limits() {
        let limits = HeadLimits(lineBytesMax: 40, headBytesMax: 120, fieldsMax: 3)
        func head(target: Int = 1, value: Int = 1, fields: Int = 1) -> String {
            "GET /\(String(repeating: "p", count: target - 1)) HTTP/1.1\r\nHost: a\r\n"
                + (1..<fields).map { _ in "n: \(String(repeating: "v", count: value))\r\n" }.joined() + "\r\n"
        }
        // "GET " + target + " HTTP/1.1" is 40 bytes.
        #expect(request(head(target: 27), limits).isRead)
        #expect(request(head(target: 28), limits) == .refused(414, "target_too_long"))
        #expect(request(head(value: 37, fields: 2), limits).isRead)
        #expect(request(head(value: 38, fields: 2), limits) == .refused(431, "field_line_too_long"))
        #expect(request(head(fields: 3), limits).isRead)
        #expect(request(head(fields: 4), limits) == .refused(431, "fields_too_many"))
        // 36 + target + 2 * value bytes.
        #expect(request(head(target: 24, value: 30, fields: 3), limits).isRead)
        #expect(request(head(target: 24, value: 30, fields: 3) + "body", limits).isRead)
        #expect(request(head(target: 25, value: 30, fields: 3), limits) == .refused(431, "head_too_long"))
    }

    @Test("A line that does not end is refused as soon as it is too long")
    func endless() {
        let limits = HeadLimits(lineBytesMax: 40, headBytesMax: 120, fieldsMax: 3)
        let long = String(repeating: "x", count: 60)
        #expect(request("GET /\(long)", limits) == .refused(414, "target_too_long"))
        #expect(
            request("GET / HTTP/1.1\r\nHost: a\r\nn: \(long)", limits) == .refused(431, "field_line_too_long")
        )
        #expect(
            request("GET / HTTP/1.1\r\nHost: a\r\n\(long)", limits) == .refused(431, "field_line_too_long"))
        #expect(response("HTTP/1.1 200 \(long)", limits) == .refused(502, "status_line"))
    }
}

extension Ending {
    var isRead: Bool { if case .read = self { true } else { false } }
}
