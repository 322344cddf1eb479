// From bytes that others wrote (admin bodies, journal lines, status pages) to a JSON value: the sink that
// makes a tree of what `JSONScanner` finds.
// Invariant: any bytes give a value or a `ScanProblem`, never a trap; nesting is the scanner's, at most 64.
// Beyond the scanner's grammar, a member name that comes twice is refused, because two readers could take
// different ones, and so is a number that no double holds.

extension JSON {
    /// Reads exactly one value, spaces around it allowed.
    public init(parsing bytes: [UInt8]) throws(ScanProblem) {
        var scanner = JSONScanner()
        var builder = JSONBuilder()
        scanner.take(bytes.span.bytes, &builder)
        let isWhole = scanner.finish(&builder)
        // What the builder refuses comes before what the scanner refuses, which is where it stops.
        if let problem = builder.problem { throw problem }
        guard isWhole, let value = builder.value else {
            throw scanner.problem ?? ScanProblem(offset: scanner.offset, expected: "a value")
        }
        self = value
    }

    /// Reads exactly one value, spaces around it allowed.
    public init(parsing bytes: ArraySlice<UInt8>) throws(ScanProblem) {
        try self.init(parsing: Array(bytes))
    }

    /// Reads exactly one value, spaces around it allowed.
    public init(parsing text: String) throws(ScanProblem) {
        try self.init(parsing: Array(text.utf8))
    }
}

/// Puts a tree together, innermost container last.
struct JSONBuilder {
    /// An object or array whose end has not come yet.
    private struct Container {
        let isArray: Bool
        var elements: [JSON] = []
        var members: [JSON.Member] = []
        /// Names of an object with many members; with a few, looking through them is faster.
        var names: Set<String> = []
        /// Of the member whose value comes next.
        var name = ""

        private static let fewMembers = 16

        /// Whether the next member's name is one that the object has already.
        mutating func hasNameTwice() -> Bool {
            guard members.count >= Self.fewMembers else { return members.contains { $0.name == name } }
            if names.isEmpty { names = Set(members.map(\.name)) }
            return !names.insert(name).inserted
        }
    }

    private var open: [Container] = []
    /// Of the string, number or name under way.
    private var bytes: [UInt8] = []
    private(set) var value: JSON?
    private(set) var problem: ScanProblem?
    /// Where the number under way begins.
    private var start = 0

    private mutating func add(_ value: JSON) {
        guard let last = open.indices.last else { return self.value = value }
        if open[last].isArray {
            open[last].elements.append(value)
        } else {
            open[last].members.append(JSON.Member(open[last].name, value))
        }
    }

    private mutating func addNumber() {
        let text = String(decoding: bytes, as: UTF8.self)
        let isInteger = bytes.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }
        if isInteger, let value = Int64(text) { return add(.integer(value)) }
        guard let value = Double(text), value.isFinite else {
            return problem = ScanProblem(offset: start, expected: "a number that a double can hold")
        }
        add(.number(value))
    }
}

extension JSONBuilder: JSONSink {
    mutating func begin(_ kind: JSONKind, at offset: Int) {
        guard problem == nil else { return }
        if let last = open.indices.last, !open[last].isArray, open[last].hasNameTwice() {
            return problem = ScanProblem(offset: offset, expected: "\(open[last].name) only once")
        }
        switch kind {
        case .object, .array: open.append(Container(isArray: kind == .array))
        case .string, .number:
            bytes.removeAll(keepingCapacity: true)
            start = offset
        case .true, .false, .null: break
        }
    }

    mutating func end(_ kind: JSONKind, at offset: Int) {
        guard problem == nil else { return }
        switch kind {
        case .object, .array:
            guard let ended = open.popLast() else { return }
            add(ended.isArray ? .array(ended.elements) : .object(ended.members))
        // The scanner lets only UTF-8 through.
        case .string: add(.string(String(decoding: bytes, as: UTF8.self)))
        case .number: addNumber()
        case .true: add(.bool(true))
        case .false: add(.bool(false))
        case .null: add(.null)
        }
    }

    mutating func text(_ byte: UInt8) { bytes.append(byte) }

    mutating func beginName() { bytes.removeAll(keepingCapacity: true) }

    mutating func nameByte(_ byte: UInt8) { bytes.append(byte) }

    mutating func endName() {
        guard let last = open.indices.last else { return }
        open[last].name = String(decoding: bytes, as: UTF8.self)
    }
}
