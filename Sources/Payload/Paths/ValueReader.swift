// Reads what stands at several paths out of one document, in one scan, while its bytes arrive in pieces.
// Where a path can name several values (a wildcard), the first one in the order of the bytes counts; where an
// object has a name twice, the first one counts.
// Invariant: memory is fixed at `init`; only a number that is looked for may allocate, while it is converted.
// Sources: RFC 8259 section 4 (repeated names are left to the reader), RFC 9535.

/// Finds values in JSON documents, one document after the other.
public struct ValueReader {
    /// Paths that one reader can follow.
    public static let pathsMax = PathTracker.pathsMax
    /// Characters of a number that is looked for.
    public static let numberBytesMax = 128

    private var scanner = JSONScanner()
    private var sink: Sink

    /// - Parameters:
    ///   - paths: at most `pathsMax`.
    ///   - textBytesMax: bytes that are kept of a string.
    public init(_ paths: [JSONPath], textBytesMax: Int = 256) {
        precondition(textBytesMax >= 0)
        sink = Sink(paths, textBytesMax: textBytesMax)
    }

    /// Forgets the last document.
    public mutating func restart() {
        scanner = JSONScanner()
        sink.restart()
    }

    /// Takes the next piece of the document.
    public mutating func take(_ bytes: RawSpan) { scanner.take(bytes, &sink) }

    /// Ends the document; the findings are final then.
    /// - Parameter isTruncated: whether bytes of the document are known to be missing at its end.
    public mutating func finish(isTruncated: Bool = false) -> BodyReading {
        if isTruncated, scanner.refused == nil, scanner.state != .done {
            sink.settle(.unknown)
            return .truncated
        }
        if scanner.finish(&sink) {
            sink.settle(.absent)
            return .whole
        }
        sink.forget()
        return .malformed(scanner.problem ?? ScanProblem(offset: scanner.offset, expected: "a document"))
    }

    /// What stands at the path of that index, after `finish`. Nothing is said of a malformed document.
    public func finding(_ path: Int) -> Finding { sink.findings[path] }

    /// The string at the path of that index; nil unless its finding is `text`.
    public func text(_ path: Int) -> String? {
        guard sink.findings[path] == .text else { return nil }
        return String(decoding: sink.content(path), as: UTF8.self)
    }
}

extension ValueReader {
    private struct Sink: JSONSink {
        private(set) var findings: [Finding]
        private var tracker: PathTracker
        private let textBytesMax: Int
        /// Paths that have their finding.
        private var found: UInt64 = 0
        /// Paths that wait for the end of the scalar under way.
        private var capturing: UInt64 = 0
        /// The scalar under way, as far as it is kept.
        private var scalar: [UInt8]
        private var scalarCount = 0
        /// `textBytesMax` bytes per path, and how many of them hold its string.
        private var texts: [UInt8]
        private var textCounts: [Int]

        init(_ paths: [JSONPath], textBytesMax: Int) {
            tracker = PathTracker(paths, repeated: .first)
            self.textBytesMax = textBytesMax
            findings = Array(repeating: .unknown, count: paths.count)
            scalar = Array(repeating: 0, count: max(textBytesMax, ValueReader.numberBytesMax))
            texts = Array(repeating: 0, count: textBytesMax * paths.count)
            textCounts = Array(repeating: 0, count: paths.count)
        }

        mutating func restart() {
            tracker.restart()
            found = 0
            capturing = 0
            for i in findings.indices { findings[i] = .unknown }
        }

        /// What is said of the paths that led nowhere.
        mutating func settle(_ rest: Finding) {
            for i in findings.indices where found >> UInt64(i) & 1 == 0 { findings[i] = rest }
        }

        mutating func forget() {
            found = 0
            settle(.unknown)
        }

        func content(_ path: Int) -> ArraySlice<UInt8> {
            texts[path * textBytesMax..<path * textBytesMax + textCounts[path]]
        }

        mutating func begin(_ kind: JSONKind, at offset: Int) {
            let here = tracker.value() & ~found
            switch kind {
            case .object, .array:
                tracker.open(isArray: kind == .array)
                note(.container, for: here)
            case .string, .number, .true, .false, .null:
                capturing = here
                scalarCount = 0
            }
        }

        mutating func end(_ kind: JSONKind, at offset: Int) {
            switch kind {
            case .object, .array: return tracker.close()
            case .string, .number, .true, .false, .null: break
            }
            guard capturing != 0 else { return }
            switch kind {
            case .string: endText()
            case .number: note(number, for: capturing)
            case .true: note(.bool(true), for: capturing)
            case .false: note(.bool(false), for: capturing)
            case .null: note(.null, for: capturing)
            case .object, .array: break
            }
            capturing = 0
        }

        mutating func text(_ byte: UInt8) {
            guard capturing != 0 else { return }
            if scalarCount < scalar.count { scalar[scalarCount] = byte }
            scalarCount += 1
        }

        mutating func beginName() { tracker.beginName() }
        mutating func nameByte(_ byte: UInt8) { tracker.nameByte(byte) }
        mutating func endName() { tracker.endName() }

        private mutating func note(_ finding: Finding, for paths: UInt64) {
            found |= paths
            var rest = paths
            while rest != 0 {
                findings[rest.trailingZeroBitCount] = finding
                rest &= rest - 1
            }
        }

        private mutating func endText() {
            guard scalarCount <= textBytesMax else { return note(.longText, for: capturing) }
            note(.text, for: capturing)
            var rest = capturing
            while rest != 0 {
                let path = rest.trailingZeroBitCount
                rest &= rest - 1
                textCounts[path] = scalarCount
                for i in 0..<scalarCount { texts[path * textBytesMax + i] = scalar[i] }
            }
        }

        private var number: Finding {
            guard scalarCount <= ValueReader.numberBytesMax,
                let value = Double(String(decoding: scalar[..<scalarCount], as: UTF8.self)), value.isFinite
            else { return .unreadableNumber }
            return .number(value)
        }
    }
}
