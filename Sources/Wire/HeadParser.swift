// The one validator: request heads, response heads and trailer sections of HTTP/1.1.
// Theory: a head that arrives in one read is parsed in one pass. One that does not is watched, not parsed:
// `resumable` looks at new bytes only, and the pass is repeated when the head is complete, when a byte comes
// that no head may hold, or when the head has doubled. So a head dripped byte by byte costs O(1) per byte,
// and no state but `scanned` is kept between attempts: the field array is shared by all connections.
// Invariant: `complete` depends on the bytes alone, not on how they were cut.
// Source: RFC 9112 sections 2-7; what is refused, and why, stands in Wire.docc.

/// The bounds of a head.
public struct HeadLimits: Sendable, Hashable {
    /// A start line or field line without its CRLF. Longer: 414 or 431.
    public var lineBytesMax: Int { Int(lineMax) }
    /// A whole head or trailer section with its blank line. Longer: 431.
    public var headBytesMax: Int { Int(headMax) }
    /// Fields of a head or trailer section. More: 431.
    public var fieldsMax: Int { Int(fieldMax) }

    private let lineMax: Int32
    private let headMax: Int32
    private let fieldMax: Int16

    /// - Precondition: all are positive, and a head is below 2 GiB.
    public init(lineBytesMax: Int = 16 << 10, headBytesMax: Int = 64 << 10, fieldsMax: Int = 128) {
        precondition(lineBytesMax > 0 && headBytesMax > 0 && fieldsMax > 0, "limits are positive")
        precondition(headBytesMax < 1 << 31 && fieldsMax < 1 << 15, "offsets and counts fit their fields")
        // A line is part of a head.
        lineMax = Int32(min(lineBytesMax, headBytesMax))
        headMax = Int32(headBytesMax)
        fieldMax = Int16(fieldsMax)
    }
}

/// Why a pass over a head ended early.
enum Stop: Error {
    /// The bytes end inside the head.
    case short
    case refused(RefusalCause)
}

/// Parses heads into values and into one field array that every parse reuses.
///
/// Owner: one core or one client; the result of a parse is valid until the next.
public struct HeadParser: ~Copyable {
    /// `limits.fieldsMax` places; the first `fieldCount` are initialised (nothing needs deinitialising).
    @usableFromInline let fields: UnsafeMutablePointer<Field>
    /// `limits.fieldsMax + 1` names, those of the last section; what is read does not depend on them.
    let names: UnsafeMutablePointer<NameMemo>
    /// Fields of the last parse.
    @usableFromInline var storedCount = 0
    let limits: HeadLimits
    var notes = SectionNotes()

    public init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
        fields = .allocate(capacity: limits.fieldsMax)
        names = .allocate(capacity: limits.fieldsMax + 1)
        names.initialize(repeating: NameMemo(), count: limits.fieldsMax + 1)
    }

    deinit {
        fields.deallocate()
        names.deallocate()
    }

    /// Fields of the last parse.
    @inlinable @inline(__always)
    public var fieldCount: Int { storedCount }

    /// Field `index` of the last parse, in the order sent.
    /// - Precondition: `0 <= index < fieldCount`.
    @inlinable @inline(__always)
    public func field(_ index: Int) -> Field {
        precondition(index >= 0 && index < storedCount, "no such field")
        return fields[index]
    }

    /// Parses a request head at the start of `bytes`; up to four empty lines before it are skipped (RFC 9112
    /// section 2.2 asks for one).
    /// - Parameters:
    ///   - bytes: everything read and not yet consumed; more than the head does no harm.
    ///   - scanned: what the last `needMore` for this head returned; 0 at first.
    public mutating func request(_ bytes: RawSpan, scanned: Int = 0) -> RequestParse {
        // A head must end in this part.
        bytes.withText(limits.headBytesMax) { text in
            guard isWorthReading(text, scanned) else { return .needMore(scanned: text.byteCount) }
            do throws(Stop) {
                return .complete(try requestHead(text))
            } catch {
                guard let cause = verdict(error, text, .targetTooLong) else {
                    return .needMore(scanned: text.byteCount)
                }
                return .refused(Refusal(cause, in: .request))
            }
        }
    }

    /// Parses the head of a response to a request made with `method`.
    /// - Parameters: as for `request(_:scanned:)`.
    public mutating func response(
        _ bytes: RawSpan, scanned: Int = 0, to method: Method
    ) -> ResponseParse {
        bytes.withText(limits.headBytesMax) { text in
            guard isWorthReading(text, scanned) else { return .needMore(scanned: text.byteCount) }
            do throws(Stop) {
                return .complete(try responseHead(text, to: method))
            } catch {
                guard let cause = verdict(error, text, .statusLine) else {
                    return .needMore(scanned: text.byteCount)
                }
                return .refused(Refusal(cause, in: .response))
            }
        }
    }

    /// Parses the trailer section that follows a last chunk, with the blank line that ends the message.
    ///
    /// Content-Length, Transfer-Encoding and Host are refused there; other fields without a place in a
    /// trailer section (RFC 9110 section 6.5.1) are marked as hop-by-hop.
    /// - Parameters:
    ///   - bytes: from `ChunkEvent.trailers(start:)` on.
    ///   - scanned: what the last `needMore` for this section returned; 0 at first.
    ///   - kind: whose message it is; decides the status of a refusal.
    public mutating func trailers(
        _ bytes: RawSpan, scanned: Int = 0, of kind: MessageKind
    ) -> TrailerParse {
        bytes.withText(limits.headBytesMax) { text in
            guard isWorthReading(text, scanned) else { return .needMore(scanned: text.byteCount) }
            begin()
            do throws(Stop) {
                let end = try fieldLines(text, from: 0, isTrailer: true)
                return .complete(fieldCount: storedCount, byteCount: end)
            } catch {
                guard let cause = verdict(error, text, .fieldLineTooLong) else {
                    return .needMore(scanned: text.byteCount)
                }
                return .refused(Refusal(cause, in: kind))
            }
        }
    }
}

extension HeadParser {
    /// Forgets the last parse.
    @inline(__always)
    mutating func begin() {
        storedCount = 0
        notes = SectionNotes()
    }

    /// Whether a pass over `text` can say more than the last one did, which saw its first `scanned` bytes.
    @inline(__always)
    private func isWorthReading(_ text: Text, _ scanned: Int) -> Bool {
        scanned <= 0 || scanned > text.byteCount || resumable(text, scanned)
    }

    /// Looks at the new bytes, and at one byte before them, for the end of a head or for a line end that no
    /// head may have.
    @inline(never)
    private func resumable(_ text: Text, _ scanned: Int) -> Bool {
        let count = text.byteCount
        if count == limits.headBytesMax { return true }
        if scanned.leadingZeroBitCount != count.leadingZeroBitCount { return true }
        var at = scanned - 1
        while at < count {
            let marks = Words.bytes(text.word(at: at), below: 0x20)
            at += Words.firstMarked(marks)
            if marks == 0 || at >= count { continue }
            switch text.byte(at: at) {
            case 0x09: break
            case 0x0D: if at + 1 < count && text.byte(at: at + 1) != 0x0A { return true }
            case 0x0A:
                if at == 0 || text.byte(at: at - 1) != 0x0D { return true }
                // An empty line; one at the very start of a trailer section ends it, too.
                if at == 1 || text.byte(at: at - 2) == 0x0A { return true }
            default: return true
            }
            at += 1
        }
        return false
    }

    /// What a stopped pass means: a cause to refuse, or nil for "read on".
    @inline(never)
    private func verdict(_ stop: Stop, _ text: Text, _ startLineTooLong: RefusalCause) -> RefusalCause? {
        switch stop {
        case .refused(let cause): return cause
        case .short:
            var lineStart = text.byteCount
            while lineStart > 0, text.byte(at: lineStart - 1) != 0x0A { lineStart -= 1 }
            // One byte more than a line may have: the CR of its end.
            if text.byteCount - lineStart > limits.lineBytesMax + 1 {
                return notes.isInFields ? .fieldLineTooLong : startLineTooLong
            }
            return text.byteCount == limits.headBytesMax ? .headTooLong : nil
        }
    }
}

/// What the field lines of one section said about framing and routing: indices of fields, -1 for none.
/// Small on purpose: a parser's borrowed state is copied around.
struct SectionNotes {
    var isInFields = false
    var isUpgradeUsable = true
    var hasConnection = false
    var host: Int16 = -1
    var contentLength: Int16 = -1
    var transferEncoding: Int16 = -1
    var upgrade: Int16 = -1
    var expect: Int16 = -1
}
