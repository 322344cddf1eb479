// One copied exchange as one line of JSON, masked. What must not be kept is gone before the line exists: the
// ring of the last exchanges, the files and every export only ever see lines.
//
// A line begins behind its `{`, so that the store can put in front what the line is kept for. The member
// names are an interface: new ones may come, none changes its meaning. Times are whole microseconds.
// Invariant: valid JSON on one line, whatever the peers sent; a body that should be masked and cannot be read
// to its end is withheld, and the line says so.

import Config
import Payload
import Platform
import Proxy

/// The names behind a sample's slots.
struct CaptureNames {
    var model: String
    /// By version slot.
    var versions: [UInt32: String]

    func version(_ slot: UInt32) -> JSON { .optional(versions[slot]) }
}

/// Turns samples into lines by the rules of one model.
struct CaptureLine {
    private let config: CapturesConfig
    private let query: QueryMask
    private let mask: JSONMask?
    /// Values may want longer bodies than captures.
    private let bodyBytesMax: Int

    init(_ config: CapturesConfig) {
        self.config = config
        query = QueryMask(config)
        bodyBytesMax = config.bodyBytesMax
        mask = config.maskedPaths.isEmpty ? nil : JSONMask(config.maskedPaths)
    }

    /// The line without its opening brace and its line feed.
    func line(_ sample: borrowing TapSample, id: String, _ names: CaptureNames) -> [UInt8] {
        let record = sample.record
        var out: [UInt8] = []
        out.reserveCapacity(2_048 + sample.requestBody.count + sample.responseBody.count)
        for member in members(record, id: id, names) {
            Self.quote(member.name, to: &out)
            out.append(0x3A)
            out += member.value.text.utf8
            out.append(0x2C)
        }
        let request = MessageHead(sample.requestHead)
        out += "\"request\":{".utf8
        write("method", request.first, to: &out)
        write("target", query.masked(request.second), to: &out)
        write("http", request.third, to: &out)
        writeFields(request, to: &out)
        writeCut(record.traits.contains(.requestHeadCut), "head_cut", to: &out)
        writeBody(
            sample.requestBody, of: request, total: record.bytesIn,
            isCut: record.traits.contains(.requestBodyCut), to: &out)
        out += "},\"response\":".utf8
        guard record.responseStatus != 0 else {
            out += "null}".utf8
            return out
        }
        let response = MessageHead(sample.responseHead)
        out += "{\"status\":\(record.responseStatus),".utf8
        write("http", response.first, to: &out)
        write("reason", response.third, to: &out)
        writeFields(response, to: &out)
        writeCut(record.traits.contains(.responseHeadCut), "head_cut", to: &out)
        let isOwn = record.responded == record.answered
        writeBody(
            sample.responseBody, of: response, total: isOwn ? record.bytesOut : nil,
            isCut: record.traits.contains(.responseBodyCut), to: &out)
        out += "}}".utf8
        return out
    }

    private func members(_ record: TapRecord, id: String, _ names: CaptureNames) -> [JSON.Member] {
        func micros(_ value: UInt32) -> JSON { value == .max ? .null : .integer(Int64(value)) }
        var why: [JSON] = []
        if record.traits.contains(.drawn) { why.append("drawn") }
        if record.traits.contains(.recent) { why.append("recent") }
        if record.traits.contains(.failed) { why.append("failed") }
        return [
            .init("id", .string(id)), .init("at", .string(Timestamp.text(wallMicros: record.wallMicros))),
            .init("model", .string(names.model)), .init("version", names.version(record.assigned)),
            .init("answered_by", names.version(record.answered)),
            .init("response_of", names.version(record.responded)),
            .init("why", .array(why)), .init("reason", .string(record.reason.label)),
            .init("randomised", .bool(record.isRandomised)),
            .init("weight_ppm", .integer(Int64(record.weightPPM))),
            .init("outcome", .string(record.outcome.label)), .init("shielded", .bool(record.isShielded)),
            .init("attempts", .integer(Int64(record.attempts))),
            .init("status", record.status == 0 ? .null : .integer(Int64(record.status))),
            .init("total_us", micros(record.totalMicros)),
            .init("upstream_us", micros(record.upstreamMicros)),
            .init("first_byte_us", micros(record.firstByteMicros)),
            .init("client", record.client == .none ? .null : .string("\(record.client)")),
        ]
    }

    private func writeFields(_ head: MessageHead, to out: inout [UInt8]) {
        out += "\"headers\":[".utf8
        for (i, field) in head.fields.enumerated() {
            if i > 0 { out.append(0x2C) }
            out.append(0x5B)
            Self.quote(field.name, to: &out)
            out.append(0x2C)
            Self.quote(config.masks(header: field.name) ? "***" : query.masked(field.value), to: &out)
            out.append(0x5D)
        }
        out += "],".utf8
    }

    /// `body` as text where it is UTF-8, else base64 with `encoding`; null with `withheld` where it must not
    /// be kept.
    private func writeBody(
        _ bytes: UnsafeRawBufferPointer, of head: MessageHead, total: UInt64?, isCut: Bool,
        to out: inout [UInt8]
    ) {
        let isCut = isCut || bytes.count > bodyBytesMax
        let bytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(bodyBytesMax))
        out += "\"body_bytes\":\(total.map(String.init) ?? "null"),".utf8
        writeCut(isCut, "body_cut", to: &out)
        guard let mask, !bytes.isEmpty else {
            guard head.isForm else { return writeContent(bytes, to: &out) }
            var form = query.maskedPairs(String(decoding: bytes, as: UTF8.self)[...])
            return form.withUTF8 { writeContent(UnsafeRawBufferPointer($0), to: &out) }
        }
        switch mask.masked(bytes.bytes, isTruncated: isCut) {
        case .body(let masked): masked.withUnsafeBytes { writeContent($0, to: &out) }
        case .withheld(let reading):
            out += "\"body\":null,\"withheld\":".utf8
            Self.quote(Self.why(reading), to: &out)
        }
    }

    private static func why(_ reading: BodyReading) -> String {
        switch reading {
        case .truncated: "the body was cut, so it could not be masked"
        case .malformed(let problem): "\(problem), so it could not be masked"
        case .whole: "it could not be masked"
        }
    }

    private func writeContent(_ bytes: UnsafeRawBufferPointer, to out: inout [UInt8]) {
        out += "\"body\":".utf8
        if let text = String(validating: bytes, as: UTF8.self) {
            Self.quote(text, to: &out)
        } else {
            Self.quote(Base64.text(bytes), to: &out)
            out += ",\"encoding\":\"base64\"".utf8
        }
    }

    private func write(_ name: String, _ value: String, to out: inout [UInt8]) {
        Self.quote(name, to: &out)
        out.append(0x3A)
        Self.quote(value, to: &out)
        out.append(0x2C)
    }

    private func writeCut(_ isCut: Bool, _ name: String, to out: inout [UInt8]) {
        out += "\"\(name)\":\(isCut),".utf8
    }

    static func quote(_ text: String, to out: inout [UInt8]) {
        ForeignText.quote(text.utf8.span, to: &out)
    }
}
