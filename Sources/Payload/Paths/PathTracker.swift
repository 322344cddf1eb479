// Which paths lead to the value that a scan stands before. Theory: `live[d]` is the set of paths whose first
// d steps matched the d containers that are open, one bit per path; a value's set follows from its parent's
// set, the parent's kind, and the value's name or place. All paths are matched in one scan.
// Invariant: no allocation after `init`; a set at depth d never holds a path of d steps or fewer, because a
// path that has led to its value leads no further.

/// What to do with a name that an object has twice.
enum RepeatedNames: Sendable {
    /// Only the first one is followed.
    case first
    /// Every one is followed.
    case all
}

struct PathTracker {
    /// Paths that one scan can follow.
    static let pathsMax = 64

    private let paths: [JSONPath]
    private let repeated: RepeatedNames
    /// By number of steps: the paths that have so many.
    private let ending: [UInt64]
    private let all: UInt64
    private var depth = 0
    /// By depth: paths that lead on, those among them whose name has been seen, the next element's place.
    private var live: [UInt64]
    private var seen: [UInt64]
    private var places: [Int]
    private var arrays: UInt64 = 0
    /// The name that is being read, as far as it can equal any that is looked for.
    private var name: [UInt8]
    private var nameCount = 0
    /// Paths that lead on through the name just read.
    private var named: UInt64 = 0
    /// Paths that lead on from the value just begun.
    private var onward: UInt64 = 0

    init(_ paths: [JSONPath], repeated: RepeatedNames) {
        precondition(paths.count <= Self.pathsMax)
        self.paths = paths
        self.repeated = repeated
        all = paths.count == 64 ? .max : 1 << UInt64(paths.count) - 1
        var ending = [UInt64](repeating: 0, count: JSONPath.stepsMax + 1)
        var longest = 0
        for (bit, path) in paths.enumerated() {
            ending[path.steps.count] |= 1 << UInt64(bit)
            for case .member(let name) in path.steps { longest = max(longest, name.count) }
        }
        self.ending = ending
        live = Array(repeating: 0, count: JSONScanner.depthMax + 1)
        seen = live
        places = Array(repeating: 0, count: JSONScanner.depthMax + 1)
        name = Array(repeating: 0, count: longest)
    }

    /// Ready for another document.
    mutating func restart() { depth = 0 }

    /// A value begins.
    /// - Returns: the paths that lead to it.
    mutating func value() -> UInt64 {
        let leading: UInt64
        if depth == 0 {
            leading = all
        } else if arrays & 1 == 1 {
            leading = live[depth] == 0 ? 0 : element(live[depth], at: places[depth])
            places[depth] += 1
        } else {
            leading = named
        }
        guard leading != 0 else {
            onward = 0
            return 0
        }
        let here = depth < ending.count ? leading & ending[depth] : 0
        onward = leading & ~here
        return here
    }

    /// The value that `value` was told of is a container.
    mutating func open(isArray: Bool) {
        depth += 1
        arrays = arrays << 1 | (isArray ? 1 : 0)
        live[depth] = onward
        seen[depth] = 0
        places[depth] = 0
    }

    mutating func close() {
        depth -= 1
        arrays >>= 1
    }

    mutating func beginName() { nameCount = 0 }

    mutating func nameByte(_ byte: UInt8) {
        if nameCount < name.count { name[nameCount] = byte }
        nameCount += 1
    }

    mutating func endName() {
        named = 0
        var candidates = live[depth]
        while candidates != 0 {
            let bit = candidates.trailingZeroBitCount
            candidates &= candidates - 1
            switch paths[bit].steps[depth - 1] {
            case .every: named |= 1 << UInt64(bit)
            case .member(let wanted):
                guard isName(wanted), repeated == .all || seen[depth] >> UInt64(bit) & 1 == 0 else {
                    continue
                }
                seen[depth] |= 1 << UInt64(bit)
                named |= 1 << UInt64(bit)
            case .index: break
            }
        }
    }

    private func isName(_ wanted: [UInt8]) -> Bool {
        nameCount == wanted.count && name[..<nameCount] == wanted[...]
    }

    /// Those of `candidates` that lead on through the element at `place`.
    private func element(_ candidates: UInt64, at place: Int) -> UInt64 {
        var rest = candidates
        var found: UInt64 = 0
        while rest != 0 {
            let bit = rest.trailingZeroBitCount
            rest &= rest - 1
            switch paths[bit].steps[depth - 1] {
            case .every: found |= 1 << UInt64(bit)
            case .index(let wanted): if wanted == place { found |= 1 << UInt64(bit) }
            case .member: break
            }
        }
        return found
    }
}
