// Response heads, trailer sections and chunked bodies that must be refused: 502 from an upstream.
// The tables are in Tests/Corpora, because other rooms send the same bytes.

import Corpora
import Testing

@testable import Wire

@Suite struct HostileResponseTests {
    @Test("A response with two readings, or none, is refused with 502", arguments: hostileResponses)
    func head(_ hostile: Hostile) {
        #expect(response(hostile.text) == .refused(hostile.status, hostile.label))
    }

    @Test("Framing fields are checked even where they do not count")
    func ignoredFraming() {
        for status in ["204 x", "304 x", "100 x"] {
            let text = "HTTP/1.1 \(status)\r\nContent-Length: 5,5\r\n\r\n"
            #expect(response(text) == .refused(502, "content_length_syntax"))
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(response(head, to: .head) == .refused(502, "content_length_and_transfer_encoding"))
    }

    @Test(
        "A trailer section outside the grammar, or with framing in it, is refused", arguments: hostileTrailers
    )
    func trailers(_ hostile: Hostile) {
        var parser = HeadParser()
        for (kind, status) in [(MessageKind.request, hostile.status), (.response, 502)] {
            var scanned = 0
            let ending = readTrailers(bytes(hostile.text), &parser, scanned: &scanned, of: kind)
            #expect(ending == .refused(status, hostile.label))
        }
    }

    @Test("A chunked body outside the grammar is refused, however it is cut", arguments: hostileChunked)
    func chunked(_ hostile: Hostile) {
        #expect(decode(bytes(hostile.text), pieces: .max).refusal == "\(hostile.status) \(hostile.label)")
        #expect(decode(bytes(hostile.text), pieces: 1).refusal == "\(hostile.status) \(hostile.label)")
        #expect(decode(bytes(hostile.text), pieces: 1, .response).refusal == "502 \(hostile.label)")
    }
}
