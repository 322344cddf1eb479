// Where two documents differ, by structure and not by bytes: members are compared by name whatever their
// order, numbers within a tolerance, elements by their place or, if so wanted, as a bag. Meant for the
// answers of two versions to one request.
// Invariant: the answer is bounded (`differencesMax`), and so is the work (`stepsMax`); where a bound ended a
// comparison, it says so. Sources: RFC 8259; paths as RFC 9535's normalized paths (section 2.7).

/// How two documents are compared.
public struct JSONDiff: Sendable {
    /// Paths that one comparison can ignore.
    public static let ignoredMax = PathTracker.pathsMax
    /// Pairs of values that one comparison looks at.
    public static let stepsMax = 250_000

    /// Numbers that differ by at most this much are equal.
    public var absolute: Double
    /// Numbers that differ by at most this share of the larger one are equal.
    public var relative: Double
    /// Whether an array is a bag, in which places do not count.
    public var ignoresOrder: Bool
    /// What stands at these paths is not compared.
    public var ignored: [JSONPath]
    /// Differences that are listed; the rest is left out.
    public var differencesMax: Int

    /// - Parameters:
    ///   - absolute: not negative.
    ///   - relative: not negative; 0.01 is 1 %.
    ///   - ignored: at most `ignoredMax`.
    ///   - differencesMax: at least 1.
    public init(
        absolute: Double = 0, relative: Double = 0, ignoresOrder: Bool = false, ignored: [JSONPath] = [],
        differencesMax: Int = 32
    ) {
        precondition(absolute >= 0 && relative >= 0 && differencesMax > 0)
        precondition(ignored.count <= Self.ignoredMax)
        self.absolute = absolute
        self.relative = relative
        self.ignoresOrder = ignoresOrder
        self.ignored = ignored
        self.differencesMax = differencesMax
    }

    /// What a comparison came to.
    public enum Comparison: Sendable, Equatable {
        /// None: the documents are equal as far as was asked. `isWhole`: false where a bound ended it.
        case differences([Difference], isWhole: Bool)
        /// One of them cannot be compared.
        case unreadable(Side, ScanProblem)
    }

    /// The first or the second document.
    public enum Side: Sendable, Hashable {
        case reference, other
    }

    /// One place where the documents differ.
    public struct Difference: Sendable, Equatable {
        /// Normalized, as `$['outputs'][0]`; places in a bag are those of the side that has the element.
        public var path: String
        public var what: What
    }

    /// How they differ there.
    public enum What: Sendable, Equatable {
        /// A member or an element that only one of them has.
        case onlyIn(Side)
        /// Object, array, string, number, boolean or null, and which.
        case kinds(String, String)
        /// Numbers too far apart, as written.
        case numbers(String, String)
        /// Strings or booleans; strings up to `valueBytesMax` bytes.
        case values(String, String)
    }

    /// Bytes that are told of a string.
    public static let valueBytesMax = 80

    /// Compares two documents.
    public func compare(_ reference: RawSpan, _ other: RawSpan) -> Comparison {
        let left: DiffTree
        let right: DiffTree
        switch DiffTree.read(reference, ignored: ignored) {
        case .success(let tree): left = tree
        case .failure(let problem): return .unreadable(.reference, problem)
        }
        switch DiffTree.read(other, ignored: ignored) {
        case .success(let tree): right = tree
        case .failure(let problem): return .unreadable(.other, problem)
        }
        var walk = DiffWalk(self, left, right)
        if !left.nodes[0].isIgnored { walk.compare(0, 0) }
        return .differences(walk.found, isWhole: walk.isWhole)
    }

    /// Whether two numbers, as written, count as equal.
    func isEqual(_ left: String, _ right: String) -> Bool {
        if left == right { return true }
        guard let a = Double(left), let b = Double(right), a.isFinite, b.isFinite else { return false }
        let distance = abs(a - b)
        // Integers that a double cannot tell apart differ all the same.
        if distance == 0, let a = Int64(left), let b = Int64(right), a != b { return absolute + relative > 0 }
        return distance <= absolute || distance <= relative * max(abs(a), abs(b))
    }
}
