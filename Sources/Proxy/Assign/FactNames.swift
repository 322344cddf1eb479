// The names that one model's rules mention, each with its slot, and which parts of a request they need.
// Runs once per plan, off the cores.
// Invariant: one slot per distinct name and kind; header names are lower-case from here on.

import Wire

/// The slots of one model.
struct FactNames {
    static let forcedHeader = Array("x-weir-version".utf8)

    private(set) var headers: [(name: [UInt8], slot: UInt16)] = []
    private(set) var cookies: [(name: [UInt8], slot: UInt16)] = []
    private(set) var queries: [(name: [UInt8], slot: UInt16)] = []
    private(set) var count = Int(FactSlot.named)
    /// Per slot, whether a cohort asks about it.
    private(set) var testedSlots = Array(repeating: false, count: Int(FactSlot.named))

    init(_ model: ModelPlan) {
        for cohort in model.cohorts {
            for condition in cohort.conditions { add(condition, isTested: true) }
        }
        for condition in model.shadow?.conditions ?? [] { add(condition, isTested: false) }
        for key in model.stickyKeys {
            switch key {
            case .header(let name): intern(Self.lowered(name), in: \.headers)
            case .cookie(let name): intern(Array(name.utf8), in: \.cookies)
            case .query(let name): intern(Array(name.utf8), in: \.queries)
            case .clientAddress: break
            }
        }
    }

    private mutating func add(_ condition: Condition, isTested: Bool) {
        let slot: UInt16
        switch condition {
        case .header(let name, _): slot = intern(Self.lowered(name), in: \.headers)
        case .cookie(let name, _): slot = intern(Array(name.utf8), in: \.cookies)
        case .query(let name, _): slot = intern(Array(name.utf8), in: \.queries)
        case .path: slot = FactSlot.path
        case .method: slot = FactSlot.method
        case .address: return
        }
        if isTested { testedSlots[Int(slot)] = true }
    }

    @discardableResult
    private mutating func intern(
        _ name: [UInt8], in names: WritableKeyPath<FactNames, [(name: [UInt8], slot: UInt16)]>
    ) -> UInt16 {
        // The header that forces a version has its slot in every model.
        if names == \FactNames.headers, name == Self.forcedHeader { return FactSlot.forcedVersion }
        if let known = self[keyPath: names].first(where: { $0.name == name }) { return known.slot }
        let slot = UInt16(count)
        self[keyPath: names].append((name, slot))
        testedSlots.append(false)
        count += 1
        return slot
    }

    private func header(_ name: String) -> UInt16 {
        let name = Self.lowered(name)
        return name == Self.forcedHeader ? FactSlot.forcedVersion : Self.slot(of: name, in: headers)
    }
    private func cookie(_ name: String) -> UInt16 { Self.slot(of: Array(name.utf8), in: cookies) }
    private func query(_ name: String) -> UInt16 { Self.slot(of: Array(name.utf8), in: queries) }

    /// The slot that a condition reads; nil for the client's address.
    func slot(of condition: Condition) -> UInt16? {
        switch condition {
        case .header(let name, _): header(name)
        case .cookie(let name, _): cookie(name)
        case .query(let name, _): query(name)
        case .path: FactSlot.path
        case .method: FactSlot.method
        case .address: nil
        }
    }

    /// The slot that a sticky key reads; nil for the client's address.
    func slot(of key: StickyKey) -> UInt16? {
        switch key {
        case .header(let name): header(name)
        case .cookie(let name): cookie(name)
        case .query(let name): query(name)
        case .clientAddress: nil
        }
    }

    /// What `gather` looks for in the fields: the names that rules mention, and the header that forces a
    /// version.
    var headersOfInterest: [(name: [UInt8], slot: UInt16)] {
        headers + [(Self.forcedHeader, FactSlot.forcedVersion)]
    }

    /// The filter of those names.
    var headerFilter: UInt64 { Self.filter(headersOfInterest) }

    /// The kinds that the parser gives to those names.
    var kindFilter: UInt64 {
        var parser = HeadParser()
        return headersOfInterest.reduce(UInt64(0)) { $0 | Self.kind(of: $1.name, &parser) }
    }

    /// The bit of the kind that the parser gives to a name; all bits for a name that says nothing alone.
    private static func kind(of name: [UInt8], _ parser: inout HeadParser) -> UInt64 {
        let text = Array("GET / HTTP/1.1\r\nhost: a\r\n".utf8) + name + Array(": v\r\n\r\n".utf8)
        guard case .complete(let head) = parser.request(text.span.bytes), head.fieldCount == 2 else {
            return .max
        }
        return 1 << UInt64(parser.field(1).known.rawValue)
    }

    static func filter(_ names: [(name: [UInt8], slot: UInt16)]) -> UInt64 {
        names.reduce(UInt64(0)) { $0 | filterBit($1.name) }
    }

    private static func filterBit(_ name: [UInt8]) -> UInt64 {
        name.withUnsafeBytes { raw in
            guard let base = raw.baseAddress, raw.count > 0 else { return 0 }
            return ByteView(base, raw.count).filterBit
        }
    }

    func needs(_ model: ModelPlan) -> ModelNeeds {
        var needs: ModelNeeds = []
        let conditions = model.cohorts.flatMap(\.conditions) + (model.shadow?.conditions ?? [])
        if !headers.isEmpty { needs.insert(.fields) }
        for condition in conditions {
            switch condition {
            case .cookie: needs.insert(.cookies)
            case .query: needs.insert(.queries)
            case .path: needs.insert(.path)
            case .method: needs.insert(.method)
            case .header, .address: break
            }
        }
        if model.stickyKeys.contains(where: { $0 != .clientAddress }) { needs.insert(.key) }
        // A rule may also name the header that forces a version.
        if conditions.contains(where: { slot(of: $0) == FactSlot.forcedVersion })
            || model.stickyKeys.contains(where: { slot(of: $0) == FactSlot.forcedVersion })
        {
            needs.insert(.fields)
        }
        return needs
    }

    private static func slot(of name: [UInt8], in names: [(name: [UInt8], slot: UInt16)]) -> UInt16 {
        guard let known = names.first(where: { $0.name == name }) else {
            preconditionFailure("a name without a slot")
        }
        return known.slot
    }

    static func lowered(_ name: String) -> [UInt8] {
        name.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }
}
