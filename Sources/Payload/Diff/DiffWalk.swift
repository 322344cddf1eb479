// One comparison under way: two trees, the place it stands at, what it has found. Recursion follows the
// documents' nesting, which the scanner bounds.
// Bags: numbers are matched in ascending order, which finds as many pairs as there are for an absolute
// tolerance; everything else takes the first equal element that is left. With a tolerance, equality is not
// transitive, so for nested values a better matching may exist than the one that is found.

struct DiffWalk {
    private let diff: JSONDiff
    private let left: DiffTree
    private let right: DiffTree
    private(set) var found: [JSONDiff.Difference] = []
    private(set) var isWhole = true
    private var steps = 0
    private var path: [Place] = []
    /// Above 0: only whether there is any difference matters, and it is noted in `isDifferent`.
    private var trials = 0
    private var isDifferent = false

    private enum Place {
        case name(ArraySlice<UInt8>)
        case index(Int)
    }

    init(_ diff: JSONDiff, _ left: DiffTree, _ right: DiffTree) {
        self.diff = diff
        self.left = left
        self.right = right
    }

    /// Whether more is to be looked at.
    private var goesOn: Bool { trials > 0 ? !isDifferent && isWhole : isWhole }

    mutating func compare(_ a: Int, _ b: Int) {
        steps += 1
        if steps > JSONDiff.stepsMax { isWhole = false }
        guard goesOn else { return }
        let (kind, other) = (left.nodes[a].kind, right.nodes[b].kind)
        switch (kind, other) {
        case (.object, .object): compareObjects(a, b)
        case (.array, .array): diff.ignoresOrder ? compareBags(a, b) : compareArrays(a, b)
        case (.string, .string):
            if left.text(a) != right.text(b) { note(.values(shown(left.text(a)), shown(right.text(b)))) }
        case (.number, .number):
            let (x, y) = (text(left.text(a)), text(right.text(b)))
            if !diff.isEqual(x, y) { note(.numbers(shown(left.text(a)), shown(right.text(b)))) }
        case (.true, .false): note(.values("true", "false"))
        case (.false, .true): note(.values("false", "true"))
        default: if kind != other { note(.kinds(kind.word, other.word)) }
        }
    }

    private mutating func note(_ what: JSONDiff.What) {
        guard trials == 0 else { return isDifferent = true }
        guard found.count < diff.differencesMax else { return isWhole = false }
        found.append(JSONDiff.Difference(path: pathText, what: what))
    }

    private mutating func inside(_ place: Place, _ body: (inout DiffWalk) -> Void) {
        guard goesOn else { return }
        path.append(place)
        body(&self)
        path.removeLast()
    }

    // MARK: Objects

    /// Members by name, the first of each.
    private func members(_ tree: DiffTree, _ node: Int) -> [(name: ArraySlice<UInt8>, node: Int)] {
        let sorted = tree.children(node).map { (name: tree.name($0.node), node: $0.node) }
            .sorted { $0.name.lexicographicallyPrecedes($1.name) || $0.name == $1.name && $0.node < $1.node }
        var unique: [(name: ArraySlice<UInt8>, node: Int)] = []
        for member in sorted where unique.last?.name != member.name { unique.append(member) }
        return unique
    }

    private mutating func compareObjects(_ a: Int, _ b: Int) {
        let (ours, theirs) = (members(left, a), members(right, b))
        var (i, j) = (0, 0)
        while i < ours.count || j < theirs.count {
            let isOurs = i < ours.count
            let isTheirs = j < theirs.count
            if isOurs, isTheirs, ours[i].name == theirs[j].name {
                inside(.name(ours[i].name)) { $0.compare(ours[i].node, theirs[j].node) }
                i += 1
                j += 1
            } else if isOurs, !isTheirs || ours[i].name.lexicographicallyPrecedes(theirs[j].name) {
                inside(.name(ours[i].name)) { $0.note(.onlyIn(.reference)) }
                i += 1
            } else {
                inside(.name(theirs[j].name)) { $0.note(.onlyIn(.other)) }
                j += 1
            }
        }
    }

    // MARK: Arrays

    private mutating func compareArrays(_ a: Int, _ b: Int) {
        var ours = left.children(a)[...]
        var theirs = right.children(b)[...]
        while let mine = ours.first ?? theirs.first {
            let place = min(mine.place, theirs.first?.place ?? mine.place)
            let one = ours.first?.place == place ? ours.popFirst() : nil
            let two = theirs.first?.place == place ? theirs.popFirst() : nil
            inside(.index(place)) { walk in
                switch (one, two) {
                case (let one?, let two?): walk.compare(one.node, two.node)
                case (_?, nil): walk.note(.onlyIn(.reference))
                case (nil, _): walk.note(.onlyIn(.other))
                }
            }
        }
    }

    private mutating func compareBags(_ a: Int, _ b: Int) {
        var ours = left.children(a)
        var theirs = right.children(b)
        matchNumbers(&ours, &theirs)
        var unmatched: [(place: Int, node: Int)] = []
        for mine in ours {
            guard goesOn else { return }
            if let at = theirs.firstIndex(where: { isEqual(mine.node, $0.node) }) {
                theirs.remove(at: at)
            } else {
                unmatched.append(mine)
            }
        }
        for mine in unmatched { inside(.index(mine.place)) { $0.note(.onlyIn(.reference)) } }
        for other in theirs { inside(.index(other.place)) { $0.note(.onlyIn(.other)) } }
    }

    /// Takes pairs of equal numbers out of both lists.
    private mutating func matchNumbers(
        _ ours: inout [(place: Int, node: Int)], _ theirs: inout [(place: Int, node: Int)]
    ) {
        let (mine, others) = (numbers(left, ours), numbers(right, theirs))
        var matched: (ours: Set<Int>, theirs: Set<Int>) = ([], [])
        var (i, j) = (0, 0)
        while i < mine.count, j < others.count {
            steps += 1
            if diff.isEqual(mine[i].text, others[j].text) {
                matched.ours.insert(mine[i].node)
                matched.theirs.insert(others[j].node)
                i += 1
                j += 1
            } else if mine[i].value < others[j].value {
                i += 1
            } else {
                j += 1
            }
        }
        ours.removeAll { matched.ours.contains($0.node) }
        theirs.removeAll { matched.theirs.contains($0.node) }
    }

    private func numbers(
        _ tree: DiffTree, _ nodes: [(place: Int, node: Int)]
    ) -> [(value: Double, text: String, node: Int)] {
        nodes.compactMap { entry -> (value: Double, text: String, node: Int)? in
            guard tree.nodes[entry.node].kind == .number else { return nil }
            let text = text(tree.text(entry.node))
            return Double(text).map { ($0, text, entry.node) }
        }.sorted { $0.value < $1.value }
    }

    private mutating func isEqual(_ a: Int, _ b: Int) -> Bool {
        let before = isDifferent
        trials += 1
        isDifferent = false
        compare(a, b)
        let isEqual = !isDifferent
        trials -= 1
        isDifferent = before
        return isEqual && isWhole
    }

    // MARK: Text

    private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    private func shown(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.count > JSONDiff.valueBytesMax else { return text(bytes) }
        // A cut character shows as a replacement; it is dropped with what follows it.
        let whole = String(decoding: bytes.prefix(JSONDiff.valueBytesMax), as: UTF8.self)
        return (whole.last == "\u{FFFD}" ? String(whole.dropLast()) : whole) + "..."
    }

    private var pathText: String {
        var text = "$"
        for place in path {
            switch place {
            case .index(let index): text += "[\(index)]"
            case .name(let name):
                text += "['"
                for scalar in String(decoding: name, as: UTF8.self).unicodeScalars {
                    switch scalar {
                    case "'", "\\": text += "\\\(scalar)"
                    case _ where scalar.value < 0x20:
                        let digits = String(scalar.value, radix: 16)
                        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                    default: text.unicodeScalars.append(scalar)
                    }
                }
                text += "']"
            }
        }
        return text
    }
}

extension JSONKind {
    fileprivate var word: String {
        switch self {
        case .object: "object"
        case .array: "array"
        case .string: "string"
        case .number: "number"
        case .true, .false: "boolean"
        case .null: "null"
        }
    }
}
