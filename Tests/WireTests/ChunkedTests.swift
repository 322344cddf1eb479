// The chunked coding: decoding, however the bytes are cut, and writing.
// Law: content and end depend on the bytes alone; each piece is fed from memory of its own length.
// Source: RFC 9112 section 7.1.

import Corpora
import Testing

@testable import Wire

/// What a decoder made of a body.
struct Decoded: Equatable {
    var content: [UInt8] = []
    /// Bytes up to the trailer section; nil if the body did not end.
    var end: Int?
    var refusal: String?
}

/// Feeds a decoder `pieces` bytes at a time, each piece in memory of its own.
func decode(_ bytes: [UInt8], pieces: Int, _ kind: MessageKind = .request) -> Decoded {
    var decoder = ChunkedDecoder(kind)
    var decoded = Decoded()
    var start = 0
    while start < bytes.count {
        let piece = Array(bytes[start..<min(bytes.count, start &+ min(pieces, bytes.count))])
        var at = 0
        reading: while true {
            switch decoder.next(piece.span.bytes, from: at) {
            case .data(let from, let count):
                precondition(from >= at && count > 0, "content moves forward")
                decoded.content += piece[from..<from + count]
                at = from + count
            case .needMore(let consumed):
                precondition(consumed == piece.count, "everything is taken in")
                break reading
            case .trailers(let from):
                decoded.end = start + from
                return decoded
            case .refused(let refusal):
                decoded.refusal = "\(refusal.status) \(refusal.cause.label)"
                return decoded
            }
        }
        start += piece.count
    }
    return decoded
}

@Suite struct ChunkedTests {
    @Test(
        "A well-formed body gives its content, however it is cut",
        arguments: goodChunked.map { [$0.text, $0.content] })
    func good(_ sample: [String]) {
        let whole = bytes(sample[0])
        let expected = Decoded(content: bytes(sample[1]), end: whole.count)
        for pieces in 1...whole.count {
            #expect(
                decode(whole + bytes("x: y\r\n\r\n"), pieces: pieces) == expected, "\(pieces) bytes at a time"
            )
        }
    }

    @Test("A body that is not all there asks for more")
    func short() {
        for (text, _) in goodChunked {
            let whole = bytes(text)
            for count in 0..<whole.count {
                let decoded = decode(Array(whole[..<count]), pieces: .max)
                #expect(decoded.end == nil && decoded.refusal == nil, "\(count) of \(text.debugDescription)")
            }
        }
    }

    @Test("The largest size is accepted, its content comes in pieces, and the rest is counted")
    func largest() {
        var decoder = ChunkedDecoder()
        let piece = bytes("7fffffffffffffff\r\nabc")
        let first = decoder.next(piece.span.bytes, from: 0)
        #expect(first == .data(start: 18, count: 3))
        #expect(decoder.remainingInChunk == UInt64(Int64.max) - 3)
        let second = decoder.next(piece.span.bytes, from: 21)
        #expect(second == .needMore(consumed: 21))
    }

    @Test("What the writer frames, the decoder unframes", arguments: seeds(20))
    func roundTrip(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var wire: [UInt8] = []
        var content: [UInt8] = []
        for _ in 0..<random.below(20) {
            let chunk = (0...random.below(600)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            wire += written { $0.appendChunkHeader(count: UInt64(chunk.count)) } + chunk + bytes("\r\n")
            content += chunk
        }
        wire += written { $0.appendLastChunk() }
        for pieces in [1, 2, 7, 64, 4096] {
            let decoded = decode(wire, pieces: pieces)
            #expect(
                decoded == Decoded(content: content, end: wire.count), "seed \(seed), \(pieces) at a time")
        }
    }

    @Test("A mutated body is decoded alike in one piece and in many", arguments: seeds(200))
    func mutated(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<50 {
            var body = bytes(goodChunked[random.below(goodChunked.count)].text)
            mutate(&body, &random)
            let whole = decode(body, pieces: .max)
            for pieces in [1, 3] {
                #expect(decode(body, pieces: pieces) == whole, "seed \(seed): \(text(body))")
            }
        }
    }
}
