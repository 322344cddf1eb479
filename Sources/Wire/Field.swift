// One field line of a head or trailer section, and the comparison of names.
//
// Place: HeadParser fills an array of these; Proxy reads them to route, to assign and to write heads anew.
// Invariant: name and value lie inside the parsed head; the name is a token; the value has no blanks at its
// ends and no control byte but HTAB inside.
// Source: RFC 9110 section 5.1 and 5.5.

/// A parsed field line. Slices refer to the buffer that was parsed.
@frozen public struct Field: Sendable {
    /// The name as sent.
    public var name: Slice
    /// The value without the blanks around it; may be empty.
    public var value: Slice
    /// What the name means, if Weir knows it.
    public var known: KnownField
    /// Whether the field ends here: by RFC 9110 section 7.6.1, or because Connection names it, or because it
    /// has no place where it stands (in a trailer section; Content-Length with 1xx or 204).
    public var isHopByHop: Bool

    @inlinable @inline(__always)
    init(name: Slice, value: Slice, known: KnownField, isHopByHop: Bool) {
        self.name = name
        self.value = value
        self.known = known
        self.isHopByHop = isHopByHop
    }

    /// Whether the field's name is `lowercase`, letters compared without case. No allocation.
    /// - Parameters:
    ///   - lowercase: a name in lower-case letters.
    ///   - bytes: the buffer that was parsed.
    @inlinable @inline(__always)
    public func isNamed(_ lowercase: RawSpan, in bytes: RawSpan) -> Bool {
        bytes.matches(name, lowercase: lowercase)
    }
}

extension RawSpan {
    /// Whether the bytes at `slice` are `lowercase`, letters compared without case.
    @inlinable
    public func matches(_ slice: Slice, lowercase: RawSpan) -> Bool {
        guard Int(slice.count) == lowercase.byteCount, slice.end <= byteCount else { return false }
        return withText { text in
            lowercase.withText { name in
                var index = 0
                while index < name.byteCount {
                    let rest = name.byteCount &- index
                    let word = Words.lowercased(text.word(at: Int(slice.start) &+ index))
                    if Words.keep(rest, of: word) != name.word(at: index) { return false }
                    index &+= 8
                }
                return true
            }
        }
    }

    /// Whether the bytes at `slice` are exactly `other`.
    @inlinable
    public func matches(_ slice: Slice, exactly other: RawSpan) -> Bool {
        guard Int(slice.count) == other.byteCount, slice.end <= byteCount else { return false }
        return withText { text in other.withText { text.hasPrefix($0, at: Int(slice.start)) } }
    }
}

extension Text {
    /// Whether `prefix` stands at `start` (0 or more); false where it would reach beyond the end.
    @inlinable @inline(__always)
    func hasPrefix(_ prefix: Text, at start: Int) -> Bool {
        guard prefix.byteCount <= byteCount &- start else { return false }
        var index = 0
        while index < prefix.byteCount {
            let rest = prefix.byteCount &- index
            if Words.keep(rest, of: word(at: start &+ index)) != prefix.word(at: index) { return false }
            index &+= 8
        }
        return true
    }
}
