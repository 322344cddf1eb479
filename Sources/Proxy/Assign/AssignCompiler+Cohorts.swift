// Cohorts to tables that answer "which cohorts does this fact satisfy" for all cohorts at once: a hash
// table of exact values, one of prefixes per length, one of address ranges per length, and automata that
// run all regular expressions over a fact together. A cohort holds when as many facts hit it as it needs.
// Invariant: at most one condition of a cohort per fact is in the tables; the others are tested on their
// own.

import Platform

/// The places of one model's cohort tables.
struct CohortTables {
    var bits: CohortMask = 0
    /// Three planes of bits: how many facts must hit each cohort.
    var needs: [CohortMask] = [0, 0, 0]
    var facts: UInt32 = 0
    var addresses = AddressEntry()
    var cohorts = Place.nothing
}

/// What the cohorts ask about one fact, before it is laid out.
private struct FactQuestions {
    var present: CohortMask = 0
    var exact: [[UInt8]: CohortMask] = [:]
    var prefixes: [[UInt8]: CohortMask] = [:]
    var patterns: [(tree: PatternTree, bit: Int)] = []
}

extension AssignCompiler {
    /// More facts than this per cohort do not fit the three planes.
    private static let indexedFactsMax = 7

    mutating func addCohorts(_ model: ModelPlan, slots: FactNames) -> CohortTables {
        var tables = CohortTables()
        var questions = Array(repeating: FactQuestions(), count: slots.count)
        var addresses: [(ranges: [AddressRange], bit: Int)] = []
        var entries: [CohortEntry] = []
        for (bit, cohort) in model.cohorts.enumerated() {
            precondition(model.versions.indices.contains(cohort.version))
            tables.bits |= CohortMask(1) << CohortMask(bit)
            let (indexed, rest) = Self.sorted(cohort.conditions, slots: slots)
            for condition in indexed {
                if case .address(let ranges) = condition {
                    addresses.append((ranges, bit))
                } else if let slot = slots.slot(of: condition) {
                    Self.ask(condition, cohort: bit, of: &questions[Int(slot)])
                }
            }
            for plane in 0..<3 where indexed.count >> plane & 1 == 1 {
                tables.needs[plane] |= CohortMask(1) << CohortMask(bit)
            }
            entries.append(
                CohortEntry(rest: addConditions(rest, slots: slots), version: UInt8(cohort.version)))
        }
        let layout = questions.map { layOut($0) }
        tables.facts = UInt32(facts.count)
        facts += layout
        tables.addresses = addAddresses(addresses)
        tables.cohorts = Place(cohorts.count, entries.count)
        cohorts += entries
        return tables
    }

    /// Splits a cohort's conditions: for the tables, one per fact, the most telling one; and the others.
    private static func sorted(
        _ conditions: [Condition], slots: FactNames
    ) -> (indexed: [Condition], rest: [Condition]) {
        let order = conditions.indices.sorted {
            (rank(conditions[$0]), $0) < (rank(conditions[$1]), $1)
        }
        var indexed: [Condition] = []
        var rest: [Condition] = []
        var taken: Set<UInt16> = []
        for index in order {
            let condition = conditions[index]
            if indexed.count < indexedFactsMax,
                taken.insert(slots.slot(of: condition) ?? FactSlot.none).inserted
            {
                indexed.append(condition)
            } else {
                rest.append(condition)
            }
        }
        return (indexed, rest)
    }

    private static func rank(_ condition: Condition) -> Int {
        switch condition {
        case .method, .address: 0
        case .header(_, let match), .cookie(_, let match), .query(_, let match), .path(let match):
            switch match {
            case .exact: 0
            case .prefix: 1
            case .regex: 2
            case .present: 3
            }
        }
    }

    private static func ask(_ condition: Condition, cohort bit: Int, of questions: inout FactQuestions) {
        let mask = CohortMask(1) << CohortMask(bit)
        switch condition {
        case .address:
            preconditionFailure("an address is no fact of bytes")
        case .method(let name):
            questions.exact[Array(name.utf8), default: 0] |= mask
        case .header(_, let match), .cookie(_, let match), .query(_, let match), .path(let match):
            switch match {
            case .present: questions.present |= mask
            case .exact(let value): questions.exact[Array(value.utf8), default: 0] |= mask
            case .prefix(let value): questions.prefixes[Array(value.utf8), default: 0] |= mask
            case .regex(let text): questions.patterns.append((tree(of: text), bit))
            }
        }
    }

    /// - Precondition: the loader has accepted the pattern.
    private static func tree(of text: String) -> PatternTree {
        var parser = PatternParser(text)
        do {
            return try parser.parse()
        } catch {
            preconditionFailure("a plan's pattern does not parse: \(error)")
        }
    }

    // MARK: Tables of one fact

    private mutating func layOut(_ questions: FactQuestions) -> FactEntry {
        var entry = FactEntry()
        entry.present = questions.present
        entry.exact = addValues(questions.exact)
        if let longest = questions.exact.keys.map(\.count).max(),
            let shortest = questions.exact.keys.map(\.count).min()
        {
            entry.exactCountMin = UInt32(shortest)
            entry.exactCountMax = UInt32(longest)
        }
        entry.prefixes = addValues(questions.prefixes)
        entry.prefixLengths = addNumbers(questions.prefixes.keys.map { UInt32($0.count) })
        if !questions.patterns.isEmpty {
            let automata = Self.automata(for: questions.patterns[...])
            entry.patterns = Place(patterns.count, automata.count)
            for automaton in automata { add(automaton) }
        }
        return entry
    }

    private mutating func addValues(_ entries: [[UInt8]: CohortMask]) -> ProbeTable {
        guard !entries.isEmpty else { return .empty }
        var table = Array(repeating: ValueEntry.free, count: Self.places(for: entries.count))
        // Sorted, so that one plan gives one image.
        for (value, mask) in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let hash = Self.valueHash(value)
            var at = Int(truncatingIfNeeded: hash) & (table.count - 1)
            while table[at].cohorts != 0 { at = (at + 1) & (table.count - 1) }
            table[at] = ValueEntry(cohorts: mask, hash: hash, bytes: add(text: value))
        }
        values += table
        return ProbeTable(start: UInt32(values.count - table.count), mask: UInt32(table.count - 1))
    }

    private static func valueHash(_ value: [UInt8]) -> UInt64 {
        // One byte more, so that an empty value has an address too.
        (value + [0]).withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { preconditionFailure("an array of one byte and more") }
            return XXHash64.hash(ByteView(base, value.count), seed: 0)
        }
    }

    private mutating func addNumbers(_ list: [UInt32]) -> Place {
        let distinct = Set(list).sorted()
        numbers += distinct
        return Place(numbers.count - distinct.count, distinct.count)
    }

    /// As few automata as the bound on states allows: all patterns in one, or halves, and halves of those.
    private static func automata(for patterns: ArraySlice<(tree: PatternTree, bit: Int)>) -> [Automaton] {
        do {
            return [try AutomatonBuilder.automaton(for: Array(patterns))]
        } catch {
            guard patterns.count > 1 else {
                preconditionFailure("a plan's pattern does not compile: \(error)")
            }
            let middle = patterns.startIndex + patterns.count / 2
            return automata(for: patterns[..<middle]) + automata(for: patterns[middle...])
        }
    }

    private mutating func add(_ automaton: Automaton) {
        patterns.append(
            PatternEntry(
                whole: automaton.whole, classes: add(text: automaton.classes).start,
                transitions: UInt32(transitions.count), found: UInt32(masks.count),
                states: UInt32(automaton.found.count), start: automaton.start,
                firstFinding: automaton.firstFinding, shift: automaton.shift))
        transitions += automaton.transitions
        masks += automaton.found + automaton.foundAtEnd
    }

    // MARK: Addresses

    private mutating func addAddresses(_ questions: [(ranges: [AddressRange], bit: Int)]) -> AddressEntry {
        var merged: [AddressRange: CohortMask] = [:]
        for (list, bit) in questions {
            for range in list { merged[Self.masked(range), default: 0] |= CohortMask(1) << CohortMask(bit) }
        }
        guard !merged.isEmpty else { return AddressEntry() }
        var table = Array(repeating: RangeEntry.free, count: Self.places(for: merged.count))
        let ordered = merged.sorted {
            (Self.wide($0.key.base), $0.key.prefixBits) < (Self.wide($1.key.base), $1.key.prefixBits)
        }
        for (range, mask) in ordered {
            let hash = RangeEntry.hash(
                high: range.base.high, low: range.base.low, prefixBits: UInt32(range.prefixBits))
            var at = Int(truncatingIfNeeded: hash) & (table.count - 1)
            while table[at].cohorts != 0 { at = (at + 1) & (table.count - 1) }
            table[at] = Self.entry(range, cohorts: mask)
        }
        ranges += table
        return AddressEntry(
            ranges: ProbeTable(start: UInt32(ranges.count - table.count), mask: UInt32(table.count - 1)),
            prefixLengths: addNumbers(merged.keys.map { UInt32($0.prefixBits) }))
    }

    private static func masked(_ range: AddressRange) -> AddressRange {
        let base = wide(range.base) & mask(prefixBits: range.prefixBits)
        return AddressRange(
            base: IPAddress(high: UInt64(base >> 64), low: UInt64(truncatingIfNeeded: base)),
            prefixBits: range.prefixBits)
    }

    private static func entry(_ range: AddressRange, cohorts: CohortMask) -> RangeEntry {
        RangeEntry(
            cohorts: cohorts, high: range.base.high, low: range.base.low,
            prefixBits: UInt32(range.prefixBits))
    }

    // MARK: Conditions on their own

    mutating func addConditions(_ list: [Condition], slots: FactNames) -> Place {
        let entries = list.map { condition -> ConditionEntry in
            if case .address(let blocks) = condition {
                let start = ranges.count
                ranges += blocks.map { Self.entry(Self.masked($0), cohorts: 0) }
                return ConditionEntry(
                    kind: .address, slot: FactSlot.none, operand: Place(start, blocks.count))
            }
            guard let slot = slots.slot(of: condition) else {
                preconditionFailure("a condition without a slot")
            }
            return addCondition(condition, slot: slot)
        }
        conditions += entries
        return Place(conditions.count - entries.count, entries.count)
    }

    private mutating func addCondition(_ condition: Condition, slot: UInt16) -> ConditionEntry {
        switch condition {
        case .address:
            preconditionFailure("an address is no fact of bytes")
        case .method(let name):
            return ConditionEntry(kind: .exact, slot: slot, operand: add(text: Array(name.utf8)))
        case .header(_, let match), .cookie(_, let match), .query(_, let match), .path(let match):
            switch match {
            case .present:
                return ConditionEntry(kind: .present, slot: slot, operand: .nothing)
            case .exact(let value):
                return ConditionEntry(kind: .exact, slot: slot, operand: add(text: Array(value.utf8)))
            case .prefix(let value):
                return ConditionEntry(kind: .prefix, slot: slot, operand: add(text: Array(value.utf8)))
            case .regex(let text):
                for automaton in Self.automata(for: [(Self.tree(of: text), 0)]) { add(automaton) }
                return ConditionEntry(kind: .pattern, slot: slot, operand: Place(patterns.count - 1, 1))
            }
        }
    }
}
