// Field lines: name, colon, value, CRLF, up to the blank line.
//
// Place: the second part of every head, and the whole of a trailer section. FieldLine.swift has the scans.
// Invariant: framing and routing fields are noted by index when they are read, and a second one is refused
// there, so that nothing later has to search for them.
// Source: RFC 9112 section 5, RFC 9110 sections 5.2 and 6.5.1.

extension HeadParser {
    /// Reads field lines from `sectionStart` on into `fields`; returns the offset after the blank line.
    mutating func fieldLines(
        _ text: Text, from sectionStart: Int, isTrailer: Bool
    ) throws(Stop) -> Int {
        notes.isInFields = true
        var at = sectionStart
        var place = fields
        var memo = names
        let places = fields + limits.fieldsMax
        while true {
            let first = text.word(at: at)
            if first & 0xFFFF == Words.of("\r\n") { break }
            var colon = at &+ Int(memo.pointee.count)
            var separator = text.word(at: colon)
            if separator & 0xFF != 0x3A || !memo.pointee.isName(at: at, first, in: text) {
                colon = text.endOfName(at, first)
                separator = text.word(at: colon)
                memo.pointee = try text.name(at, colon, first)
            }
            let known = memo.pointee.known
            let start = text.startOfValue(colon, separator)
            let (valueEnd, end) = try text.endOfValue(start)
            guard _fastPath(place < places) else { throw .refused(.fieldsTooMany) }
            // Bound: the line above.
            place.initialize(
                to: Field(
                    name: Slice(from: at, to: colon), value: Slice(from: start, to: valueEnd),
                    known: known, isHopByHop: known.isHopByHop))
            if known.isNoted { try note(known, place - fields) }
            place += 1
            // Bound: there is one name more than fields.
            memo += 1
            at = end &+ 2
        }
        storedCount = place - fields
        if at &- sectionStart > limits.lineBytesMax { try checkLineLengths(at) }
        if isTrailer { try checkTrailers(text) }
        return at &+ 2
    }

    /// Refuses a line that is too long; needed only where the whole section is longer than a line may be.
    /// - Parameter end: where the blank line starts.
    @inline(never)
    private func checkLineLengths(_ end: Int) throws(Stop) {
        for index in 0..<storedCount {
            let start = Int(fields[index].name.start)
            // Each line ends where the next begins.
            let next = index + 1 < storedCount ? Int(fields[index + 1].name.start) : end
            if next - 2 - start > limits.lineBytesMax { throw .refused(.fieldLineTooLong) }
        }
    }

    /// Remembers where framing and routing fields are; refuses a second one.
    private mutating func note(_ known: KnownField, _ index: Int) throws(Stop) {
        switch known {
        case .host:
            if notes.host >= 0 { throw .refused(.hostRepeated) }
            notes.host = Int16(truncatingIfNeeded: index)
        case .contentLength:
            if notes.contentLength >= 0 { throw .refused(.contentLengthRepeated) }
            notes.contentLength = Int16(truncatingIfNeeded: index)
        case .transferEncoding:
            if notes.transferEncoding >= 0 { throw .refused(.transferEncodingRepeated) }
            notes.transferEncoding = Int16(truncatingIfNeeded: index)
        case .connection:
            notes.hasConnection = true
        case .upgrade:
            if notes.upgrade >= 0 { notes.isUpgradeUsable = false }
            notes.upgrade = Int16(truncatingIfNeeded: index)
        case .expect:
            if notes.expect >= 0 { throw .refused(.expectation) }
            notes.expect = Int16(truncatingIfNeeded: index)
        default:
            break
        }
    }

    /// What a trailer section may not hold is refused, what it should not hold is marked.
    @inline(never)
    private func checkTrailers(_ text: Text) throws(Stop) {
        if notes.host >= 0 || notes.contentLength >= 0 || notes.transferEncoding >= 0 {
            throw .refused(.trailerField)
        }
        for index in 0..<storedCount {
            let known = fields[index].known
            let isDropped =
                known == .none
                ? text.isNeverTrailer(fields[index].name) : known.isDroppedFromTrailers
            if isDropped { fields[index].isHopByHop = true }
        }
    }
}

extension Text {
    /// Whether an unknown name may not stand in a trailer section: request modifiers, response control,
    /// authentication and content format (RFC 9110 section 6.5.1, RFC 7230 section 4.1.2).
    fileprivate func isNeverTrailer(_ name: Slice) -> Bool {
        switch name.count {
        case 3: isName(name, "age")
        case 4: isName(name, "vary")
        case 5: isName(name, "range")
        case 6: isName(name, "pragma")
        case 7: isName(name, "expires") || isName(name, "warning")
        case 8: isName(name, "if-match") || isName(name, "if-range")
        case 12: isName(name, "max-forwards")
        case 13: isName(name, "content-range") || isName(name, "if-none-match")
        case 16: isName(name, "www-authenticate")
        case 17: isName(name, "if-modified-since")
        case 19: isName(name, "if-unmodified-since") || isName(name, "authentication-info")
        case 25: isName(name, "proxy-authentication-info")
        default: false
        }
    }

    /// Whether the name is `lowercase`, letters compared without case.
    private func isName(_ name: Slice, _ lowercase: StaticString) -> Bool {
        guard Int(name.count) == lowercase.utf8CodeUnitCount else { return false }
        for index in 0..<Int(name.count) {
            let byte = byte(at: Int(name.start) &+ index)
            let isUpper = byte &- 0x41 < 26
            // Bound: as long as the name.
            if (isUpper ? byte | 0x20 : byte) != lowercase.utf8Start[index] { return false }
        }
        return true
    }
}

extension KnownField {
    /// Whether the field says something about framing, routing or the connection.
    @inline(__always)
    var isNoted: Bool { self != .none && rawValue <= KnownField.expect.rawValue }
}
