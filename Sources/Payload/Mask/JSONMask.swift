// Takes values out of a document before anybody keeps it: what stands at a masked path becomes "***", the
// rest keeps its bytes. A name that an object has twice is masked every time, because another reader may
// take the last one.
// Invariant: what comes out is a whole JSON document in which nothing stands at a masked path but "***"; a
// body that could not be checked to its end does not come out at all.

/// The paths whose values must not be kept.
public struct JSONMask: Sendable {
    /// Paths that one mask can have.
    public static let pathsMax = PathTracker.pathsMax
    /// What stands in place of a value: a string, so that the document stays JSON.
    public static let replacement = "\"***\""

    private let paths: [JSONPath]

    /// - Parameter paths: at most `pathsMax`.
    public init(_ paths: [JSONPath]) {
        precondition(paths.count <= Self.pathsMax)
        self.paths = paths
    }

    /// A body after masking.
    public enum Masked: Sendable, Equatable {
        /// The document without its masked values.
        case body([UInt8])
        /// The body is no JSON, or is not here to its end, and must not be kept.
        case withheld(BodyReading)
    }

    /// Masks one body.
    /// - Parameter isTruncated: whether bytes of it are missing at its end.
    public func masked(_ body: RawSpan, isTruncated: Bool = false) -> Masked {
        if isTruncated { return .withheld(.truncated) }
        var scanner = JSONScanner()
        var sink = Sink(tracker: PathTracker(paths, repeated: .all))
        scanner.take(body, &sink)
        guard scanner.finish(&sink) else {
            let problem = scanner.problem ?? ScanProblem(offset: scanner.offset, expected: "a document")
            return .withheld(.malformed(problem))
        }
        var out: [UInt8] = []
        out.reserveCapacity(body.byteCount)
        // The ranges are ascending and inside the body: they are offsets of the scan over it.
        body.withUnsafeBytes { bytes in
            var from = 0
            for range in sink.ranges {
                out.append(contentsOf: bytes[from..<range.lowerBound])
                out.append(contentsOf: Self.replacement.utf8)
                from = range.upperBound
            }
            out.append(contentsOf: bytes[from...])
        }
        return .body(out)
    }
}

extension JSONMask {
    /// Collects where masked values stand; what lies inside a masked container goes with it.
    private struct Sink: JSONSink {
        var tracker: PathTracker
        var ranges: [Range<Int>] = []
        private var depth = 0
        /// Where the masked value under way began, and how many containers were open around it.
        private var masking: (from: Int, depth: Int)?

        init(tracker: PathTracker) { self.tracker = tracker }

        mutating func begin(_ kind: JSONKind, at offset: Int) {
            if tracker.value() != 0, masking == nil { masking = (offset, depth) }
            if kind == .object || kind == .array {
                tracker.open(isArray: kind == .array)
                depth += 1
            }
        }

        mutating func end(_ kind: JSONKind, at offset: Int) {
            if kind == .object || kind == .array {
                tracker.close()
                depth -= 1
            }
            guard let open = masking, open.depth == depth else { return }
            ranges.append(open.from..<offset)
            masking = nil
        }

        mutating func text(_ byte: UInt8) {}
        mutating func beginName() { tracker.beginName() }
        mutating func nameByte(_ byte: UInt8) { tracker.nameByte(byte) }
        mutating func endName() { tracker.endName() }
    }
}
