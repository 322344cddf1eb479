// One message, many ways to receive it: the result must not depend on where the bytes were cut.
// Each good message is cut once at every byte, and fed byte by byte with what the parser said it scanned.
// Law: `needMore` until the last byte, then the reading of the whole.

import Corpora
import Testing

@testable import Wire

/// Bytes of a next message, which must not change what is read.
private let next = bytes("GET /next HTTP/1.1\r\nHost: z\r\n\r\n")

@Suite struct CutTests {
    /// A way to read one kind of message.
    typealias Read = ([UInt8], inout HeadParser, inout Int) -> Ending

    /// Reads `whole` cut once at every byte, and byte by byte; the result must be that of the whole.
    func check(_ whole: [UInt8], _ read: Read) {
        var parser = HeadParser()
        var scanned = 0
        let expected = read(whole, &parser, &scanned)
        #expect(expected.isRead, "\(text(whole)): \(expected)")
        for count in 0..<whole.count {
            scanned = 0
            let part = read(Array(whole[..<count]), &parser, &scanned)
            #expect(part == .needMore, "\(count) bytes of \(text(whole))")
            #expect(scanned == count)
            #expect(read(whole + next, &parser, &scanned) == expected, "cut at \(count): \(text(whole))")
        }
        scanned = 0
        for count in 0..<whole.count {
            #expect(read(Array(whole[..<count]), &parser, &scanned) == .needMore)
        }
        #expect(read(whole, &parser, &scanned) == expected, "byte by byte: \(text(whole))")
    }

    @Test("A request head is the same, however it is cut", arguments: goodRequests)
    func requests(_ sample: String) {
        check(bytes(sample)) { readRequest($0, &$1, scanned: &$2) }
    }

    @Test("A response head is the same, however it is cut", arguments: goodResponses.indices)
    func responses(_ index: Int) {
        let sample = goodResponses[index]
        check(bytes(sample.text)) { readResponse($0, &$1, scanned: &$2, to: method(sample.method)) }
    }

    @Test("A trailer section is the same, however it is cut", arguments: goodTrailers)
    func trailers(_ sample: String) {
        check(bytes(sample)) { readTrailers($0, &$1, scanned: &$2, of: .request) }
    }

    @Test("Parsers share nothing but their field array: heads may be read in turns")
    func interleaved() {
        let one = bytes(goodRequests[4])
        let other = bytes(goodRequests[9])
        var parser = HeadParser()
        var scanned = [0, 0]
        let expected = [request(goodRequests[4]), request(goodRequests[9])]
        for count in 0..<max(one.count, other.count) {
            if count < one.count { _ = readRequest(Array(one[..<count]), &parser, scanned: &scanned[0]) }
            if count < other.count { _ = readRequest(Array(other[..<count]), &parser, scanned: &scanned[1]) }
        }
        #expect(readRequest(one, &parser, scanned: &scanned[0]) == expected[0])
        #expect(readRequest(other, &parser, scanned: &scanned[1]) == expected[1])
    }

    @Test("A head that is dripped is refused by its limits before it is complete")
    func drippedLimits() {
        let limits = HeadLimits(lineBytesMax: 256, headBytesMax: 2048, fieldsMax: 8)
        let endless: [(String, String, UInt16, Int)] = [
            ("GET /", "p", 414, 512), ("GET / HTTP/1.1\r\nHost: a\r\nn: ", "v", 431, 512),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "n", 431, 512), ("GET / HTTP/1.1\r\n", "n: v\r\n", 431, 256),
        ]
        for (start, more, status, latest) in endless {
            var parser = HeadParser(limits: limits)
            var head = bytes(start)
            var scanned = 0
            var ending = Ending.needMore
            while ending == .needMore, head.count <= 4096 {
                head += bytes(more)
                ending = readRequest(head, &parser, scanned: &scanned)
            }
            guard case .refused(let given, _) = ending else {
                Issue.record("\(start): \(ending)")
                continue
            }
            #expect(given == status)
            #expect(head.count <= latest, "\(start) refused after \(head.count) bytes")
        }
    }
}
