// Bytes of messages, written into a buffer of fixed size.
//
// Place: Proxy writes every head anew with it; also chunk heads, local replies, forwarded fields.
// Invariant: nothing is written beyond the buffer. What does not fit is left out whole, `overflowed` is set,
// and stays set: a head with a hole is never sent.
// Source: RFC 9112 sections 2.1 and 7.1.

/// Appends to a buffer that its caller owns and that outlives the writer.
@frozen public struct HeadWriter {
    @usableFromInline let base: UnsafeMutableRawPointer?
    @usableFromInline let capacity: Int
    @usableFromInline var written = 0
    @usableFromInline var isOverflowed = false

    @inlinable
    public init(_ buffer: UnsafeMutableRawBufferPointer) {
        base = buffer.baseAddress
        capacity = buffer.count
    }

    /// Bytes written.
    @inlinable
    public var count: Int { written }

    /// Whether something did not fit. What was written before is still there, but the message is not whole.
    @inlinable
    public var overflowed: Bool { isOverflowed }

    /// Makes room for `count` bytes; nil, and `overflowed`, if there is none.
    @inlinable @inline(__always)
    mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer? {
        // Bound: 0 <= written <= capacity, so the difference is exact; every write below goes through here.
        guard !isOverflowed, count <= capacity &- written, let base else {
            isOverflowed = isOverflowed || count > 0
            return nil
        }
        let place = base + written
        written &+= count
        return place
    }

    /// One byte.
    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)?.storeBytes(of: byte, as: UInt8.self)
    }

    /// ASCII text known at compile time.
    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        let count = text.utf8CodeUnitCount
        reserve(count)?.copyMemory(from: text.utf8Start, byteCount: count)
    }

    /// Bytes from elsewhere; they must not overlap the buffer.
    @inlinable @inline(__always)
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)?.copyMemory(from: source, byteCount: bytes.count)
    }

    /// Bytes from elsewhere; they must not overlap the buffer.
    @inlinable @inline(__always)
    public mutating func append(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// The part of `bytes` at `slice`, which lies inside them.
    @inlinable @inline(__always)
    public mutating func append(_ slice: Slice, of bytes: RawSpan) {
        append(bytes.extracting(slice.range))
    }

    /// `name: value` and CRLF, as one piece: all of it or nothing.
    @inlinable
    public mutating func append(_ field: Field, of bytes: RawSpan) {
        let count = Int(field.name.count) &+ Int(field.value.count) &+ 4
        guard let place = reserve(count) else { return }
        let nameCount = Int(field.name.count)
        bytes.extracting(field.name.range).withUnsafeBytes {
            if let source = $0.baseAddress { place.copyMemory(from: source, byteCount: $0.count) }
        }
        place.storeBytes(of: 0x3A, toByteOffset: nameCount, as: UInt8.self)
        place.storeBytes(of: 0x20, toByteOffset: nameCount &+ 1, as: UInt8.self)
        bytes.extracting(field.value.range).withUnsafeBytes {
            if let source = $0.baseAddress {
                (place + nameCount + 2).copyMemory(from: source, byteCount: $0.count)
            }
        }
        place.storeBytes(of: 0x0D, toByteOffset: count &- 2, as: UInt8.self)
        place.storeBytes(of: 0x0A, toByteOffset: count &- 1, as: UInt8.self)
    }

    /// `value` in decimal digits without leading zeros.
    @inlinable
    public mutating func appendDecimal(_ value: UInt64) {
        var digits = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            digits &+= 1
        }
        guard let place = reserve(digits) else { return }
        rest = value
        while digits > 0 {
            digits &-= 1
            let digit = UInt8(truncatingIfNeeded: rest % 10)
            place.storeBytes(of: 0x30 &+ digit, toByteOffset: digits, as: UInt8.self)
            rest /= 10
        }
    }

    /// The lowest `digits` (1...16) hexadecimal digits of `value`, lower-case, with leading zeros.
    @inlinable
    public mutating func appendHex(_ value: UInt64, digits: Int) {
        precondition(digits >= 1 && digits <= 16, "a word has sixteen hexadecimal digits")
        guard let place = reserve(digits) else { return }
        if digits == 16 {
            place.storeBytes(of: Self.hex(UInt32(truncatingIfNeeded: value &>> 32)), as: UInt64.self)
            place.storeBytes(
                of: Self.hex(UInt32(truncatingIfNeeded: value)), toByteOffset: 8, as: UInt64.self)
            return
        }
        var rest = value
        var index = digits
        while index > 0 {
            index &-= 1
            let digit = UInt8(truncatingIfNeeded: rest & 0xF)
            place.storeBytes(of: digit &+ (digit < 10 ? 0x30 : 0x57), toByteOffset: index, as: UInt8.self)
            rest &>>= 4
        }
    }

    /// Eight hexadecimal digits at once, first digit in the lowest byte: spread the nibbles over the bytes of
    /// a word, then lift those above 9 to the letters.
    @inlinable @inline(__always)
    static func hex(_ value: UInt32) -> UInt64 {
        var word = UInt64(value.byteSwapped)
        word = (word | word &<< 16) & 0x0000_FFFF_0000_FFFF
        word = (word | word &<< 8) & 0x00FF_00FF_00FF_00FF
        word = (word &>> 4 | word &<< 8) & 0x0F0F_0F0F_0F0F_0F0F
        let letters = (word &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
        return (word &+ 0x3030_3030_3030_3030 &+ letters &* 39).littleEndian
    }

    /// The head of a chunk of `count` (1 or more) bytes: its size and CRLF. The content is followed by CRLF.
    @inlinable
    public mutating func appendChunkHeader(count: UInt64) {
        precondition(count > 0, "a chunk of no bytes would end the body")
        appendHex(count, digits: (64 &- count.leadingZeroBitCount &+ 3) / 4)
        append("\r\n")
    }

    /// The last chunk. Trailer fields, if any, and an empty line follow.
    @inlinable
    public mutating func appendLastChunk() { append("0\r\n") }
}
