// One pass over a request's fields, cookies and query parameters that notes, for every name a model's rules
// mention, where its value is: each name of the request is hashed once, and rules then look at slots.
// First occurrence wins. Values are taken as sent: cookies and parameters are not decoded, names of cookies
// and parameters are case-sensitive, names of fields are not.
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
            let lengths = model.pointee.nameLengths
            for index in 0..<head.fieldCount {
                let field = fields.field(index)
                let count = Int(field.name.count)
                guard lengths &>> UInt64(min(count, 63)) & 1 == 1 else { continue }
                noteField(field, model, base: base)
            }
        }
        if needs.contains(.queries) { noteParameters(head.query, model, base: base) }
        if needs.contains(.path) {
            scratch.note(FactSlot.path, start: head.path.start, count: head.path.count, isTested: true)
        }
        if needs.contains(.method) {
            let name = head.methodName
            scratch.note(FactSlot.method, start: name.start, count: name.count, isTested: true)
        }
    }

    @inline(__always)
    private func noteField(_ field: Field, _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer) {
        let name = ByteView(base + Int(field.name.start), Int(field.name.count))
        let hash = name.foldedHash
        let table = model.pointee.headers
        var at = hash & table.mask
        // To the first free place: the Cookie field can have two entries.
        while true {
            let entry = names + (Int(table.start) &+ Int(at))
            if entry.pointee.slot == FactSlot.none { return }
            if entry.pointee.hash == hash, Int(entry.pointee.count) == name.count {
                let lowered = text + Int(entry.pointee.bytes)
                if ByteView.agree(name.base, lowered: lowered, fold: lowered + name.count, name.count) {
                    if entry.pointee.slot == FactSlot.cookieField {
                        noteCookies(field.value, model, base: base)
                    } else {
                        scratch.note(
                            entry.pointee.slot, start: field.value.start, count: field.value.count,
                            isTested: entry.pointee.isTested)
                    }
                }
            }
            at = (at &+ 1) & table.mask
        }
    }

    /// `name=value` pairs between semicolons (RFC 6265, section 4.2.1); a pair without '=' is a name.
    @inline(never)
    private func noteCookies(_ value: Slice, _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer) {
        notePairs(value, between: UInt8(ascii: ";"), table: model.pointee.cookies, base: base)
    }

    /// `name=value` pairs between ampersands.
    @inline(never)
    private func noteParameters(_ query: Slice, _ model: UnsafePointer<ModelEntry>, base: UnsafeRawPointer) {
        notePairs(query, between: UInt8(ascii: "&"), table: model.pointee.queries, base: base)
    }

    @inline(__always)
    private func notePairs(
        _ slice: Slice, between separator: UInt8, table: ProbeTable, base: UnsafeRawPointer
    ) {
        let end = Int(slice.start) &+ Int(slice.count)
        var at = Int(slice.start)
        while at < end {
            while at < end, base.load(fromByteOffset: at, as: UInt8.self) == UInt8(ascii: " ") { at &+= 1 }
            let start = at
            var equals = -1
            while at < end {
                let byte = base.load(fromByteOffset: at, as: UInt8.self)
                if byte == separator { break }
                if byte == UInt8(ascii: "="), equals < 0 { equals = at }
                at &+= 1
            }
            let nameEnd = equals < 0 ? at : equals
            if nameEnd > start {
                let valueStart = equals < 0 ? at : equals &+ 1
                notePair(
                    ByteView(base + start, nameEnd &- start), start: UInt32(truncatingIfNeeded: valueStart),
                    count: UInt32(truncatingIfNeeded: at &- valueStart), table: table)
            }
            at &+= 1
        }
    }

    @inline(__always)
    private func notePair(_ name: ByteView, start: UInt32, count: UInt32, table: ProbeTable) {
        let hash = name.foldedHash
        var at = hash & table.mask
        while true {
            let entry = names + (Int(table.start) &+ Int(at))
            if entry.pointee.slot == FactSlot.none { return }
            if entry.pointee.hash == hash, Int(entry.pointee.count) == name.count,
                ByteView.agree(name.base, text + Int(entry.pointee.bytes), name.count)
            {
                scratch.note(entry.pointee.slot, start: start, count: count, isTested: entry.pointee.isTested)
                return
            }
            at = (at &+ 1) & table.mask
        }
    }
}
