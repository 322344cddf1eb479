// Cohorts over gathered facts: every present fact that cohorts ask about is looked up once, and answers
// with the set of cohorts that it satisfies. A cohort holds when it was hit as often as it has facts; hits
// are counted for all cohorts at once in three planes of bits. The first cohort that holds wins.
// Invariant: work grows with the request's facts and the distinct lengths of prefixes, not with the
// cohorts.

import Platform

extension AssignTable {
    /// The index of the first cohort whose conditions all hold.
    @inline(never)
    func firstCohort(_ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer, client: IPAddress) -> Int? {
        var ones: CohortMask = 0
        var twos: CohortMask = 0
        var fours: CohortMask = 0
        // One hit for every cohort in `hit`: a ripple-carry addition in each bit column.
        func count(_ hit: CohortMask) {
            let carry = ones & hit
            ones ^= hit
            fours ^= twos & carry
            twos ^= carry
        }
        let facts = self.facts + Int(model.pointee.facts)
        for index in 0..<scratch.presentCount {
            let slot = scratch.present[index]
            guard let value = scratch.value(of: slot, base: base) else { continue }
            count(hits(facts + Int(slot), value: value))
        }
        if model.pointee.addresses.prefixLengths.count > 0 {
            count(hits(model.pointee.addresses, client: client))
        }
        let misses =
            (ones ^ model.pointee.needOnes) | (twos ^ model.pointee.needTwos)
            | (fours ^ model.pointee.needFours)
        var candidates = model.pointee.cohortBits & ~misses
        while candidates != 0 {
            let cohort = candidates.trailingZeroBitCount
            let rest = cohorts[Int(model.pointee.cohorts.start) &+ cohort].rest
            if rest.count == 0 || holds(rest, base: base, client: client) { return cohort }
            candidates &= candidates &- 1
        }
        return nil
    }

    /// The cohorts that a fact's value satisfies.
    @inline(__always)
    private func hits(_ fact: UnsafePointer<FactEntry>, value: ByteView) -> CohortMask {
        var mask = fact.pointee.present
        if value.count >= Int(fact.pointee.exactCountMin), value.count <= Int(fact.pointee.exactCountMax) {
            mask |= lookUp(value, in: fact.pointee.exact)
        }
        let lengths = fact.pointee.prefixLengths
        for index in 0..<Int(lengths.count) {
            let length = Int(numbers[Int(lengths.start) &+ index])
            if length > value.count { break }
            mask |= lookUp(ByteView(value.base, length), in: fact.pointee.prefixes)
        }
        let patterns = fact.pointee.patterns
        for index in 0..<Int(patterns.count) {
            mask |= automaton(Int(patterns.start) &+ index).run(over: value)
        }
        return mask
    }

    @inline(never)
    private func lookUp(_ value: ByteView, in table: ProbeTable) -> CohortMask {
        let hash = XXHash64.hash(value, seed: 0)
        var at = UInt32(truncatingIfNeeded: hash) & table.mask
        while true {
            let entry = values + (Int(table.start) &+ Int(at))
            if entry.pointee.cohorts == 0 { return 0 }
            if entry.pointee.hash == hash, Int(entry.pointee.bytes.count) == value.count,
                ByteView.agree(text + Int(entry.pointee.bytes.start), value.base, value.count)
            {
                return entry.pointee.cohorts
            }
            at = (at &+ 1) & table.mask
        }
    }

    @inline(__always)
    private func automaton(_ index: Int) -> AutomatonTable {
        let entry = patterns[index]
        let found = masks + Int(entry.found)
        return AutomatonTable(
            classes: text + Int(entry.classes), transitions: transitions + Int(entry.transitions),
            found: found, foundAtEnd: found + Int(entry.states), whole: entry.whole, start: entry.start,
            firstFinding: entry.firstFinding, shift: entry.shift)
    }

    // MARK: Addresses

    @inline(never)
    private func hits(_ addresses: AddressEntry, client: IPAddress) -> CohortMask {
        var mask: CohortMask = 0
        let lengths = addresses.prefixLengths
        for index in 0..<Int(lengths.count) {
            let bits = numbers[Int(lengths.start) &+ index]
            let block = client.masked(prefixBits: bits)
            let hash = RangeEntry.hash(high: block.high, low: block.low, prefixBits: bits)
            var at = UInt32(truncatingIfNeeded: hash) & addresses.ranges.mask
            while true {
                let entry = ranges + (Int(addresses.ranges.start) &+ Int(at))
                if entry.pointee.cohorts == 0 { break }
                if entry.pointee.high == block.high, entry.pointee.low == block.low,
                    entry.pointee.prefixBits == bits
                {
                    mask |= entry.pointee.cohorts
                    break
                }
                at = (at &+ 1) & addresses.ranges.mask
            }
        }
        return mask
    }

    // MARK: Conditions on their own

    /// Whether all of the conditions hold.
    @inline(never)
    func holds(_ place: Place, base: UnsafeRawPointer, client: IPAddress) -> Bool {
        for index in 0..<Int(place.count) {
            if !holds(conditions[Int(place.start) &+ index], base: base, client: client) { return false }
        }
        return true
    }

    private func holds(_ condition: ConditionEntry, base: UnsafeRawPointer, client: IPAddress) -> Bool {
        if condition.kind == .address { return contains(condition.operand, client) }
        guard let value = scratch.value(of: condition.slot, base: base) else { return false }
        let count = Int(condition.operand.count)
        let operand = text + Int(condition.operand.start)
        switch condition.kind {
        case .present: return true
        case .exact: return value.count == count && ByteView.agree(operand, value.base, count)
        case .prefix: return value.count >= count && ByteView.agree(operand, value.base, count)
        case .pattern: return automaton(Int(condition.operand.start)).run(over: value) != 0
        case .address: return false
        }
    }

    private func contains(_ place: Place, _ client: IPAddress) -> Bool {
        for index in 0..<Int(place.count) {
            let range = ranges[Int(place.start) &+ index]
            let block = client.masked(prefixBits: range.prefixBits)
            if block.high == range.high, block.low == range.low { return true }
        }
        return false
    }
}

extension IPAddress {
    /// The address with all but its first `prefixBits` bits cleared.
    @inline(__always)
    fileprivate func masked(prefixBits: UInt32) -> IPAddress {
        if prefixBits >= 64 {
            // A smart shift: 64 and more bits leave nothing.
            return IPAddress(high: high, low: low & ~(UInt64.max >> (prefixBits &- 64)))
        }
        return IPAddress(high: high & ~(UInt64.max &>> UInt64(prefixBits)), low: 0)
    }
}

extension RangeEntry {
    /// The hash under which a block stands in its table.
    @inline(__always)
    static func hash(high: UInt64, low: UInt64, prefixBits: UInt32) -> UInt64 {
        XXHash64.hash(low ^ UInt64(prefixBits), seed: high)
    }
}
