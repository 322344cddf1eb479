// Metrics as text: one sequence of calls, two formats. Families are written one after the other, each with
// all its samples, as both formats demand; the formats differ in a counter's family name, the unit line
// and the end mark, and nothing else, so that a series keeps its name and its labels (also `le`) when a
// scraper changes its mind.
// Source: prometheus.io "Exposition formats" (0.0.4); OpenMetrics 1.0, "Text format".

/// Labels in the form in which they are written: escaped once, used for many samples.
public struct Labels: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// `model="a",version="b"`.
    var text: String

    /// No labels.
    public init() { text = "" }

    public init(dictionaryLiteral elements: (String, String)...) {
        text = ""
        for (name, value) in elements { append(name, value) }
    }

    /// Adds a label. A name is ours (`[a-zA-Z_][a-zA-Z0-9_]*`); a value may be anything, of a bounded set.
    public mutating func append(_ name: String, _ value: String) {
        precondition(name.utf8.allSatisfy(isNameByte), "a label's name is letters, digits and underscores")
        if !text.isEmpty { text += "," }
        text += name
        text += "=\""
        text += escaped(value)
        text += "\""
    }

    /// These labels and one more.
    public func with(_ name: String, _ value: String) -> Labels {
        var labels = self
        labels.append(name, value)
        return labels
    }
}

/// Writes one page of metrics.
public struct ExpositionWriter {
    /// What a family's numbers are.
    public enum Kind: Sendable {
        /// Grows only; written with the suffix `_total`.
        case counter
        case gauge
        case histogram
    }

    public let format: Exposition.Format
    private var text = ""
    private var family = ""
    private var kind = Kind.gauge
    private var families: Set<String> = []

    /// Upper bounds of a histogram's buckets in seconds, 100 us to an hour: model servers answer in
    /// milliseconds or stream for minutes, and what the proxy adds is tens of microseconds. Exact quantiles
    /// come from the histogram itself; these serve whoever has only Prometheus.
    public static let secondsBounds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
        60, 120, 300, 600, 1800, 3600,
    ]

    public init(_ format: Exposition.Format) {
        self.format = format
    }

    /// Begins a family; its samples follow. Each name once per page.
    ///
    /// - Parameters:
    ///   - name: base units, without `_total`; a suffix `_seconds`, `_bytes` or `_ratio` is its unit.
    ///   - help: one sentence; quotes and backslashes, which the formats escape differently, stay out.
    public mutating func begin(_ name: String, _ kind: Kind, help: String) {
        precondition(name.utf8.allSatisfy(isNameByte) && !name.hasSuffix("_total"), "a family's plain name")
        precondition(families.insert(name).inserted, "each family once per page")
        precondition(escaped(help) == help, "a help text needs no escapes")
        self.kind = kind
        family = name
        let isCounter = kind == .counter
        let title = isCounter && format == .prometheusText ? name + "_total" : name
        text += "# HELP \(title) \(help)\n"
        text += "# TYPE \(title) \(Self.word(kind))\n"
        if format == .openMetrics, let unit = Self.unit(of: name) { text += "# UNIT \(title) \(unit)\n" }
    }

    /// One sample of the counter or gauge that was begun last.
    public mutating func sample(_ value: some BinaryInteger, _ labels: Labels = Labels()) {
        line(suffix: sampleSuffix, labels.text, "\(value)")
    }

    /// One sample of the counter or gauge that was begun last.
    public mutating func sample(_ value: Double, _ labels: Labels = Labels()) {
        line(suffix: sampleSuffix, labels.text, Self.number(value))
    }

    /// One series of the histogram that was begun last, in seconds.
    ///
    /// A bin that straddles a bound counts above it, so a bucket holds only times that are certainly within
    /// its bound.
    ///
    /// - Parameter bounds: ascending, in seconds.
    public mutating func sample(
        _ snapshot: HistogramSnapshot, _ labels: Labels = Labels(),
        bounds: [Double] = ExpositionWriter.secondsBounds
    ) {
        precondition(kind == .histogram, "a histogram's samples belong to a histogram")
        var below: UInt64 = 0
        var next = 0
        for bound in bounds {
            let nanos = UInt64((bound * 1e9).rounded())
            while next < LogLinear.overflowBin, LogLinear.upperNanos(next) <= nanos {
                below &+= snapshot.counts[next]
                next += 1
            }
            line(suffix: "_bucket", labels.with("le", Self.number(bound)).text, "\(below)")
        }
        line(suffix: "_bucket", labels.with("le", "+Inf").text, "\(snapshot.count)")
        line(suffix: "_sum", labels.text, Self.number(Double(snapshot.sumNanos) / 1e9))
        line(suffix: "_count", labels.text, "\(snapshot.count)")
    }

    /// The page, ended as its format demands.
    public consuming func finish() -> String {
        format == .openMetrics ? text + "# EOF\n" : text
    }

    private var sampleSuffix: String {
        switch kind {
        case .counter: return "_total"
        case .gauge: return ""
        case .histogram: preconditionFailure("a histogram is written from its snapshot")
        }
    }

    private mutating func line(suffix: String, _ labels: String, _ value: String) {
        text += family
        text += suffix
        if !labels.isEmpty {
            text += "{"
            text += labels
            text += "}"
        }
        text += " "
        text += value
        text += "\n"
    }

    private static func word(_ kind: Kind) -> String {
        switch kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }

    private static func unit(of name: String) -> String? {
        ["seconds", "bytes", "ratio"].first { name.hasSuffix("_" + $0) }
    }

    /// The shortest text that reads back as the same number.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }
}

private func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
    default: false
    }
}

/// Backslash, line feed and double quote escaped.
private func escaped(_ value: String) -> String {
    let isPlain = value.utf8.allSatisfy {
        $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\"")
    }
    if isPlain { return value }
    var result = ""
    for scalar in value.unicodeScalars {
        switch scalar {
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\"": result += "\\\""
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
