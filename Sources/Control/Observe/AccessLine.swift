// One access record as one line of JSON. The fields and their order are always the same, so that a log
// pipeline can rely on them; what did not come to be is null. Times are whole microseconds.
//
// Path and request id are a stranger's bytes. Whatever they are, the line is valid JSON on one line and
// safe to print: control characters (also those of U+0080...U+009F, which terminals obey) are escaped, and
// a byte that is no UTF-8 is written as %XX, which is what it would be in a URL.
// Source: RFC 8259, section 7; RFC 3629, section 4.

import Metrics
import Platform
import Proxy
import Wire

/// The names behind a record's slots, in the form in which they are written.
public struct AccessNames: Sendable {
    /// Quoted JSON strings, by slot; empty where no plan has named the slot.
    private var models: [[UInt8]] = []
    private var versions: [[UInt8]] = []

    public init() {}

    public init(_ plan: Plan) { adopt(plan) }

    /// Takes over a newer plan's names. Names of slots that it does not use stay: records of the plan before
    /// may still be on their way.
    public mutating func adopt(_ plan: Plan) {
        for model in plan.models {
            Self.set(&models, model.slot, model.name)
            for version in model.versions { Self.set(&versions, version.slot, version.name) }
        }
    }

    private static func set(_ names: inout [[UInt8]], _ slot: Int, _ name: String) {
        while names.count <= slot { names.append([]) }
        names[slot] = AccessLine.quoted(Array(name.utf8))
    }

    func model(_ slot: UInt32) -> [UInt8] { Self.name(models, slot) }
    func version(_ slot: UInt32) -> [UInt8] { Self.name(versions, slot) }

    private static func name(_ names: [[UInt8]], _ slot: UInt32) -> [UInt8] {
        guard slot < names.count, !names[Int(slot)].isEmpty else { return AccessLine.null }
        return names[Int(slot)]
    }
}

/// Turns records into lines.
struct AccessLine {
    var names: AccessNames
    /// The wall-clock second that was written last, and its text up to the seconds.
    private var second = UInt64.max
    private var secondText: [UInt8] = []

    static let null = Array("null".utf8)

    init(names: AccessNames) { self.names = names }

    /// Appends the record's line, its line feed included.
    mutating func append(_ record: borrowing AccessRecord, to line: inout [UInt8]) {
        line += "{\"time\":\"".utf8
        appendTime(record.wallMicros, to: &line)
        line += "\",\"model\":".utf8
        line += names.model(record.model)
        line += ",\"version\":".utf8
        line += names.version(record.assigned)
        line += ",\"answered_by\":".utf8
        line += names.version(record.answered)
        line += ",\"reason\":\"".utf8
        line += record.reason.label.utf8
        line += "\",\"outcome\":\"".utf8
        line += record.outcome.label.utf8
        line += "\",\"shielded\":".utf8
        line += (record.isShielded ? "true" : "false").utf8
        line += ",\"attempts\":".utf8
        Self.append(UInt64(record.attempts), to: &line)
        line += ",\"method\":\"".utf8
        line += Self.word(Method(rawValue: record.method)).utf8
        line += "\",\"path\":".utf8
        Self.appendQuoted(record.path.span, count: Int(record.pathCount), to: &line)
        line += ",\"path_cut\":".utf8
        line += (record.isPathCut ? "true" : "false").utf8
        line += ",\"status\":".utf8
        Self.append(record.status == 0 ? nil : UInt64(record.status), to: &line)
        line += ",\"bytes_in\":".utf8
        Self.append(record.bytesIn, to: &line)
        line += ",\"bytes_out\":".utf8
        Self.append(record.bytesOut, to: &line)
        appendTimes(record, to: &line)
        line += ",\"client\":".utf8
        Self.append(record.client, to: &line)
        line += ",\"request_id\":".utf8
        if record.requestIDCount == 0 {
            line += Self.null
        } else {
            Self.appendQuoted(record.requestID.span, count: Int(record.requestIDCount), to: &line)
        }
        line += ",\"core\":".utf8
        Self.append(UInt64(record.core), to: &line)
        line += "}\n".utf8
    }

    private func appendTimes(_ record: borrowing AccessRecord, to line: inout [UInt8]) {
        let total = record.totalMicros
        let upstream = record.upstreamMicros
        line += ",\"total_us\":".utf8
        Self.append(total == .max ? nil : UInt64(total), to: &line)
        line += ",\"upstream_us\":".utf8
        Self.append(upstream == .max ? nil : UInt64(upstream), to: &line)
        line += ",\"first_byte_us\":".utf8
        Self.append(record.firstByteMicros == .max ? nil : UInt64(record.firstByteMicros), to: &line)
        line += ",\"added_us\":".utf8
        let added = total == .max || upstream == .max ? nil : UInt64(total > upstream ? total - upstream : 0)
        Self.append(added, to: &line)
    }

    /// RFC 3339 with microseconds. The text up to the second is made once per second.
    private mutating func appendTime(_ wallMicros: UInt64, to line: inout [UInt8]) {
        let now = wallMicros / 1_000_000
        if now != second {
            second = now
            secondText = Array(Timestamp.text(wallMicros: now * 1_000_000).utf8.prefix { $0 != 0x2E })
        }
        line += secondText
        line.append(UInt8(ascii: "."))
        var divisor: UInt64 = 100_000
        while divisor > 0 {
            line.append(0x30 + UInt8(wallMicros / divisor % 10))
            divisor /= 10
        }
        line.append(UInt8(ascii: "Z"))
    }

    private static func append(_ number: UInt64?, to line: inout [UInt8]) {
        guard let number else {
            line += null
            return
        }
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        var rest = number
        repeat {
            first -= 1
            digits[first] = 0x30 + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
        for index in first..<20 { line.append(digits[index]) }
    }

    /// The client's address; null for a peer on a Unix socket.
    private static func append(_ address: IPAddress, to line: inout [UInt8]) {
        guard address != .none else {
            line += null
            return
        }
        line.append(UInt8(ascii: "\""))
        withUnsafeTemporaryAllocation(byteCount: IPAddress.textBytesMax, alignment: 1) { text in
            line += text[..<address.writeText(into: text)]
        }
        line.append(UInt8(ascii: "\""))
    }

    private static func word(_ method: Method?) -> String {
        switch method {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .connect: "CONNECT"
        case .other, nil: "OTHER"
        }
    }
}

// MARK: - A stranger's bytes

extension AccessLine {
    /// The bytes as a JSON string, quotes included.
    static func quoted(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        appendQuoted(bytes.span, count: bytes.count, to: &text)
        return text
    }

    /// Appends the first `count` bytes as a JSON string, quotes included.
    static func appendQuoted(_ bytes: Span<UInt8>, count: Int, to line: inout [UInt8]) {
        let count = min(count, bytes.count)
        line.append(UInt8(ascii: "\""))
        var index = 0
        while index < count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                line.append(UInt8(ascii: "\\"))
                line.append(byte)
                index += 1
            case 0x20..<0x7F:
                line.append(byte)
                index += 1
            case 0..<0x20, 0x7F:
                appendEscape(byte, to: &line)
                index += 1
            default:
                index += appendBeyondASCII(bytes, index, count, to: &line)
            }
        }
        line.append(UInt8(ascii: "\""))
    }

    /// Appends the character at `index`, or its first byte as %XX when there is none; returns the bytes
    /// taken.
    private static func appendBeyondASCII(
        _ bytes: Span<UInt8>, _ index: Int, _ end: Int, to line: inout [UInt8]
    ) -> Int {
        let length = sequenceLength(bytes, index, end)
        guard length > 0 else {
            line.append(UInt8(ascii: "%"))
            line.append(hex(bytes[index] >> 4))
            line.append(hex(bytes[index] & 15))
            return 1
        }
        // U+0080...U+009F are C2 80...C2 9F.
        if bytes[index] == 0xC2 && bytes[index + 1] < 0xA0 {
            appendEscape(bytes[index + 1], to: &line)
        } else {
            for offset in 0..<length { line.append(bytes[index + offset]) }
        }
        return length
    }

    /// Length of the well-formed UTF-8 sequence at `index`, 2...4; 0 when there is none (RFC 3629: no
    /// overlong form, no surrogate, nothing beyond U+10FFFF).
    private static func sequenceLength(_ bytes: Span<UInt8>, _ index: Int, _ end: Int) -> Int {
        let length: Int
        let second: ClosedRange<UInt8>
        switch bytes[index] {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return 0
        }
        guard index + length <= end, second.contains(bytes[index + 1]) else { return 0 }
        for offset in 2..<4 where offset < length {
            guard bytes[index + offset] & 0xC0 == 0x80 else { return 0 }
        }
        return length
    }

    private static func appendEscape(_ byte: UInt8, to line: inout [UInt8]) {
        line += "\\u00".utf8
        line.append(hex(byte >> 4))
        line.append(hex(byte & 15))
    }

    private static func hex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? 0x30 + digit : UInt8(ascii: "A") + digit - 10
    }
}
