// One value out of a Cookie field or a query, for sticky keys and cohorts.
//
// Place: Assign asks for a name; the answer is a slice of the head that was parsed.
// Invariant: the first pair with the name wins; the work is linear in the text, which a head's limits bound;
// nothing is decoded: percent-encoding, "+" and quotes are compared and returned as sent, on purpose, since
// a sticky key needs equal bytes, not meaning.
// Source: RFC 6265 section 4.2.1 (cookies, case-sensitive), WHATWG URL section 5.1 (queries, not decoded).

/// Pairs of a Cookie field: `name=value; name=value`.
public enum CookieScan {
    /// The value of the first cookie called `name` (1 byte or more, compared exactly), without blanks around
    /// it; nil if there is none. A piece without "=" is no cookie. A request may have several Cookie fields.
    @inlinable
    public static func value(of name: RawSpan, in bytes: RawSpan, field: Slice) -> Slice? {
        Pairs.value(of: name, in: bytes, field, separator: 0x3B, isCookie: true)
    }
}

/// Pairs of a query: `name=value&name=value`.
public enum QueryScan {
    /// The value of the first parameter called `name` (1 byte or more, compared exactly); nil if there is
    /// none. A piece without "=" is a parameter with an empty value.
    @inlinable
    public static func value(of name: RawSpan, in bytes: RawSpan, query: Slice) -> Slice? {
        Pairs.value(of: name, in: bytes, query, separator: 0x26, isCookie: false)
    }
}

@usableFromInline
enum Pairs {
    /// - Parameter isCookie: blanks around pieces are skipped, and a piece needs its "=".
    @inlinable
    static func value(
        of name: RawSpan, in bytes: RawSpan, _ list: Slice, separator: UInt8, isCookie: Bool
    ) -> Slice? {
        guard list.end <= bytes.byteCount, name.byteCount > 0 else { return nil }
        return bytes.withText(list.end) { text in
            name.withText { value(of: $0, in: text, from: Int(list.start), separator, isCookie) }
        }
    }

    /// - Parameter text: ends where the list ends.
    @inlinable @inline(__always)
    static func value(
        of name: Text, in text: Text, from start: Int, _ separator: UInt8, _ isCookie: Bool
    ) -> Slice? {
        let end = text.byteCount
        var at = start
        while at < end {
            if isCookie {
                while at < end, ByteClass.isBlank(text.byte(at: at)) { at &+= 1 }
            }
            let nameEnd = at &+ name.byteCount
            let isNamed = text.hasPrefix(name, at: at)
            let stop = nextSeparator(text, at, separator)
            if isNamed {
                if nameEnd < stop, text.byte(at: nameEnd) == 0x3D {
                    return trimmed(text, nameEnd &+ 1, stop, isCookie)
                }
                if nameEnd == stop, !isCookie { return Slice(from: stop, to: stop) }
            }
            at = stop &+ 1
        }
        return nil
    }

    /// Offset of the next separator, or of the end.
    @inlinable @inline(__always)
    static func nextSeparator(_ text: Text, _ start: Int, _ separator: UInt8) -> Int {
        var at = start
        while at < text.byteCount {
            let marks = Words.bytes(text.word(at: at), equalTo: separator)
            at &+= Words.firstMarked(marks)
            if marks != 0 { return at }
        }
        return text.byteCount
    }

    @inlinable @inline(__always)
    static func trimmed(_ text: Text, _ start: Int, _ end: Int, _ isCookie: Bool) -> Slice {
        var start = start
        var end = end
        if isCookie {
            while start < end, ByteClass.isBlank(text.byte(at: start)) { start &+= 1 }
            while end > start, ByteClass.isBlank(text.byte(at: end &- 1)) { end &-= 1 }
        }
        return Slice(from: start, to: end)
    }
}
