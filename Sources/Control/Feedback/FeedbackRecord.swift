// What a restart must know of feedback, as bytes: blocks that are appended as things happen and read back in
// order. A block is self-contained and carries its checksum; the first one that is not whole ends a file,
// because a crash of the machine tears the last write only.
//
//     block    "WOL1" u32 | payload bytes u32 | FNV-1a of the payload u64 | payload
//     payload  kind u8, then
//              1 clock     tick u64, wall micros u64
//              2 starts    model, slot ticks u64, first u64, end u64, spoiled u8, n u16, n x (version u32,
//                          started u32, weight u32)
//              3 feedback  model, metric, window millis u64, n u32, n x (version u32, start u64, delay u32,
//                          weight u32, code u16, hash u32, randomised u8)
//              texts: u16 bytes, UTF-8. Integers little-endian; versions by ExchangeID.versionHash.
//
// Table above, code below. Invariant: any bytes read as a list of records or end early, never trap.

/// One block.
package enum FeedbackRecord: Sendable, Equatable {
    /// How ticks and the wall clock stood to each other in the process that wrote what follows.
    case clock(ClockAnchor)
    case starts(model: String, slotTicks: UInt64, NamedSlot)
    case feedback(model: String, metric: String, windowMillis: UInt64, [Entry])

    /// A slot of starts whose versions have names instead of places.
    package struct NamedSlot: Sendable, Equatable {
        /// One version's share.
        struct Version: Sendable, Equatable {
            var version: UInt32
            var started: UInt32
            var weightPPM: UInt32
        }

        var first: UInt64
        var end: UInt64
        var isSpoiled: Bool
        var versions: [Version]
    }

    /// An accepted item.
    package struct Entry: Sendable, Equatable {
        var version: UInt32
        var start: UInt64
        var delayMillis: UInt32
        var weightPPM: UInt32
        var code: UInt16
        var hash: UInt32
        var isRandomised: Bool

        static let byteCount = 27
    }

    private static let magic: UInt32 = 0x314C_4F57
    private static let headBytes = 16
    static let payloadBytesMax = 4 << 20
}

// MARK: - Writing

extension FeedbackRecord {
    /// Appends the block.
    func write(to out: inout [UInt8]) {
        var payload: [UInt8] = []
        switch self {
        case .clock(let anchor):
            payload.append(1)
            payload.put(anchor.tick)
            payload.put(anchor.wallMicros)
        case .starts(let model, let slotTicks, let slot):
            payload.append(2)
            payload.put(model)
            payload.put(slotTicks)
            payload.put(slot.first)
            payload.put(slot.end)
            payload.append(slot.isSpoiled ? 1 : 0)
            payload.put(UInt16(clamping: slot.versions.count))
            for version in slot.versions {
                payload.put(version.version)
                payload.put(version.started)
                payload.put(version.weightPPM)
            }
        case .feedback(let model, let metric, let windowMillis, let entries):
            payload.reserveCapacity(64 + entries.count * Entry.byteCount)
            payload.append(3)
            payload.put(model)
            payload.put(metric)
            payload.put(windowMillis)
            payload.put(UInt32(clamping: entries.count))
            for entry in entries { payload.put(entry) }
        }
        out.put(Self.magic)
        out.put(UInt32(payload.count))
        out.put(Self.checksum(payload[...]))
        out += payload
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

extension [UInt8] {
    fileprivate mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// At most 65,535 bytes; names are shorter by far.
    fileprivate mutating func put(_ text: String) {
        let bytes = text.utf8.prefix(Int(UInt16.max))
        put(UInt16(bytes.count))
        append(contentsOf: bytes)
    }

    fileprivate mutating func put(_ entry: FeedbackRecord.Entry) {
        put(entry.version)
        put(entry.start)
        put(entry.delayMillis)
        put(entry.weightPPM)
        put(entry.code)
        put(entry.hash)
        append(entry.isRandomised ? 1 : 0)
    }
}

// MARK: - Reading

extension FeedbackRecord {
    /// The whole blocks at the beginning of `bytes`, one after the other, and how many bytes they took.
    static func read(_ bytes: [UInt8], _ take: (FeedbackRecord) -> Void) -> Int {
        var at = 0
        while bytes.count - at >= headBytes {
            var head = RecordReader(bytes[at..<(at + headBytes)])
            guard head.number(UInt32.self) == magic, let count = head.number(UInt32.self).map(Int.init),
                let sum = head.number(UInt64.self), count <= payloadBytesMax,
                bytes.count - at - headBytes >= count
            else { return at }
            let payload = bytes[(at + headBytes)..<(at + headBytes + count)]
            guard checksum(payload) == sum, let record = FeedbackRecord(payload) else { return at }
            take(record)
            at += headBytes + count
        }
        return at
    }

    private init?(_ payload: ArraySlice<UInt8>) {
        var reader = RecordReader(payload)
        let record: FeedbackRecord?
        switch reader.number(UInt8.self) {
        case 1: record = reader.clock()
        case 2: record = reader.starts()
        case 3: record = reader.feedback()
        default: record = nil
        }
        guard let record, reader.isAtEnd else { return nil }
        self = record
    }
}

/// Reads a payload from its front.
private struct RecordReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) -> Number? {
        let count = Number.bitWidth / 8
        guard rest.count >= count else { return nil }
        var value: Number = 0
        for byte in rest.prefix(count).reversed() { value = value << (count > 1 ? 8 : 0) | Number(byte) }
        rest = rest.dropFirst(count)
        return value
    }

    private mutating func text() -> String? {
        guard let count = number(UInt16.self).map(Int.init), rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return String(validating: rest.prefix(count), as: UTF8.self)
    }

    mutating func clock() -> FeedbackRecord? {
        guard let tick = number(UInt64.self), let wall = number(UInt64.self) else { return nil }
        return .clock(ClockAnchor(tick: tick, wallMicros: wall))
    }

    mutating func starts() -> FeedbackRecord? {
        guard let model = text(), let length = number(UInt64.self), let first = number(UInt64.self),
            let end = number(UInt64.self), let spoiled = number(UInt8.self), let count = number(UInt16.self),
            first < end, rest.count == Int(count) * 12
        else { return nil }
        var slot = FeedbackRecord.NamedSlot(first: first, end: end, isSpoiled: spoiled != 0, versions: [])
        for _ in 0..<count {
            guard let version = number(UInt32.self), let started = number(UInt32.self),
                let weight = number(UInt32.self)
            else { return nil }
            slot.versions.append(.init(version: version, started: started, weightPPM: weight))
        }
        return .starts(model: model, slotTicks: length, slot)
    }

    mutating func feedback() -> FeedbackRecord? {
        guard let model = text(), let metric = text(), let window = number(UInt64.self),
            let count = number(UInt32.self), rest.count == Int(count) * FeedbackRecord.Entry.byteCount
        else { return nil }
        var entries: [FeedbackRecord.Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let version = number(UInt32.self), let start = number(UInt64.self),
                let delay = number(UInt32.self), let weight = number(UInt32.self),
                let code = number(UInt16.self), let hash = number(UInt32.self),
                let randomised = number(UInt8.self)
            else { return nil }
            entries.append(
                .init(
                    version: version, start: start, delayMillis: delay, weightPPM: weight, code: code,
                    hash: hash, isRandomised: randomised != 0))
        }
        return .feedback(model: model, metric: metric, windowMillis: window, entries)
    }
}
