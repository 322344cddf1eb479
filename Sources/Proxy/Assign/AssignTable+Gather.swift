// One pass over a request's fields, cookies and query parameters that notes, for every name a model's rules
// mention, where its value is: each name of the request is hashed once, and rules then look at slots.
// First occurrence wins. Values are taken as sent, without the blanks around them: cookies and parameters are
// not decoded, quotes belong to a cookie's value (RFC 6265, section 5.2), names of cookies and parameters are
// case-sensitive, names of fields are not.
// Invariant: at most one pass over each part, and none over parts that no rule of the model mentions.

import Wire

/// Where the facts of the request at hand are. A slot is filled when its stamp is the current one, so
/// nothing is cleared between requests.
struct Scratch {
    private struct Header {
        var stamp: UInt32
        var presentCount: UInt32
    }
    struct Fact: BitwiseCopyable {
        var start: UInt32
        var count: UInt32
        var stamp: UInt32
    }

    private let header: UnsafeMutablePointer<Header>
    private let facts: UnsafeMutablePointer<Fact>
    /// Slots that cohorts ask about and that are filled.
    let present: UnsafeMutablePointer<UInt16>
    let slotCount: Int

    init(slots: Int) {
        slotCount = slots
        header = .allocate(capacity: 1)
        header.initialize(to: Header(stamp: 0, presentCount: 0))
        facts = .allocate(capacity: slots)
        facts.initialize(repeating: Fact(start: 0, count: 0, stamp: 0), count: slots)
        present = .allocate(capacity: slots)
        present.initialize(repeating: 0, count: slots)
    }

    func deallocate() {
        header.deallocate()
        facts.deallocate()
        present.deallocate()
    }

    var presentCount: Int { Int(header.pointee.presentCount) }

    /// Empties all slots.
    @inline(__always)
    func begin() {
        header.pointee.presentCount = 0
        header.pointee.stamp &+= 1
        if header.pointee.stamp == 0 {
            facts.update(repeating: Fact(start: 0, count: 0, stamp: 0), count: slotCount)
            header.pointee.stamp = 1
        }
    }

    /// Fills a slot unless it is filled.
    @inline(__always)
    func note(_ slot: UInt16, start: UInt32, count: UInt32, isTested: Bool) {
        let fact = facts + Int(slot)
        guard fact.pointee.stamp != header.pointee.stamp else { return }
        fact.pointee = Fact(start: start, count: count, stamp: header.pointee.stamp)
        if isTested {
            present[Int(header.pointee.presentCount)] = slot
            header.pointee.presentCount &+= 1
        }
    }

    /// The bytes in a slot; nil when the request has none.
    @inline(__always)
    func value(of slot: UInt16, base: UnsafeRawPointer) -> ByteView? {
        let fact = facts[Int(slot)]
        guard fact.stamp == header.pointee.stamp else { return nil }
        return ByteView(base + Int(fact.start), Int(fact.count))
    }
}

extension AssignTable {
    /// Fills the scratch slots for one model.
    @inline(never)
    func gather(
        _ model: UnsafePointer<ModelEntry>, head: RequestHead, fields: borrowing HeadParser,
        base: UnsafeRawPointer, isTrusted: Bool
    ) {
        scratch.begin()
        let needs = model.pointee.needs
        if needs.contains(.fields) || isTrusted {
            let kinds = model.pointee.kindFilter
            let filter = model.pointee.headerFilter
            var index = 0
            while index < fields.fieldCount {
                let field = fields.field(index)
                index &+= 1
                if kinds &>> UInt64(field.known.rawValue) & 1 == 0 { continue }
                let name = ByteView(base + Int(field.name.start), Int(field.name.count))
                if filter & name.filterBit != 0 { noteField(name, field.value, model, base: base) }
            }
        }
        if needs.rawValue & ModelNeeds.rare.rawValue != 0 {
            gatherRare(model, head: head, fields: fields, base: base)
        }
    }

    @inline(never)
    private func gatherRare(
        _ model: UnsafePointer<ModelEntry>, head: RequestHead, fields: borrowing HeadParser,
        base: UnsafeRawPointer
    ) {
        let needs = model.pointee.needs
        if needs.contains(.cookies) { noteCookies(fields, model, base: base) }
        if needs.contains(.queries) { noteParameters(head.query, model, base: base) }
        if needs.contains(.path) {
            scratch.note(FactSlot.path, start: head.path.start, count: head.path.count, isTested: true)
        }
        if needs.contains(.method) {
            let name = head.methodName
            scratch.note(FactSlot.method, start: name.start, count: name.count, isTested: true)
        }
    }

    @inline(never)
    private func noteField(
        _ name: ByteView, _ value: Slice, _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer
    ) {
        if name.count > 16 {
            noteLongField(name, value, model)
            return
        }
        let key = FoldedName(name)
        let table = model.pointee.headers
        let list = headers + Int(table.start)
        var at = key.hash & table.mask
        while list[Int(at)].key != key {
            if list[Int(at)].key.count == 0 { return }
            at = (at &+ 1) & table.mask
        }
        let entry = list + Int(at)
        scratch.note(
            entry.pointee.slot, start: value.start, count: value.count, isTested: entry.pointee.isTested)
    }

    /// A name whose two ends do not tell all: hashed and compared in full.
    @inline(never)
    private func noteLongField(_ name: ByteView, _ value: Slice, _ model: UnsafePointer<ModelEntry>) {
        let key = FoldedName(name)
        let table = model.pointee.headers
        let list = headers + Int(table.start)
        var at = name.foldedHash & table.mask
        while list[Int(at)].key.count != 0 {
            let entry = list + Int(at)
            let lowered = text + Int(entry.pointee.bytes)
            if entry.pointee.key == key,
                ByteView.agree(name.base, lowered: lowered, fold: lowered + name.count, name.count)
            {
                scratch.note(
                    entry.pointee.slot, start: value.start, count: value.count,
                    isTested: entry.pointee.isTested)
                return
            }
            at = (at &+ 1) & table.mask
        }
    }

    /// Reads the Cookie fields: `name=value` pairs between semicolons (RFC 6265, section 4.2.1); a pair
    /// without '=' is a name.
    @inline(never)
    func noteCookies(
        _ fields: borrowing HeadParser, _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer
    ) {
        for index in 0..<fields.fieldCount where fields.field(index).known == .cookie {
            notePairs(
                fields.field(index).value, between: UInt8(ascii: ";"), trims: true,
                filter: model.pointee.cookieFilter, table: model.pointee.cookies, base: base)
        }
    }

    /// Reads the query: `name=value` pairs between ampersands.
    @inline(never)
    func noteParameters(_ query: Slice, _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer) {
        notePairs(
            query, between: UInt8(ascii: "&"), trims: false, filter: model.pointee.queryFilter,
            table: model.pointee.queries, base: base)
    }

    /// - Parameter trims: blanks and tabs around names and values are no part of them; a query has none.
    @inline(__always)
    private func notePairs(
        _ slice: Slice, between separator: UInt8, trims: Bool, filter: UInt64, table: ProbeTable,
        base: UnsafeRawPointer
    ) {
        let end = slice.end
        var at = Int(slice.start)
        while at < end {
            if trims { at = Self.afterBlanks(base, at, end) }
            let nameEnd = ByteView.first(UInt8(ascii: "="), or: separator, from: at, to: end, base: base)
            let hasValue = nameEnd < end && base.load(fromByteOffset: nameEnd, as: UInt8.self) != separator
            let pairEnd =
                hasValue
                ? ByteView.first(separator, or: separator, from: nameEnd &+ 1, to: end, base: base) : nameEnd
            let nameStop = trims ? Self.beforeBlanks(base, at, nameEnd) : nameEnd
            let name = ByteView(base + at, nameStop &- at)
            if name.count > 0, filter & name.filterBit != 0 {
                var start = hasValue ? nameEnd &+ 1 : nameEnd
                var stop = pairEnd
                if trims {
                    start = Self.afterBlanks(base, start, pairEnd)
                    stop = Self.beforeBlanks(base, start, pairEnd)
                }
                let value = Slice(
                    start: UInt32(truncatingIfNeeded: start),
                    count: UInt32(truncatingIfNeeded: stop &- start))
                notePair(name, value, table: table)
            }
            at = pairEnd &+ 1
        }
    }

    /// Offset of the first byte in [start, end) that is neither a blank nor a tab, or `end`.
    @inline(__always)
    private static func afterBlanks(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var at = start
        while at < end, isBlank(base, at) { at &+= 1 }
        return at
    }

    /// Offset after the last byte in [start, end) that is neither a blank nor a tab, or `start`.
    @inline(__always)
    private static func beforeBlanks(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var at = end
        while at > start, isBlank(base, at &- 1) { at &-= 1 }
        return at
    }

    @inline(__always)
    private static func isBlank(_ base: UnsafeRawPointer, _ at: Int) -> Bool {
        let byte = base.load(fromByteOffset: at, as: UInt8.self)
        return byte == 0x20 || byte == 0x09
    }

    @inline(never)
    private func notePair(_ name: ByteView, _ value: Slice, table: ProbeTable) {
        let hash = name.foldedHash
        var at = hash & table.mask
        while true {
            let entry = names + (Int(table.start) &+ Int(at))
            if entry.pointee.slot == FactSlot.none { return }
            if entry.pointee.hash == hash, Int(entry.pointee.count) == name.count,
                ByteView.agree(name.base, text + Int(entry.pointee.bytes), name.count)
            {
                scratch.note(
                    entry.pointee.slot, start: value.start, count: value.count,
                    isTested: entry.pointee.isTested)
                return
            }
            at = (at &+ 1) & table.mask
        }
    }
}
