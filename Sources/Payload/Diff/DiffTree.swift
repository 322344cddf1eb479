// A document as a flat list of nodes, for what needs two documents at once. Nodes stand in the order of the
// bytes; a container's children are found by hopping over whole subtrees (`end`), so there are no links to
// follow and nothing to free but three arrays.
// Invariant: at most `nodesMax` nodes; every range lies inside `bytes`; nesting is the scanner's, at most 64.

struct DiffTree {
    /// Values of a document; the largest sensible answer of a model has about as many numbers.
    static let nodesMax = 262_144

    struct Node {
        var kind: JSONKind
        /// The member's name, decoded; empty in arrays.
        var name = 0..<0
        /// A string's content, decoded, or a number's text.
        var text = 0..<0
        /// The node behind this one's subtree.
        var end = 0
        /// Whether a path that is to be ignored leads here.
        var isIgnored = false
    }

    private(set) var nodes: [Node] = []
    private var bytes: [UInt8] = []
    private var tracker: PathTracker
    private var open: [Int] = []
    private var name = 0..<0
    private(set) var isTooLarge = false

    private init(_ ignored: [JSONPath]) { tracker = PathTracker(ignored, repeated: .all) }

    /// Reads a whole document; nodes at `ignored` paths are marked.
    static func read(_ document: RawSpan, ignored: [JSONPath]) -> Result<DiffTree, ScanProblem> {
        var scanner = JSONScanner()
        var tree = DiffTree(ignored)
        scanner.take(document, &tree)
        guard scanner.finish(&tree) else {
            let problem = scanner.problem ?? ScanProblem(offset: scanner.offset, expected: "a document")
            return .failure(problem)
        }
        if tree.isTooLarge {
            return .failure(ScanProblem(offset: scanner.offset, expected: "at most \(nodesMax) values"))
        }
        return .success(tree)
    }

    func name(_ node: Int) -> ArraySlice<UInt8> { bytes[nodes[node].name] }
    func text(_ node: Int) -> ArraySlice<UInt8> { bytes[nodes[node].text] }

    /// The children of a container that are not ignored, in order, each with its place in it.
    func children(_ node: Int) -> [(place: Int, node: Int)] {
        var found: [(place: Int, node: Int)] = []
        var child = node + 1
        var place = 0
        while child < nodes[node].end {
            if !nodes[child].isIgnored { found.append((place, child)) }
            place += 1
            child = nodes[child].end
        }
        return found
    }
}

extension DiffTree: JSONSink {
    mutating func begin(_ kind: JSONKind, at offset: Int) {
        let isIgnored = tracker.value() != 0
        if kind == .object || kind == .array { tracker.open(isArray: kind == .array) }
        guard nodes.count < Self.nodesMax else { return isTooLarge = true }
        open.append(nodes.count)
        nodes.append(
            Node(kind: kind, name: name, text: bytes.count..<bytes.count, isIgnored: isIgnored))
        name = 0..<0
    }

    mutating func end(_ kind: JSONKind, at offset: Int) {
        if kind == .object || kind == .array { tracker.close() }
        guard !isTooLarge, let node = open.popLast() else { return }
        nodes[node].end = nodes.count
        if kind == .string || kind == .number {
            nodes[node].text = nodes[node].text.lowerBound..<bytes.count
        }
    }

    mutating func text(_ byte: UInt8) { if !isTooLarge { bytes.append(byte) } }

    mutating func beginName() {
        tracker.beginName()
        name = bytes.count..<bytes.count
    }

    mutating func nameByte(_ byte: UInt8) {
        tracker.nameByte(byte)
        if !isTooLarge { bytes.append(byte) }
    }

    mutating func endName() {
        tracker.endName()
        name = name.lowerBound..<bytes.count
    }
}
