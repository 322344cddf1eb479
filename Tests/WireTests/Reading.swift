// What the tests of Wire share: parsing text, and results as values that can be compared and printed.
//
// Invariant: the parser sees a copy of the bytes at exactly their length, so that a read past the end is
// caught by AddressSanitizer and by the span's own checks.

import Wire

/// A head as it was understood; two readings are the same message if they are equal.
struct Reading: Equatable, CustomStringConvertible {
    var start: [String]
    var fields: [String]
    var framing: BodyFraming
    var flags: [String]
    var byteCount: Int

    var description: String { "\(start) \(fields) \(framing) \(flags) \(byteCount)" }
}

/// How a parse ended.
enum Ending: Equatable, CustomStringConvertible {
    case read(Reading)
    case needMore
    case refused(UInt16, String)

    var description: String {
        switch self {
        case .read(let reading): "read \(reading)"
        case .needMore: "needMore"
        case .refused(let status, let label): "refused \(status) \(label)"
        }
    }

    init(_ refusal: Refusal) { self = .refused(refusal.status, "\(refusal.cause.label)") }
}

/// Text as bytes; `\u{80}`...`\u{FF}` stand for single bytes.
func bytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
}

/// Bytes as text, one scalar per byte.
func text(_ bytes: [UInt8]) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes { text.append(Unicode.Scalar(byte)) }
    return String(text)
}

func text(_ slice: Slice, _ bytes: [UInt8]) -> String { text(Array(bytes[slice.range])) }

private func fields(_ parser: borrowing HeadParser, _ bytes: [UInt8]) -> [String] {
    var lines: [String] = []
    for index in 0..<parser.fieldCount {
        let field = parser.field(index)
        let hop = field.isHopByHop ? "!" : ""
        lines.append("\(hop)\(text(field.name, bytes))=\(text(field.value, bytes)):\(field.known)")
    }
    return lines
}

/// Parses a request with what the last attempt scanned; `scanned` is updated.
func readRequest(
    _ bytes: [UInt8], _ parser: inout HeadParser, scanned: inout Int
) -> Ending {
    switch parser.request(bytes.span.bytes, scanned: scanned) {
    case .needMore(let seen):
        scanned = seen
        return .needMore
    case .refused(let refusal): return Ending(refusal)
    case .complete(let head):
        let flags = [
            head.keepsAlive ? "keep" : "", head.expectsContinue ? "expect" : "",
            head.upgrade ? "upgrade" : "",
            head.hasQuery ? "query" : "",
        ]
        return .read(
            Reading(
                start: [
                    "\(head.method)", text(head.methodName, bytes), "\(head.form)", text(head.target, bytes),
                    text(head.path, bytes), text(head.query, bytes), text(head.authority, bytes),
                    "1.\(head.minorVersion)",
                ],
                fields: fields(parser, bytes), framing: head.framing,
                flags: flags.filter { !$0.isEmpty }, byteCount: head.byteCount))
    }
}

func readResponse(
    _ bytes: [UInt8], _ parser: inout HeadParser, scanned: inout Int, to method: Method
) -> Ending {
    switch parser.response(bytes.span.bytes, scanned: scanned, to: method) {
    case .needMore(let seen):
        scanned = seen
        return .needMore
    case .refused(let refusal): return Ending(refusal)
    case .complete(let head):
        let flags = [head.keepsAlive ? "keep" : "", head.upgrade ? "upgrade" : ""]
        return .read(
            Reading(
                start: ["\(head.status)", text(head.reason, bytes), "1.\(head.minorVersion)"],
                fields: fields(parser, bytes), framing: head.framing,
                flags: flags.filter { !$0.isEmpty }, byteCount: head.byteCount))
    }
}

func readTrailers(
    _ bytes: [UInt8], _ parser: inout HeadParser, scanned: inout Int, of kind: MessageKind
) -> Ending {
    switch parser.trailers(bytes.span.bytes, scanned: scanned, of: kind) {
    case .needMore(let seen):
        scanned = seen
        return .needMore
    case .refused(let refusal): return Ending(refusal)
    case .complete(let count, let byteCount):
        precondition(count == parser.fieldCount)
        return .read(
            Reading(
                start: [], fields: fields(parser, bytes), framing: .none, flags: [], byteCount: byteCount))
    }
}

/// One parse of a whole request.
func request(_ text: String, _ limits: HeadLimits = HeadLimits()) -> Ending {
    var parser = HeadParser(limits: limits)
    var scanned = 0
    return readRequest(bytes(text), &parser, scanned: &scanned)
}

/// One parse of a whole response.
func response(_ text: String, to method: Method = .get, _ limits: HeadLimits = HeadLimits()) -> Ending {
    var parser = HeadParser(limits: limits)
    var scanned = 0
    return readResponse(bytes(text), &parser, scanned: &scanned, to: method)
}
