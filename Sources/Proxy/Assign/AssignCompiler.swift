// From `ModelPlan`s to the flat records of Layout: versions and their shares, the names to look for, sticky
// keys, trusted ranges; cohorts in AssignCompiler+Cohorts, paths in RouteCompiler. Runs once per plan, off
// the cores.
// Invariant: records of one model refer to each other by places in these arrays, which only grow.

import Platform

/// Collects the records of all models.
struct AssignCompiler {
    var models: [ModelEntry] = []
    var versions: [VersionEntry] = []
    var shares: [ShareEntry] = []
    var cohorts: [CohortEntry] = []
    var conditions: [ConditionEntry] = []
    var facts: [FactEntry] = []
    var headers: [HeaderEntry] = []
    var names: [NameEntry] = []
    var values: [ValueEntry] = []
    var ranges: [RangeEntry] = []
    var patterns: [PatternEntry] = []
    var masks: [CohortMask] = []
    var transitions: [UInt16] = []
    var stickyKeys: [StickyEntry] = []
    var numbers: [UInt32] = []
    var intervals: [IntervalEntry] = []
    var text: [UInt8] = []
    var slotsMax = 0

    mutating func add(_ model: ModelPlan) {
        precondition((1...Limits.versionsPerModelMax).contains(model.versions.count))
        precondition(model.versions.indices.contains(model.stable))
        precondition(model.cohorts.count <= Limits.cohortsPerModelMax)
        let slots = FactNames(model)
        let cohortTables = addCohorts(model, slots: slots)
        let weights = Self.foldedWeights(model)
        let shadow = model.shadow.map { addConditions($0.conditions, slots: slots) }
        let sticky = addSticky(model.stickyKeys, slots: slots)
        let part = Self.part(model, weights)
        let entry = ModelEntry(
            salt: model.salt, kindFilter: slots.kindFilter, headerFilter: slots.headerFilter,
            cookieFilter: FactNames.filter(slots.cookies), queryFilter: FactNames.filter(slots.queries),
            cohortBits: cohortTables.bits, needOnes: cohortTables.needs[0],
            needTwos: cohortTables.needs[1], needFours: cohortTables.needs[2],
            headers: addHeaders(slots), cookies: addNames(slots.cookies, tested: slots.testedSlots),
            queries: addNames(slots.queries, tested: slots.testedSlots), facts: cohortTables.facts,
            addresses: cohortTables.addresses, cohorts: cohortTables.cohorts,
            versions: addVersions(model, weights: weights), shares: addShares(model, weights, part.version),
            stickyKeys: sticky, shadow: shadow ?? .nothing,
            openVersions: Self.openVersions(model), slotCount: UInt16(slots.count),
            stable: UInt8(model.stable), part: part.version,
            partHash: part.hash, partBelow: part.below, needs: slots.needs(model), hasShadow: shadow != nil)
        models.append(entry)
        slotsMax = max(slotsMax, slots.count)
    }

    // MARK: Versions and shares

    /// Weights with those of quarantined versions given to stable.
    private static func foldedWeights(_ model: ModelPlan) -> [UInt32] {
        var weights = model.versions.map(\.weightPPM)
        for (index, version) in model.versions.enumerated()
        where version.isQuarantined && index != model.stable {
            weights[model.stable] += weights[index]
            weights[index] = 0
        }
        return weights
    }

    private static func openVersions(_ model: ModelPlan) -> UInt32 {
        model.versions.enumerated().reduce(UInt32(0)) { bits, version in
            version.element.isQuarantined ? bits : bits | 1 << UInt32(version.offset)
        }
    }

    private mutating func addVersions(_ model: ModelPlan, weights: [UInt32]) -> Place {
        let start = versions.count
        for index in model.versions.indices {
            // The part of stable has no name that a caller may force.
            let name = index == model.control ? "" : model.versions[index].name
            versions.append(VersionEntry(name: add(text: Array(name.utf8)), weightPPM: weights[index]))
        }
        return Place(start, versions.count - start)
    }

    /// Shares stand in the order of their name hashes, so that the order in the config does not matter. A
    /// model without any weight has one share, stable's.
    private mutating func addShares(_ model: ModelPlan, _ weights: [UInt32], _ part: UInt8) -> Place {
        let start = shares.count
        var weighted = model.versions.indices.filter { weights[$0] > 0 }.map { index in
            (hash: Self.nameHash(model.versions[index].name), index: index)
        }
        if weighted.isEmpty { weighted = [(Self.nameHash(model.versions[model.stable].name), model.stable)] }
        weighted.sort { $0.hash < $1.hash }
        let total = weighted.reduce(UInt64(0)) { $0 + UInt64(weights[$1.index]) }
        var sum: UInt64 = 0
        for (hash, index) in weighted {
            sum += UInt64(weights[index])
            let below = sum == total ? UInt64.max : total.dividingFullWidth((sum, 0)).quotient
            var weight = Double(max(weights[index], 1))
            if part != Assignment.noVersion {
                if index == model.stable { weight += Double(weights[Int(part)]) }
                if index == Int(part) { weight = 0 }
            }
            shares.append(
                ShareEntry(
                    nameHash: hash, inverseWeight: 1 / weight, below: below,
                    weightPPM: weights[index], version: UInt8(index)))
        }
        return Place(start, shares.count - start)
    }

    /// The part of stable that has weight beside it, and its share of stable's sticky keys.
    private static func part(
        _ model: ModelPlan, _ weights: [UInt32]
    ) -> (version: UInt8, hash: UInt64, below: UInt64) {
        guard let control = model.control, weights[control] > 0, weights[model.stable] > 0 else {
            return (Assignment.noVersion, 0, 0)
        }
        let whole = UInt64(weights[control]) + UInt64(weights[model.stable])
        return (
            UInt8(control), nameHash(model.versions[control].name),
            whole.dividingFullWidth((UInt64(weights[control]), 0)).quotient
        )
    }

    static func nameHash(_ name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { utf8 in
            guard let base = utf8.baseAddress else { return 0 }
            return XXHash64.hash(ByteView(base, utf8.count), seed: 0)
        }
    }

    // MARK: Names

    private mutating func addHeaders(_ slots: FactNames) -> ProbeTable {
        let wanted = slots.headersOfInterest
        var table = Array(repeating: HeaderEntry.free, count: Self.places(for: wanted.count))
        for header in wanted {
            let place = add(lowered: header.name)
            let (key, hash) = Self.foldedName(header.name)
            var at = Int(hash) & (table.count - 1)
            while table[at].key.count != 0 { at = (at + 1) & (table.count - 1) }
            table[at] = HeaderEntry(
                key: key, bytes: place.start, slot: header.slot,
                isTested: slots.testedSlots[Int(header.slot)])
        }
        headers += table
        return ProbeTable(start: UInt32(headers.count - table.count), mask: UInt32(table.count - 1))
    }

    private static func foldedName(_ name: [UInt8]) -> (key: FoldedName, hash: UInt32) {
        name.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { preconditionFailure("a header has a name") }
            let key = FoldedName(ByteView(base, raw.count))
            return (key, raw.count <= 16 ? key.hash : ByteView(base, raw.count).foldedHash)
        }
    }

    private mutating func addNames(
        _ entries: [(name: [UInt8], slot: UInt16)], tested: [Bool]
    ) -> ProbeTable {
        guard !entries.isEmpty else { return .empty }
        var table = Array(repeating: NameEntry.free, count: Self.places(for: entries.count))
        for (name, slot) in entries {
            let hash = Self.foldedHash(name)
            var at = Int(hash) & (table.count - 1)
            while table[at].slot != FactSlot.none { at = (at + 1) & (table.count - 1) }
            table[at] = NameEntry(
                hash: hash, slot: slot, count: UInt16(name.count), bytes: add(text: name).start,
                isTested: tested[Int(slot)])
        }
        names += table
        return ProbeTable(start: UInt32(names.count - table.count), mask: UInt32(table.count - 1))
    }

    /// A power of two, at least twice `count`.
    static func places(for count: Int) -> Int {
        var places = 2
        while places < count * 2 { places *= 2 }
        return places
    }

    static func foldedHash(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return 0 }
            return ByteView(base, raw.count).foldedHash
        }
    }

    mutating func add(text bytes: [UInt8]) -> Place {
        text += bytes
        return Place(text.count - bytes.count, bytes.count)
    }

    /// Adds a name in lower case, and its fold mask behind it.
    mutating func add(lowered bytes: [UInt8]) -> Place {
        let place = add(text: bytes)
        text += bytes.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? 0x20 : 0 }
        return place
    }

    // MARK: Sticky keys

    private mutating func addSticky(_ keys: [StickyKey], slots: FactNames) -> Place {
        let start = stickyKeys.count
        for key in keys {
            let kind: StickyEntry.Kind =
                switch key {
                case .header: .header
                case .cookie: .cookie
                case .query: .query
                case .clientAddress: .clientAddress
                }
            stickyKeys.append(StickyEntry(kind: kind, slot: slots.slot(of: key) ?? FactSlot.none))
        }
        return Place(start, stickyKeys.count - start)
    }

    // MARK: Trusted ranges

    /// Merges the ranges into disjoint ascending intervals.
    mutating func addTrusted(_ trusted: [AddressRange]) {
        let sorted = trusted.map { range -> IntervalEntry in
            let mask = Self.mask(prefixBits: range.prefixBits)
            let first = Self.wide(range.base) & mask
            return IntervalEntry(first: first, last: first | ~mask)
        }.sorted { $0.first < $1.first }
        for interval in sorted {
            if let last = intervals.last, interval.first <= last.last {
                intervals[intervals.count - 1].last = max(last.last, interval.last)
            } else {
                intervals.append(interval)
            }
        }
    }

    static func mask(prefixBits: Int) -> UInt128 {
        prefixBits == 0 ? 0 : UInt128.max << UInt128(128 - prefixBits)
    }

    static func wide(_ address: IPAddress) -> UInt128 {
        UInt128(address.high) << 64 | UInt128(address.low)
    }
}
