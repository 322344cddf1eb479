// What a well-formed response head means, and trailer sections.
// Law: framing follows status and method first, fields second.
// Source: RFC 9112 sections 4 and 6.3, RFC 9110 sections 6.5.1 and 8.6.

import Testing

@testable import Wire

func method(_ name: String) -> Wire.Method {
    Wire.Method.allCases.first { "\($0)" == name.lowercased() } ?? .other
}

@Suite struct GoodResponseTests {
    struct Meaning: CustomTestStringConvertible, Sendable {
        var text: String
        var method = "GET"
        var status = "200"
        var reason = "OK"
        var framing = BodyFraming.none
        var flags = ["keep"]

        var testDescription: String { "\(method): \(text.debugDescription)" }
    }

    static let meanings: [Meaning] = [
        Meaning(text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", framing: .length(5)),
        Meaning(text: "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", reason: "", framing: .length(5)),
        Meaning(text: "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", reason: "", framing: .length(5)),
        Meaning(
            text: "HTTP/1.1 200  a b\t\r\nContent-Length: 5\r\n\r\n", reason: " a b\t", framing: .length(5)),
        Meaning(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n", framing: .chunked),
        Meaning(text: "HTTP/1.1 200 OK\r\n\r\n", framing: .untilClose, flags: []),
        Meaning(
            text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", framing: .length(5),
            flags: []),
        Meaning(text: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", framing: .length(5), flags: []),
        Meaning(
            text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
            framing: .length(5)),
        Meaning(text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", framing: .untilClose, flags: []),
        Meaning(text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method: "HEAD"),
        Meaning(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", method: "HEAD"),
        Meaning(text: "HTTP/1.1 200 OK\r\n\r\n", method: "HEAD"),
        Meaning(text: "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", status: "304", reason: "x"),
        Meaning(text: "HTTP/1.1 204 x\r\n\r\n", status: "204", reason: "x"),
        Meaning(text: "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", status: "204", reason: "x"),
        Meaning(text: "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", status: "204", reason: "x", flags: []),
        Meaning(
            text: "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", status: "204", reason: "x",
            flags: []),
        Meaning(text: "HTTP/1.1 100 x\r\n\r\n", status: "100", reason: "x"),
        Meaning(text: "HTTP/1.1 199 x\r\nContent-Length: 7\r\n\r\n", status: "199", reason: "x", flags: []),
        Meaning(
            text: "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", status: "101",
            reason: "x", flags: ["upgrade"]),
        Meaning(
            text: "HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", status: "599", reason: "x",
            framing: .length(0)),
    ]

    @Test("Status, framing and reuse follow the RFC", arguments: meanings)
    func meaning(_ meaning: Meaning) {
        guard case .read(let reading) = response(meaning.text, to: method(meaning.method)) else {
            Issue.record("\(response(meaning.text, to: method(meaning.method)))")
            return
        }
        #expect(reading.start[0] == meaning.status)
        #expect(reading.start[1] == meaning.reason)
        #expect(reading.framing == meaning.framing)
        #expect(reading.flags == meaning.flags)
        #expect(reading.byteCount == meaning.text.unicodeScalars.count)
    }

    @Test("A length that comes with a status without content ends here")
    func strayLength() {
        for (status, passes) in [("100", false), ("204", false), ("200", true), ("304", true)] {
            let ending = response("HTTP/1.1 \(status) x\r\nContent-Length: 0\r\n\r\n")
            guard case .read(let reading) = ending else {
                Issue.record("\(ending)")
                continue
            }
            #expect(reading.fields == [(passes ? "" : "!") + "Content-Length=0:contentLength"], "\(status)")
        }
    }

    @Test("Interim heads are those with a head to follow")
    func interim() {
        for (status, isInterim) in [(100, true), (101, false), (103, true), (199, true), (200, false)] {
            let head = ResponseHead(
                status: UInt16(status), minorVersion: 1, keepsAlive: true, upgrade: false, framing: .none,
                reason: .empty, fieldCount: 0, byteCount: 0)
            #expect(head.isInterim == isInterim, "\(status)")
        }
    }

    @Test("Trailer fields are read, and those without a place in a trailer section do not pass")
    func trailers() {
        let text =
            "grpc-status: 0\r\nx-sum: 1\r\nConnection: close\r\nSet-Cookie: a\r\nAuthorization: b\r\n"
            + "Content-Type: c\r\nTE: d\r\nExpect: e\r\nTrailer: f\r\nETag: g\r\n\r\nnext"
        var parser = HeadParser()
        var scanned = 0
        let ending = readTrailers(bytes(text), &parser, scanned: &scanned, of: .response)
        guard case .read(let reading) = ending else {
            Issue.record("\(ending)")
            return
        }
        #expect(reading.byteCount == text.utf8.count - 4)
        #expect(
            reading.fields.filter { !$0.hasPrefix("!") } == [
                "grpc-status=0:none", "x-sum=1:none", "ETag=g:etag",
            ])
        #expect(reading.fields.count == 10)
    }

    @Test("An empty trailer section is its blank line")
    func noTrailers() {
        var parser = HeadParser()
        var scanned = 0
        let ending = readTrailers(bytes("\r\nGET /"), &parser, scanned: &scanned, of: .request)
        #expect(ending == .read(Reading(start: [], fields: [], framing: .none, flags: [], byteCount: 2)))
    }
}
