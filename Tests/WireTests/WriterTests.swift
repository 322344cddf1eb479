// The bounded writer.
// Law: what fits is written as its parts say; what does not fit leaves no trace but `overflowed`.
// Source: RFC 9112 sections 2.1 and 7.1.

import Testing

@testable import Wire

/// What a writer wrote into a buffer of `capacity` bytes.
func written(_ capacity: Int = 256, _ body: (inout HeadWriter) -> Void) -> [UInt8] {
    withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 1) { buffer in
        var writer = HeadWriter(buffer)
        body(&writer)
        return Array(UnsafeRawBufferPointer(rebasing: buffer[..<writer.count]))
    }
}

@Suite struct WriterTests {
    @Test("A head is written as its parts say")
    func head() {
        let source = bytes("X-Name: the value")
        let field = Field(
            name: Slice(start: 0, count: 6), value: Slice(start: 8, count: 9), known: .none, isHopByHop: false
        )
        let head = written {
            $0.append("GET ")
            $0.append(Slice(start: 8, count: 3), of: source.span.bytes)
            $0.append(UInt8(0x20))
            $0.append(source.span.bytes)
            $0.append("\r\n")
            $0.append(field, of: source.span.bytes)
            $0.appendDecimal(1_234_567_890)
        }
        #expect(text(head) == "GET the X-Name: the value\r\nX-Name: the value\r\n1234567890")
    }

    @Test("Numbers are written without and with leading zeros")
    func numbers() {
        for value in [0, 9, 10, 99, 100, 65_535, UInt64(Int64.max), .max] {
            #expect(text(written { $0.appendDecimal(value) }) == "\(value)")
            let hex = String(value, radix: 16)
            #expect(text(written { $0.appendHex(value, digits: 16) }).hasSuffix(hex))
            if value > 0 { #expect(text(written { $0.appendChunkHeader(count: value) }) == hex + "\r\n") }
        }
        #expect(text(written { $0.appendHex(0xABCDEF, digits: 4) }) == "cdef")
        #expect(text(written { $0.appendHex(5, digits: 3) }) == "005")
        #expect(text(written { $0.appendLastChunk() }) == "0\r\n")
    }

    @Test("Sixteen hexadecimal digits are written whole", arguments: seeds(10))
    func hex(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<100 {
            let value = random.next() >> UInt64(random.below(64))
            let digits = String(value, radix: 16)
            let expected = String(repeating: "0", count: 16 - digits.utf8.count) + digits
            #expect(text(written { $0.appendHex(value, digits: 16) }) == expected, "seed \(seed)")
            #expect(
                text(written { $0.appendHex(value, digits: 7) }) == String(expected.suffix(7)), "seed \(seed)"
            )
        }
    }

    @Test("What does not fit is left out whole, and everything after it")
    func overflow() {
        withUnsafeTemporaryAllocation(byteCount: 8, alignment: 1) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0x2A)
            var writer = HeadWriter(UnsafeMutableRawBufferPointer(rebasing: buffer[..<6]))
            writer.append("abcd")
            #expect(!writer.overflowed)
            writer.append("efg")
            writer.append("h")
            writer.appendDecimal(1)
            writer.append(UInt8(0x21))
            #expect(writer.overflowed && writer.count == 4)
            #expect(text(Array(buffer)) == "abcd****")
        }
    }

    @Test("A buffer can be filled to its last byte, and an empty one takes nothing")
    func exact() {
        #expect(text(written(4) { $0.append("abcd") }) == "abcd")
        var writer = HeadWriter(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        writer.append("")
        #expect(!writer.overflowed)
        writer.append(UInt8(0))
        #expect(writer.overflowed && writer.count == 0)
    }
}
