// One access record as one line of JSON. The fields and their order are always the same, so that a log
// pipeline can rely on them; what did not come to be is null. Times are whole microseconds.
//
// Path and request id are a stranger's bytes. Whatever they are, the line is valid JSON on one line and
// safe to print (`ForeignText`); a byte that is no UTF-8 is written as %XX, which is what it would be in a
// URL.

import Metrics
import Payload
import Platform
import Proxy
import Wire

/// The names behind a record's slots, in the form in which they are written.
struct AccessNames: Sendable {
    /// Quoted JSON strings, by slot; empty where no plan has named the slot.
    private var models: [[UInt8]] = []
    private var versions: [[UInt8]] = []

    init() {}

    init(_ plan: Plan) { adopt(plan) }

    /// Takes over a newer plan's names. Names of slots that it does not use stay: records of the plan before
    /// may still be on their way.
    mutating func adopt(_ plan: Plan) {
        for model in plan.models {
            Self.set(&models, model.slot, model.name)
            for (i, version) in model.versions.enumerated() {
                Self.set(&versions, version.slot, model.label(of: i))
            }
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
        line += "\",\"first_attempt\":\"".utf8
        line += record.firstAttempt.label.utf8
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

extension AccessLine {
    /// The bytes as a JSON string, quotes included.
    static func quoted(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        ForeignText.quote(bytes.span, to: &text)
        return text
    }

    /// Appends the first `count` bytes as a JSON string, quotes included.
    static func appendQuoted(_ bytes: Span<UInt8>, count: Int, to line: inout [UInt8]) {
        ForeignText.quote(bytes.extracting(first: count), to: &line)
    }
}
