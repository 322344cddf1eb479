// The chunked transfer coding, decoded: Proxy feeds it a body's bytes as they come.
// Theory: one state per position in the grammar, so that the bytes may be cut anywhere:
//   size -hex-> size    size -";"-> name    size -BWS-> beforeSemicolon -";"-> name    size -CR-> lineLF
//   name -token-> name    name -"="-> value -token-> value    value -DQUOTE-> quoted -DQUOTE-> afterQuoted
//   lineLF -LF-> data, or the trailer section after size 0    data -read-> dataCR -CR-> dataLF -LF-> size
// Invariant: CRLF only; sizes below 2^63 in at most 16 digits; extensions are checked, bounded and dropped.
// Source: RFC 9112 section 7.1.

/// What a stretch of a chunked body holds.
@frozen public enum ChunkEvent: Equatable, Sendable {
    /// `count` (1 or more) bytes of content at `start`; go on at `start + count`.
    case data(start: Int, count: Int)
    /// Everything up to `consumed`, the end of the bytes, is taken in and need not be shown again.
    case needMore(consumed: Int)
    /// The last chunk is read; `HeadParser.trailers` goes on at `start`.
    case trailers(start: Int)
    case refused(Refusal)
}

/// Decodes one chunked body; a new message needs a new decoder.
@frozen public struct ChunkedDecoder: Sendable {
    /// Digits of a chunk size, leading zeros included.
    @usableFromInline static let digitsMax = 16
    /// Bytes of extensions over a whole body. Nobody sends any; without a bound they are a body's worth of
    /// work for a byte of content.
    @usableFromInline static let extensionBytesMax = 4096

    @frozen @usableFromInline
    enum State: UInt8, Sendable {
        case size, beforeSemicolon, beforeName, name, afterName, beforeValue, value, quoted, quotedPair
        case afterQuoted, afterValue, lineLF, data, dataCR, dataLF, finished
    }

    @usableFromInline var state = State.size
    @usableFromInline let kind: MessageKind
    @usableFromInline var digits: UInt8 = 0
    @usableFromInline var extensionBytes: UInt16 = 0
    /// Of the chunk: its size while the line is read, then the bytes still to come.
    @usableFromInline var remaining: UInt64 = 0

    /// - Parameter kind: whose message it is; decides the status of a refusal.
    @inlinable
    public init(_ kind: MessageKind = .request) { self.kind = kind }

    /// Bytes of content still to come in the current chunk; 0 between chunks.
    @inlinable
    public var remainingInChunk: UInt64 { state == .data ? remaining : 0 }

    /// The next event at `from`. After `data`, go on behind it; after `needMore`, with new bytes; after
    /// `trailers` or `refused`, not at all.
    @inlinable
    public mutating func next(_ bytes: RawSpan, from: Int) -> ChunkEvent {
        if state == .data, from < bytes.byteCount { return content(bytes, from) }
        return line(bytes, from)
    }

    /// The part of the current chunk that is here.
    @inlinable @inline(__always)
    mutating func content(_ bytes: RawSpan, _ from: Int) -> ChunkEvent {
        let available = UInt64(truncatingIfNeeded: bytes.byteCount &- from)
        let count = min(available, remaining)
        remaining &-= count
        if remaining == 0 { state = .dataCR }
        return .data(start: from, count: Int(truncatingIfNeeded: count))
    }

    /// Bytes that are not content.
    @usableFromInline
    mutating func line(_ bytes: RawSpan, _ from: Int) -> ChunkEvent {
        bytes.withText { text in
            var at = from
            while at < text.byteCount {
                if state == .data { return content(bytes, at) }
                if let cause = take(text.byte(at: at)) { return .refused(Refusal(cause, in: kind)) }
                at &+= 1
                if state == .finished { return .trailers(start: at) }
            }
            return .needMore(consumed: text.byteCount)
        }
    }

    /// One byte of a chunk line or of the CRLF after content; returns what is wrong with it.
    @inline(__always)
    private mutating func take(_ byte: UInt8) -> RefusalCause? {
        switch state {
        case .size:
            guard let digit = ByteClass.hex(byte) else { return endSize(byte) }
            digits &+= 1
            guard digits <= Self.digitsMax, remaining < 1 << 59 else { return .chunkSizeTooLarge }
            remaining = remaining &<< 4 | UInt64(digit)
            return nil
        case .lineLF:
            guard byte == 0x0A else { return .bareCR }
            state = remaining == 0 ? .finished : .data
            digits = 0
            return nil
        case .dataCR:
            guard byte == 0x0D else { return byte == 0x0A ? .bareLF : .chunkEnd }
            state = .dataLF
            return nil
        case .dataLF:
            guard byte == 0x0A else { return .bareCR }
            state = .size
            return nil
        case .data, .finished:
            return .chunkEnd
        case .beforeSemicolon, .beforeName, .name, .afterName, .beforeValue, .value, .quoted, .quotedPair,
            .afterQuoted, .afterValue:
            return takeExtension(byte)
        }
    }

    /// The byte after the digits of a size.
    private mutating func endSize(_ byte: UInt8) -> RefusalCause? {
        if byte == 0x0A { return .bareLF }
        guard digits > 0 else { return .chunkSize }
        switch byte {
        case 0x0D: state = .lineLF
        case 0x3B: state = .beforeName
        case 0x20, 0x09: state = .beforeSemicolon
        default: return .chunkSize
        }
        return nil
    }

    /// chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )
    private mutating func takeExtension(_ byte: UInt8) -> RefusalCause? {
        extensionBytes &+= 1
        if extensionBytes > Self.extensionBytesMax { return .chunkExtensionsTooLong }
        if byte == 0x0A { return .bareLF }
        let isBlank = ByteClass.isBlank(byte)
        switch state {
        case .beforeSemicolon:
            if byte == 0x3B { state = .beforeName } else if !isBlank { return .chunkSize }
        case .beforeName:
            if ByteClass.isToken(byte) { state = .name } else if !isBlank { return .chunkExtension }
        case .name, .afterName:
            if state == .name && ByteClass.isToken(byte) { return nil }
            if byte == 0x3D { state = .beforeValue } else { return endExtension(byte, blank: .afterName) }
        case .beforeValue:
            if byte == 0x22 {
                state = .quoted
            } else if ByteClass.isToken(byte) {
                state = .value
            } else if !isBlank {
                return .chunkExtension
            }
        case .value:
            if !ByteClass.isToken(byte) { return endExtension(byte, blank: .afterValue) }
        case .afterQuoted, .afterValue:
            return endExtension(byte, blank: .afterValue)
        case .quoted:
            if byte == 0x22 { state = .afterQuoted } else if byte == 0x5C { state = .quotedPair }
            return isQuotable(byte) ? nil : .controlByte
        case .quotedPair:
            state = .quoted
            return isQuotable(byte) ? nil : .controlByte
        case .size, .lineLF, .data, .dataCR, .dataLF, .finished:
            return .chunkExtension
        }
        return nil
    }

    /// What may follow a whole extension: blanks, the next one, or the end of the line.
    private mutating func endExtension(_ byte: UInt8, blank: State) -> RefusalCause? {
        switch byte {
        case 0x3B: state = .beforeName
        case 0x20, 0x09: state = blank
        // Blanks before the CR are in no grammar.
        case 0x0D where state == .name || state == .value || state == .afterQuoted: state = .lineLF
        default: return .chunkExtension
        }
        return nil
    }

    private func isQuotable(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }
}
