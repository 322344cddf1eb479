// From pattern trees to a deterministic automaton: Thompson's construction, then subsets of positions, each
// subset a state. Runs when a config is loaded and when a plan is compiled, never on a core's path.
// Invariant: the number of positions and of states stays within `PatternLimits`, whatever the patterns.
// Source: Aho, Sethi, Ullman: Compilers, sections 3.7 and 3.9; the search loop makes matches unanchored.

/// Builds one automaton for several patterns.
struct AutomatonBuilder {
    /// A position of the nondeterministic automaton.
    private enum Position {
        case bytes(ByteSet, next: Int)
        case fork(Int, Int)
        case atStart(next: Int)
        case atEnd(next: Int)
        case found(Int)
    }

    private var positions: [Position] = []

    /// - Parameter patterns: trees with the bit (0..<128) that each sets when it matches.
    static func automaton(
        for patterns: [(tree: PatternTree, bit: Int)]
    ) throws(PatternFailure) -> Automaton {
        var builder = AutomatonBuilder()
        var entry: Int?
        for pattern in patterns {
            let end = try builder.add(.found(pattern.bit))
            let start = try builder.add(pattern.tree, before: end)
            if let other = entry {
                entry = try builder.add(.fork(start, other))
            } else {
                entry = start
            }
        }
        guard let entry else { preconditionFailure("an automaton needs a pattern") }
        // The search loop: at every byte a match may begin anew.
        let loop = try builder.add(.bytes(.all, next: 0))
        let search = try builder.add(.fork(loop, entry))
        builder.positions[loop] = .bytes(.all, next: search)
        let whole = patterns.reduce(CohortMask(0)) { $0 | CohortMask(1) << CohortMask($1.bit) }
        return try builder.determinise(from: search, whole: whole)
    }

    private mutating func add(_ position: Position) throws(PatternFailure) -> Int {
        guard positions.count < PatternLimits.positionsMax else {
            throw PatternFailure(
                position: 0, found: "a pattern of more than \(PatternLimits.positionsMax) positions",
                expected: "smaller repetition counts")
        }
        positions.append(position)
        return positions.count - 1
    }

    /// Adds `tree` so that it continues at `next`; returns its first position.
    private mutating func add(_ tree: PatternTree, before next: Int) throws(PatternFailure) -> Int {
        switch tree {
        case .empty:
            return next
        case .bytes(let set):
            return try add(.bytes(set, next: next))
        case .start:
            return try add(.atStart(next: next))
        case .end:
            return try add(.atEnd(next: next))
        case .sequence(let parts):
            var next = next
            for part in parts.reversed() { next = try add(part, before: next) }
            return next
        case .alternatives(let branches):
            var first: Int?
            for branch in branches.reversed() {
                let start = try add(branch, before: next)
                if let other = first {
                    first = try add(.fork(start, other))
                } else {
                    first = start
                }
            }
            return first ?? next
        case .repetition(let part, let min, let max):
            return try repeated(part, min: min, max: max, before: next)
        }
    }

    private mutating func repeated(
        _ part: PatternTree, min: Int, max: Int?, before next: Int
    ) throws(PatternFailure) -> Int {
        var first = next
        if let max {
            for _ in min..<max {
                let once = try add(part, before: first)
                first = try add(.fork(once, next))
            }
        } else {
            let fork = try add(.fork(next, next))
            let again = try add(part, before: fork)
            positions[fork] = .fork(again, next)
            first = fork
        }
        for _ in 0..<min { first = try add(part, before: first) }
        return first
    }
}

// MARK: Subsets

extension AutomatonBuilder {
    /// A set of positions as bits; a state's identity.
    private typealias Subset = [UInt64]

    private func determinise(from search: Int, whole: CohortMask) throws(PatternFailure) -> Automaton {
        let (classes, samples) = byteClasses()
        var subsets: [Subset] = [Subset(repeating: 0, count: (positions.count + 63) / 64)]
        var numbers: [Subset: Int] = [subsets[0]: 0]
        var rows: [[Int]] = [Array(repeating: 0, count: samples.count)]
        let first = closure(of: [search], atStart: true, atEnd: false)
        // Not entered under its number: the same positions later in a value are no start of it.
        subsets.append(first)
        var endMasks = [CohortMask(0), found(in: closure(of: [search], atStart: true, atEnd: true))]
        var masks = [CohortMask(0), found(in: first)]
        var next = 1
        while next < subsets.count {
            var row: [Int] = []
            for sample in samples {
                // Nothing is left to find out behind a state that has found everything.
                let reached = masks[next] == whole ? [] : step(subsets[next], over: sample)
                let subset = closure(of: reached, atStart: false, atEnd: false)
                if let number = numbers[subset] {
                    row.append(number)
                    continue
                }
                guard subsets.count < PatternLimits.statesMax else { throw Self.tooManyStates }
                row.append(subsets.count)
                numbers[subset] = subsets.count
                subsets.append(subset)
                masks.append(found(in: subset))
                endMasks.append(found(in: closure(of: reached, atStart: false, atEnd: true)))
            }
            rows.append(row)
            next += 1
        }
        return Self.assemble(
            rows: rows, masks: masks, endMasks: endMasks, classes: classes, whole: whole)
    }

    private static let tooManyStates = PatternFailure(
        position: 0, found: "a pattern that needs more than \(PatternLimits.statesMax) states",
        expected: "a simpler one (fewer counted repetitions of overlapping classes)")

    /// Bytes that no position tells apart share a class; one sample byte per class.
    private func byteClasses() -> (classes: [UInt8], samples: [UInt8]) {
        var sets: Set<ByteSet> = []
        for case .bytes(let set, _) in positions { sets.insert(set) }
        let ordered = Array(sets)
        var numbers: [[Bool]: UInt8] = [:]
        var classes: [UInt8] = []
        var samples: [UInt8] = []
        for byte in UInt8.min...UInt8.max {
            let signature = ordered.map { $0.contains(byte) }
            if let number = numbers[signature] {
                classes.append(number)
            } else {
                let number = UInt8(samples.count)
                numbers[signature] = number
                classes.append(number)
                samples.append(byte)
            }
        }
        return (classes, samples)
    }

    private func step(_ subset: Subset, over byte: UInt8) -> [Int] {
        var reached: [Int] = []
        forEach(in: subset) { position in
            if case .bytes(let set, let next) = positions[position], set.contains(byte) {
                reached.append(next)
            }
        }
        return reached
    }

    /// All positions reachable without a byte.
    private func closure(of seeds: [Int], atStart: Bool, atEnd: Bool) -> Subset {
        var subset = Subset(repeating: 0, count: (positions.count + 63) / 64)
        var stack = seeds
        while let position = stack.popLast() {
            let bit = UInt64(1) << UInt64(position % 64)
            guard subset[position / 64] & bit == 0 else { continue }
            subset[position / 64] |= bit
            switch positions[position] {
            case .bytes, .found: break
            case .fork(let one, let other): stack += [one, other]
            case .atStart(let next): if atStart { stack.append(next) }
            case .atEnd(let next): if atEnd { stack.append(next) }
            }
        }
        return subset
    }

    private func found(in subset: Subset) -> CohortMask {
        var mask: CohortMask = 0
        forEach(in: subset) { position in
            if case .found(let bit) = positions[position] { mask |= CohortMask(1) << CohortMask(bit) }
        }
        return mask
    }

    private func forEach(in subset: Subset, _ body: (Int) -> Void) {
        for (index, word) in subset.enumerated() {
            var rest = word
            while rest != 0 {
                body(index * 64 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
    }

    // MARK: The table

    /// Renumbers the states (dead first, finding ones last) and lays the rows out.
    private static func assemble(
        rows: [[Int]], masks: [CohortMask], endMasks: [CohortMask], classes: [UInt8], whole: CohortMask
    ) -> Automaton {
        let live = hopeful(rows: rows, masks: masks, endMasks: endMasks)
        let plain = rows.indices.filter { live[$0] && masks[$0] == 0 }
        let finding = rows.indices.filter { masks[$0] != 0 }
        let order = plain + finding
        var numbers = Array(repeating: UInt16(0), count: rows.count)
        for (index, state) in order.enumerated() { numbers[state] = UInt16(index + 1) }

        let columns = rows[0].count
        var shift = 0
        while 1 << shift < columns { shift += 1 }
        var transitions = Array(repeating: UInt16(0), count: (order.count + 1) << shift)
        for state in order {
            for (column, target) in rows[state].enumerated() {
                transitions[Int(numbers[state]) << shift | column] = numbers[target]
            }
        }
        return Automaton(
            start: numbers[1], firstFinding: UInt16(plain.count + 1), shift: UInt8(shift), whole: whole,
            classes: classes, transitions: transitions, found: [0] + order.map { masks[$0] },
            foundAtEnd: [0] + order.map { endMasks[$0] })
    }

    /// The states from which something can still be found.
    private static func hopeful(rows: [[Int]], masks: [CohortMask], endMasks: [CohortMask]) -> [Bool] {
        var sources = Array(repeating: [Int](), count: rows.count)
        for (state, row) in rows.enumerated() {
            for target in Set(row) { sources[target].append(state) }
        }
        var live = rows.indices.map { masks[$0] != 0 || endMasks[$0] != 0 }
        var stack = rows.indices.filter { live[$0] }
        while let state = stack.popLast() {
            for source in sources[state] where !live[source] {
                live[source] = true
                stack.append(source)
            }
        }
        return live
    }
}
