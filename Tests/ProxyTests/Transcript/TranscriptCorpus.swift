// The messages of the transcripts: every request and response of the corpora and of the fuzzed data plane,
// with bodies where the corpus has heads only.
// Invariant: the order is the corpora's, so that a case keeps its number until a message is added before it.

import Corpora

/// A request, and what it is called in a transcript.
struct CorpusRequest {
    let name: String
    let bytes: [UInt8]
    let method: String

    init(_ name: String, _ bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        let start = bytes.drop { $0 == 13 || $0 == 10 }
        method = String(decoding: start.prefix { $0 > 32 }, as: UTF8.self)
    }
}

/// A response, and what it is called in a transcript.
struct CorpusResponse {
    let name: String
    let answer: ScriptedAnswer

    init(_ name: String, _ bytes: [UInt8], isHostile: Bool = false) {
        self.name = name
        let ends = isHostile || !isResponseWhole(bytes[...], to: "GET")
        answer = ScriptedAnswer(bytes: bytes, closes: ends)
    }
}

enum TranscriptCorpus {
    static let requests: [CorpusRequest] = numbered("r", good.map { ($0, false) }).map {
        CorpusRequest($0.name, $0.bytes)
    }

    static let refused: [CorpusRequest] = {
        let heads = (hostileFraming + hostileLines + corpus).map { latin($0.text) }
        let bodies = hostileChunked.map { latin(chunkedRequest + $0.text) }
        let ends = hostileTrailers.map { latin(chunkedRequest + "5\r\nhello\r\n0\r\n" + $0.text) }
        return numbered("h", (heads + bodies + ends).map { ($0, true) }).map {
            CorpusRequest($0.name, $0.bytes)
        }
    }()

    static let responses: [CorpusResponse] = {
        let heads = goodResponses.map { completed(latin($0.text), isRequest: false) }
        let bodies = goodChunked.map { latin(chunkedResponse + $0.text + "\r\n") }
        let ends = goodTrailers.map { latin(chunkedResponse + "5\r\nhello\r\n0\r\n" + $0) }
        let sound = (heads + Mutator.responses.map(latin) + bodies + ends).map { ($0, false) }
        let bad =
            hostileResponses.map { latin($0.text) } + hostileChunked.map { latin(chunkedResponse + $0.text) }
            + hostileTrailers.map { latin(chunkedResponse + "5\r\nhello\r\n0\r\n" + $0.text) }
        return numbered("s", sound + bad.map { ($0, true) }).map {
            CorpusResponse($0.name, $0.bytes, isHostile: $0.isHostile)
        }
    }()

    /// An answer that nothing is special about.
    static let usual = ScriptedAnswer(bytes: latin(ok("usual")), closes: false)

    private static var good: [[UInt8]] {
        goodRequests.map { completed(latin($0), isRequest: true) } + Mutator.requests.map(latin)
            + goodChunked.map { latin(chunkedRequest + $0.text + "\r\n") }
            + goodTrailers.map { latin(chunkedRequest + "5\r\nhello\r\n0\r\n" + $0) }
    }

    private static let chunkedRequest = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let chunkedResponse = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    private static func numbered(
        _ letter: String, _ messages: [([UInt8], Bool)]
    ) -> [(name: String, bytes: [UInt8], isHostile: Bool)] {
        messages.enumerated().map { index, message in
            let digits = String(index)
            let name = letter + String(repeating: "0", count: 3 - digits.count) + digits
            return (name, message.0, message.1)
        }
    }

    /// A head of the corpus with a body that it may have.
    private static func completed(_ head: [UInt8], isRequest: Bool) -> [UInt8] {
        let text = String(decoding: head, as: UTF8.self).lowercased()
        if text.contains("transfer-encoding: chunked") {
            return head + latin("5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n")
        }
        let isBare = !isRequest && (text.contains(" 304 ") || text.contains(" 204 "))
        guard !isBare, let name = text.firstRange(of: "content-length: "),
            let count = Int(text[name.upperBound...].prefix { $0.isNumber }), count < 1_000
        else { return head }
        return head + [UInt8](repeating: 0x62, count: count)
    }
}

/// A character of the text is a byte.
func latin(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
