// The hot step: which model a request is for, and which version it gets. One table per core and plan,
// copied from an image; nothing is allocated, retained or locked per request.
//
// Order of the rules: forced version (trusted callers) → cohorts, in order → sticky split → random split.
// Whatever they choose passes the gate at the end: a barred or quarantined version is replaced by stable.
// Owned by one core; the scratch memory makes it unfit for two. Pointers stay inside the copied image.

import Platform
import Wire

/// A plan's assignment rules in a core's own memory.
struct AssignTable: ~Copyable {
    private let memory: UnsafeMutableRawPointer
    let scratch: Scratch
    let modelCount: Int
    let intervalCount: Int
    let hasHosts: Bool
    let hostMask: UInt32

    let models: UnsafePointer<ModelEntry>
    let versions: UnsafePointer<VersionEntry>
    let shares: UnsafePointer<ShareEntry>
    let cohorts: UnsafePointer<CohortEntry>
    let conditions: UnsafePointer<ConditionEntry>
    let facts: UnsafePointer<FactEntry>
    let headers: UnsafePointer<HeaderEntry>
    let names: UnsafePointer<NameEntry>
    let values: UnsafePointer<ValueEntry>
    let ranges: UnsafePointer<RangeEntry>
    let patterns: UnsafePointer<PatternEntry>
    let masks: UnsafePointer<CohortMask>
    let transitions: UnsafePointer<UInt16>
    let stickyKeys: UnsafePointer<StickyEntry>
    let numbers: UnsafePointer<UInt32>
    let intervals: UnsafePointer<IntervalEntry>
    let nodes: UnsafePointer<RouteNode>
    let targets: UnsafePointer<RouteTarget>
    let hosts: UnsafePointer<HostEntry>
    let text: UnsafeRawPointer

    /// Copies the image: a few microseconds per thousand models.
    init(_ image: AssignImage) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(image.bytes.count, 64), alignment: 64)
        image.bytes.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { memory.copyMemory(from: base, byteCount: bytes.count) }
        }
        func bind<Record: BitwiseCopyable>(_ section: AssignImage.Section) -> UnsafePointer<Record> {
            UnsafePointer(
                (memory + section.offset).bindMemory(to: Record.self, capacity: section.count))
        }
        self.memory = memory
        let sections = image.sections
        scratch = Scratch(slots: max(sections.slotsMax, Int(FactSlot.named)))
        modelCount = sections.models.count
        intervalCount = sections.intervals.count
        hasHosts = sections.hostCount > 0
        hostMask = UInt32(sections.hosts.count - 1)
        models = bind(sections.models)
        versions = bind(sections.versions)
        shares = bind(sections.shares)
        cohorts = bind(sections.cohorts)
        conditions = bind(sections.conditions)
        facts = bind(sections.facts)
        headers = bind(sections.headers)
        names = bind(sections.names)
        values = bind(sections.values)
        ranges = bind(sections.ranges)
        patterns = bind(sections.patterns)
        masks = bind(sections.masks)
        transitions = bind(sections.transitions)
        stickyKeys = bind(sections.stickyKeys)
        numbers = bind(sections.numbers)
        intervals = bind(sections.intervals)
        nodes = bind(sections.nodes)
        targets = bind(sections.targets)
        hosts = bind(sections.hosts)
        text = UnsafeRawPointer(memory + sections.text.offset)
    }

    init(models: [ModelPlan], trusted: [AddressRange]) {
        self.init(AssignImage(models: models, trusted: trusted))
    }

    deinit {
        memory.deallocate()
        scratch.deallocate()
    }
}

extension AssignTable {
    /// The version for one request.
    /// - Parameters:
    ///   - model: what `route` answered for it.
    ///   - head, fields, bytes: the parsed head, the parser that still holds its fields, and the buffer
    ///     that both point into.
    ///   - caller: what `caller` answered for it.
    ///   - switches: the model's switches, loaded for this request.
    ///   - random: drawn from once at most.
    func assign(
        _ model: ModelIndex, head: RequestHead, fields: borrowing HeadParser, bytes: RawSpan,
        caller: Caller, switches: Switches, random: inout Random64
    ) -> Assignment {
        precondition(model >= 0 && model < modelCount)
        // The head's slices lie in its bytes and the parser still holds its fields.
        precondition(head.byteCount <= bytes.byteCount && head.fieldCount == fields.fieldCount)
        let entry = models + model
        return bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { preconditionFailure("a head without bytes") }
            if entry.pointee.needs.rawValue != 0 || caller.isTrusted {
                gather(entry, head: head, fields: fields, base: base, isTrusted: caller.isTrusted)
            }
            return choose(
                entry, query: head.query, fields: fields, base: base, caller: caller, switches: switches,
                random: &random)
        }
    }

    /// The share of the split that a version has under `switches`, in parts per million.
    func weight(of version: UInt8, model: ModelIndex, switches: Switches) -> UInt32 {
        precondition(model >= 0 && model < modelCount)
        let entry = models + model
        precondition(version < entry.pointee.versions.count)
        let stable = UInt32(1) &<< UInt32(entry.pointee.stable)
        let eligible = switches.eligible(among: entry.pointee.openVersions, stable: stable)
        return weightInForce(entry, version: version, eligible: eligible)
    }

    // MARK: The rules in order

    @inline(__always)
    private func choose(
        _ model: UnsafePointer<ModelEntry>, query: Slice, fields: borrowing HeadParser,
        base: UnsafeRawPointer, caller: Caller, switches: Switches, random: inout Random64
    ) -> Assignment {
        let stable = UInt32(1) &<< UInt32(model.pointee.stable)
        let eligible = switches.eligible(among: model.pointee.openVersions, stable: stable)
        var result = Assignment(
            keyHash: 0, weightPPM: 0, version: 0, reason: .random, cohort: Assignment.noCohort,
            isRandomised: false, matchesShadow: false)
        if model.pointee.hasShadow {
            result.matchesShadow = holds(model.pointee.shadow, base: base, client: caller.client)
        }
        if caller.isTrusted, let version = forcedVersion(model, base: base) {
            result.version = version
            result.reason = .forced
        } else if model.pointee.cohorts.count > 0,
            let cohort = firstCohort(model, base: base, client: caller.client)
        {
            result.version = cohorts[Int(model.pointee.cohorts.start) &+ cohort].version
            result.cohort = UInt8(truncatingIfNeeded: cohort)
            result.reason = .cohort
        } else {
            result.isRandomised = true
            if model.pointee.stickyKeys.count > 0,
                let hash = keyHash(model, query: query, fields: fields, base: base, client: caller.client)
            {
                result.keyHash = hash
                result.reason = .sticky
                result.version = rendezvous(model, keyHash: hash)
            } else {
                result.version = draw(model, random: &random)
            }
        }
        return pass(result, model, eligible: eligible)
    }

    /// The gate: what may not be chosen becomes stable.
    @inline(__always)
    private func pass(
        _ choice: Assignment, _ model: UnsafePointer<ModelEntry>, eligible: UInt32
    ) -> Assignment {
        var result = choice
        if eligible &>> UInt32(choice.version) & 1 == 0 {
            result.version = landing(model, eligible: eligible)
            result.reason = .cut
        }
        if eligible == model.pointee.openVersions, result.hasVersion {
            let version = Int(model.pointee.versions.start) &+ Int(result.version)
            result.weightPPM = versions[version].weightPPM
        } else {
            result.weightPPM = weightInForce(model, version: result.version, eligible: eligible)
        }
        return result
    }

    /// Where the traffic of barred versions goes: to stable, and where stable itself is barred, to the
    /// heaviest version left.
    @inline(never)
    private func landing(_ model: UnsafePointer<ModelEntry>, eligible: UInt32) -> UInt8 {
        let stable = model.pointee.stable
        if eligible &>> UInt32(stable) & 1 == 1 { return stable }
        var best = Assignment.noVersion
        var most: UInt32 = 0
        for index in 0..<UInt8(truncatingIfNeeded: model.pointee.versions.count)
        where eligible &>> UInt32(index) & 1 == 1 {
            let weight = versions[Int(model.pointee.versions.start) &+ Int(index)].weightPPM
            if best == Assignment.noVersion || weight > most {
                best = index
                most = weight
            }
        }
        return best
    }

    @inline(never)
    private func weightInForce(
        _ model: UnsafePointer<ModelEntry>, version: UInt8, eligible: UInt32
    ) -> UInt32 {
        let heir = landing(model, eligible: eligible)
        var sum: UInt32 = 0
        for index in 0..<UInt8(truncatingIfNeeded: model.pointee.versions.count) {
            let isOpen = eligible &>> UInt32(index) & 1 == 1
            if isOpen ? index == version : heir == version {
                sum &+= versions[Int(model.pointee.versions.start) &+ Int(index)].weightPPM
            }
        }
        return sum
    }

    // MARK: Forced

    /// The version that a trusted caller's header names; nil without the header or with an unknown name.
    /// A part of a version has an empty name here, which no header matches.
    @inline(never)
    private func forcedVersion(_ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer) -> UInt8? {
        guard let name = scratch.value(of: FactSlot.forcedVersion, base: base), name.count > 0 else {
            return nil
        }
        for index in 0..<Int(model.pointee.versions.count) {
            let place = versions[Int(model.pointee.versions.start) &+ index].name
            if Int(place.count) == name.count,
                ByteView.agree(text + Int(place.start), name.base, name.count)
            {
                return UInt8(truncatingIfNeeded: index)
            }
        }
        return nil
    }
}
