// Reads one model's values out of one sample: heads by Wire's parser, bodies by Payload's scanner.
//
// What counts as an observation. Of a request value: every exchange. Of a response value: an exchange that
// was a success of the version assigned, whose own response is in the sample; what an error page does not
// have is no finding about a model's answers, and errors have guardrails of their own. An observed value is a
// number or missing; where a head or body was not seen whole, or is compressed, nothing is said at all.

import Config
import Metrics
import Payload
import Proxy
import Wire

/// What one sample says of one value.
enum ValueFinding: Sendable, Equatable {
    case number(Double)
    /// Looked at, and there is no number.
    case missing
    /// Could not be looked at.
    case unknown
    /// Nothing to look at: the exchange has no such side.
    case none
}

/// Reads the values of one model.
struct SampleReader {
    let model: String
    /// By version slot.
    let versions: [Int: String]
    let values: [ValueConfig]
    private var request: Side
    private var response: Side
    /// What the last sample said of each value.
    private(set) var findings: [ValueFinding]

    init(_ config: ModelConfig, _ plan: ModelPlan) {
        model = config.name
        versions = Dictionary(
            plan.versions.map { ($0.slot, $0.name) }, uniquingKeysWith: { first, _ in first })
        values = config.values.all
        findings = Array(repeating: .none, count: values.count)
        request = Side()
        response = Side()
        for (i, value) in values.enumerated() {
            switch value.source {
            case .requestBody(let path): request.add(path, i)
            case .responseBody(let path): response.add(path, i)
            case .requestHeader(let name): request.add(name, i)
            case .responseHeader(let name): response.add(name, i)
            }
        }
        request.seal()
        response.seal()
    }

    /// Reads a sample into `findings`.
    /// - Returns: what it came to; nil: the sample has nothing that this model asks for.
    mutating func read(_ sample: borrowing TapSample, _ parser: inout HeadParser) -> SampleResult? {
        for i in findings.indices { findings[i] = .none }
        let traits = sample.record.traits
        var result: SampleResult?
        if !request.isEmpty {
            result = request.read(
                sample.requestHead.bytes, sample.requestBody.bytes, of: .request,
                isHeadCut: traits.contains(.requestHeadCut), isBodyCut: traits.contains(.requestBodyCut),
                &parser, &findings)
        }
        if !response.isEmpty, hasAnswer(sample) {
            let read = response.read(
                sample.responseHead.bytes, sample.responseBody.bytes, of: .response,
                isHeadCut: traits.contains(.responseHeadCut), isBodyCut: traits.contains(.responseBodyCut),
                &parser, &findings)
            result = result.map { $0.isWorse(than: read) ? $0 : read } ?? read
        }
        return result
    }

    /// Whether the sample holds a successful answer of the version assigned, with a body if it has one.
    private func hasAnswer(_ sample: borrowing TapSample) -> Bool {
        let record = sample.record
        let isHeadRequest = sample.requestHead.starts(with: "HEAD ".utf8)
        return record.outcome == .success && record.responded == record.assigned
            && (200..<300).contains(record.responseStatus) && !isHeadRequest
    }
}

extension SampleResult {
    func isWorse(than other: SampleResult) -> Bool {
        let order = SampleResult.allCases
        return (order.firstIndex(of: self) ?? 0) < (order.firstIndex(of: other) ?? 0)
    }
}

extension SampleReader {
    /// The values of a request, or of a response.
    private struct Side {
        private var paths: [JSONPath] = []
        private var pathValues: [Int] = []
        private var names: [[UInt8]] = []
        private var nameValues: [Int] = []
        private var body = ValueReader([])

        var isEmpty: Bool { paths.isEmpty && names.isEmpty }

        mutating func add(_ path: JSONPath, _ value: Int) {
            paths.append(path)
            pathValues.append(value)
        }

        mutating func add(_ name: String, _ value: Int) {
            names.append(Array(name.utf8))
            nameValues.append(value)
        }

        /// Ready to read, when everything has been added.
        mutating func seal() { body = ValueReader(paths, textBytesMax: 0) }

        mutating func read(
            _ head: RawSpan, _ content: RawSpan, of kind: MessageKind, isHeadCut: Bool, isBodyCut: Bool,
            _ parser: inout HeadParser, _ findings: inout [ValueFinding]
        ) -> SampleResult {
            guard !isHeadCut, parse(head, kind, &parser) else {
                for i in nameValues + pathValues { findings[i] = .unknown }
                return .truncated
            }
            for i in nameValues { findings[i] = .missing }
            var isEncoded = false
            for index in stride(from: parser.fieldCount - 1, through: 0, by: -1) {
                let field = parser.field(index)
                if field.known == .contentEncoding {
                    isEncoded = !head.matches(field.value, lowercase: Self.identity.span.bytes)
                }
                // From the last to the first, so that the first of a name stands in the end.
                for (name, i) in zip(names, nameValues) where field.isNamed(name.span.bytes, in: head) {
                    findings[i] = number(head, field.value).map { .number($0) } ?? .missing
                }
            }
            return paths.isEmpty ? .read : readBody(content, isEncoded, isBodyCut, &findings)
        }

        private static let identity = Array("identity".utf8)

        private func parse(_ head: RawSpan, _ kind: MessageKind, _ parser: inout HeadParser) -> Bool {
            switch kind {
            case .request:
                if case .complete = parser.request(head) { return true }
            case .response:
                if case .complete = parser.response(head, to: .get) { return true }
            }
            return false
        }

        private mutating func readBody(
            _ content: RawSpan, _ isEncoded: Bool, _ isCut: Bool, _ findings: inout [ValueFinding]
        ) -> SampleResult {
            if isEncoded {
                for i in pathValues { findings[i] = .unknown }
                return .encoded
            }
            body.restart()
            body.take(content)
            let reading = body.finish(isTruncated: isCut)
            var isAnyUnknown = false
            for (path, i) in pathValues.enumerated() {
                switch body.finding(path) {
                case .number(let value): findings[i] = .number(value)
                case .bool(let value): findings[i] = .number(value ? 1 : 0)
                case .absent, .null, .unreadableNumber, .text, .longText, .container: findings[i] = .missing
                // What is no JSON has no values; what was not seen whole may have them.
                case .unknown: findings[i] = reading.isMalformed ? .missing : .unknown
                }
                isAnyUnknown = isAnyUnknown || findings[i] == .unknown
            }
            return reading.isMalformed ? .malformed : isAnyUnknown ? .truncated : .read
        }

        /// A decimal number, and nothing else.
        private func number(_ head: RawSpan, _ value: Slice) -> Double? {
            guard value.count > 0, value.count <= 64 else { return nil }
            // The slice lies in the head: the parser says so.
            let text = head.extracting(value.range).withUnsafeBytes { bytes -> String? in
                let isDecimal = bytes.allSatisfy { (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }
                return isDecimal ? String(decoding: bytes, as: UTF8.self) : nil
            }
            return text.flatMap(Double.init).flatMap { $0.isFinite ? $0 : nil }
        }
    }
}

extension BodyReading {
    fileprivate var isMalformed: Bool {
        switch self {
        case .malformed: true
        case .whole, .truncated: false
        }
    }
}
