// The scans that take a field line apart.
//
// Place: HeadParser.fieldLines calls them once per line; the usual case is inlined there, the rest is not.
// Invariant: names are tokens (1 byte or more) directly followed by the colon; values hold no control byte
// but HTAB; each line ends with CRLF and none continues the one before.
// Source: RFC 9112 sections 2.2 and 5, RFC 9110 sections 5.1, 5.5 and 5.6.

/// The name that stood at some place of the last section. Peers send the same fields in the same order again
/// and again: a name of up to 16 bytes that stands there once more is recognised by two words, and has been
/// checked. Only speed depends on it.
struct NameMemo {
    /// The bytes of the name in its first word; none in a memo that no name matches.
    private var mask: UInt64 = 0
    /// The first word under the mask.
    private var first: UInt64 = 1
    /// The last eight bytes of a name of 9...16.
    private var last: UInt64 = 0
    private(set) var count: UInt32 = 0
    private(set) var known = KnownField.none

    init() {}

    init(_ text: Text, at start: Int, count: Int, first word: UInt64, _ known: KnownField) {
        self.known = known
        self.count = UInt32(truncatingIfNeeded: count)
        guard count <= 16 else { return }
        mask = Words.keep(count, of: .max)
        first = word & mask
        if count > 8 { last = text.word(at: start &+ count &- 8) }
    }

    /// Whether the `count` bytes at `start`, of which `word` is the first word, are this name.
    @inline(__always)
    func isName(at start: Int, _ word: UInt64, in text: Text) -> Bool {
        word & mask == first && (count <= 8 || text.word(at: start &+ Int(count) &- 8) == last)
    }
}

extension Text {
    /// Offset of the first colon, blank or control byte, or of the end.
    /// - Parameter first: the word at `start`.
    @inline(__always)
    func endOfName(_ start: Int, _ first: UInt64) -> Int {
        var at = start
        var word = first
        while true {
            let marks = Words.bytes(word, equalTo: 0x3A) | Words.bytes(word, below: 0x21)
            if marks != 0 { return at &+ Words.firstMarked(marks) }
            at &+= 8
            word = self.word(at: at)
        }
    }

    /// The name before `colon`, which is where `endOfName` stopped; refused unless it is a token and a colon
    /// follows.
    @inline(never)
    func name(_ start: Int, _ colon: Int, _ first: UInt64) throws(Stop) -> NameMemo {
        guard colon < byteCount, byte(at: colon) == 0x3A else { throw nameStop(start, colon) }
        let count = colon &- start
        var known = KnownField.named(self, at: start, count: count, first: first)
        if known == .none || known == .weir { try checkToken(start, colon, &known) }
        return NameMemo(self, at: start, count: count, first: first, known)
    }

    /// Refuses a name that is not a token; finds the field that an unknown name with something else than
    /// letters, digits and "-" looks like.
    @inline(__always)
    private func checkToken(_ start: Int, _ end: Int, _ known: inout KnownField) throws(Stop) {
        var at = start
        repeat {
            let marks = Words.keep(end &- at, of: Words.notPlainName(word(at: at)))
            if marks != 0 || end == start { return try checkRareToken(start, end, &known) }
            at &+= 8
        } while at < end
    }

    @inline(never)
    private func checkRareToken(_ start: Int, _ end: Int, _ known: inout KnownField) throws(Stop) {
        if start == end { throw .refused(.fieldNameEmpty) }
        for at in start..<end where !ByteClass.isToken(byte(at: at)) { throw .refused(.fieldName) }
        guard known == .none else { return }
        switch KnownField.folded(self, at: start, count: end - start) {
        // Gateways that make a variable of a name (CGI, WSGI) would read these as the framing fields.
        case .contentLength, .transferEncoding: throw .refused(.fieldNameAmbiguous)
        case .weir: known = .weir
        case let field where field.isGuarded: known = .lookalike
        default: break
        }
    }

    /// Offset of the first byte of the value: neither space nor tab. Usually one space stands before it.
    @inline(__always)
    func startOfValue(_ colon: Int, _ separator: UInt64) -> Int {
        // A space and then a byte above it, as one number of two bytes: 0x2021...0x20FF.
        let isUsual = UInt16(truncatingIfNeeded: separator &>> 8).byteSwapped &- 0x2021 < 0xDF
        return _fastPath(isUsual) ? colon &+ 2 : afterBlanks(colon &+ 1)
    }

    @inline(never)
    private func afterBlanks(_ start: Int) -> Int {
        var at = start
        while at < byteCount, ByteClass.isBlank(byte(at: at)) { at &+= 1 }
        return at
    }

    /// Where the value at `start` ends without the blanks behind it, and offset of the CRLF behind those.
    /// There is a byte before `start`.
    @inline(__always)
    func endOfValue(_ start: Int) throws(Stop) -> (value: Int, line: Int) {
        var at = start
        while true {
            let marks = Words.controls(word(at: at))
            if marks == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstMarked(marks)
            // The last byte of the value and the CRLF at once; zeros stand for bytes beyond the end, so a
            // whole CRLF is inside it.
            let ending = word(at: at &- 1)
            if _fastPath(ending & 0xFFFF00 == Words.of("\0\r\n")) {
                return (ending & 0xFF > 0x20 ? at : beforeBlanks(start, at), at)
            }
            try checkControl(at)
            at &+= 1
        }
    }

    @inline(never)
    private func beforeBlanks(_ start: Int, _ end: Int) -> Int {
        var at = end
        while at > start, ByteClass.isBlank(byte(at: at &- 1)) { at &-= 1 }
        return at
    }

    /// Lets a tab inside a value pass; anything else at `at` ends the pass.
    @inline(never)
    private func checkControl(_ at: Int) throws(Stop) {
        guard at < byteCount else { throw .short }
        switch byte(at: at) {
        case 0x09: return
        case 0x0D: if at + 1 < byteCount { throw .refused(.bareCR) } else { throw .short }
        case 0x0A: throw .refused(.bareLF)
        default: throw .refused(.controlByte)
        }
    }

    /// What stands in the place of a colon, or of a blank line.
    /// - Parameters:
    ///   - start: start of the line.
    ///   - stop: the first blank or control byte in it, or the end of the bytes.
    @inline(never)
    private func nameStop(_ start: Int, _ stop: Int) -> Stop {
        guard stop < byteCount else { return .short }
        switch byte(at: stop) {
        case 0x0D:
            guard stop + 1 < byteCount else { return .short }
            return .refused(byte(at: stop + 1) == 0x0A ? .colonMissing : .bareCR)
        case 0x0A: return .refused(.bareLF)
        case 0x09, 0x20:
            if stop == start { return .refused(.lineFolding) }
            let next = afterBlanks(stop)
            guard next < byteCount else { return .short }
            return .refused(byte(at: next) == 0x3A ? .spaceBeforeColon : .fieldName)
        default: return .refused(.controlByte)
        }
    }
}
