// How readings of a value fall into bins: classes where a model answers with few different values, else
// deciles of stable's, both frozen once; or the histogram of a reference that a person has pinned.
// Invariant: bins are made from values that no bet was placed on, and never change afterwards.
// Source: guardrails/statistics.md, sections 3.6 and 3.7.

/// Bins of a value's distribution.
struct DriftBins: Sendable, Hashable, Codable {
    /// Upper edges, ascending, the last bin is above them; or the classes, and the last bin is any other.
    private let marks: [Float]
    private let isClasses: Bool

    /// Different values up to which a value is one of classes.
    static let classesMax = 20
    /// A class rarer than this is pooled with the others.
    private static let classShareMin = 0.01

    /// Bins in all, at least 2.
    var count: Int { marks.count + 1 }

    init(edges: [Double]) {
        marks = edges.map { Float($0) }
        isClasses = false
    }

    /// Bins of stable's first values; not empty.
    init(freezing values: [Float]) {
        let sorted = values.sorted()
        var runs: [(value: Float, count: Int)] = []
        for value in sorted {
            if let last = runs.last, last.value == value {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((value, 1))
            }
        }
        isClasses = runs.count <= DriftBins.classesMax
        if isClasses {
            let least = DriftBins.classShareMin * Double(sorted.count)
            marks = runs.filter { Double($0.count) >= least }.map(\.value)
        } else {
            var edges: [Float] = []
            for tenth in 1...9 {
                let edge = sorted[(sorted.count * tenth + 9) / 10 - 1]
                if edges.last != edge { edges.append(edge) }
            }
            marks = edges
        }
    }

    /// The bin of a value.
    func index(_ value: Double) -> Int {
        let value = Float(value)
        if isClasses { return marks.firstIndex(of: value) ?? marks.count }
        return marks.firstIndex { value <= $0 } ?? marks.count
    }

    /// Adds values to counts by bin.
    func count(_ values: [Double], into counts: inout [Int]) {
        for value in values { counts[index(value)] += 1 }
    }
}

/// A pinned histogram: what a value is expected to look like, from a file that a person has written.
public struct DriftReference: Sendable, Hashable, Codable {
    /// Upper edges of all bins but the last, ascending.
    public var edges: [Double]
    /// Rows per bin; one more than edges.
    public var counts: [Int]

    public init(edges: [Double], counts: [Int]) {
        self.edges = edges
        self.counts = counts
    }

    /// A reference from rows: deciles.
    public init(values: [Double]) {
        let sorted = values.sorted()
        var edges: [Double] = []
        for tenth in 1...9 where !sorted.isEmpty {
            let edge = sorted[(sorted.count * tenth + 9) / 10 - 1]
            if edge < sorted[sorted.count - 1], edges.last != edge { edges.append(edge) }
        }
        self.edges = edges
        let bins = DriftBins(edges: edges)
        counts = Array(repeating: 0, count: bins.count)
        bins.count(values, into: &counts)
    }

    /// Rows below which a reference says too little about the truth, and bins that a guardrail can hold.
    public static let rowsMin = 1000
    public static let binsMax = 30

    /// Rows in all.
    public var rows: Int { counts.reduce(0) { $0.addingReportingOverflow($1).partialValue } }

    /// Why nothing can be compared with it; nil when it can.
    var problem: String? {
        if edges.count + 1 != counts.count { return "a reference has one count more than edges between bins" }
        if counts.count < 2 { return "a reference needs at least two bins" }
        if counts.count > DriftReference.binsMax {
            return "a reference has at most \(DriftReference.binsMax) bins"
        }
        if edges.contains(where: { !$0.isFinite })
            || zip(edges, edges.dropFirst()).contains(where: { $0 >= $1 })
        {
            return "a reference's edges ascend"
        }
        if counts.contains(where: { $0 < 0 || $0 > 1 << 40 }) {
            return "a reference's counts are not negative"
        }
        if rows < DriftReference.rowsMin {
            return "a reference needs at least \(DriftReference.rowsMin) rows, it has \(rows)"
        }
        return nil
    }
}
