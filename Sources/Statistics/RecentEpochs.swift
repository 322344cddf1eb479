// The records of the last epochs, in place: a guardrail's state is copied at every tick that is not settled,
// and a copy must not allocate. Saved as an array, oldest first.
// Invariant: there is always a current epoch, and never more than `most`.
// Source: guardrails/statistics.md, section 4.1.

/// The last `most` epochs, the current one included.
struct RecentEpochs<let most: Int, Record: Sendable>: Sendable {
    private var records: InlineArray<most, Record>
    /// Where the oldest stands, and how many there are.
    private var oldest: UInt8 = 0
    private var number: UInt8 = 1

    private var first: Int { Int(oldest) }
    private(set) var count: Int {
        get { Int(number) }
        set { number = UInt8(newValue) }
    }

    init(_ empty: Record) {
        precondition(most < 256)
        records = InlineArray(repeating: empty)
    }

    private func place(_ i: Int) -> Int { (first + i) % most }

    var current: Record {
        get { records[place(count - 1)] }
        set { records[place(count - 1)] = newValue }
    }

    /// Starts an epoch; the oldest is forgotten.
    mutating func open(_ empty: Record) {
        if count == most { oldest = UInt8(place(1)) } else { count += 1 }
        current = empty
    }

    /// The last ones, oldest first.
    func last(_ number: Int) -> [Record] { (max(0, count - number)..<count).map { records[place($0)] } }
}

extension RecentEpochs: Codable where Record: Codable {
    init(from decoder: any Decoder) throws {
        let saved = try [Record](from: decoder).suffix(most)
        guard let newest = saved.last else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "there is always a current epoch"))
        }
        self.init(newest)
        count = saved.count
        for (i, record) in saved.enumerated() { records[i] = record }
    }

    func encode(to encoder: any Encoder) throws { try last(most).encode(to: encoder) }
}

extension RecentEpochs: Equatable where Record: Equatable {
    static func == (a: RecentEpochs, b: RecentEpochs) -> Bool { a.last(most) == b.last(most) }
}

extension RecentEpochs: Hashable where Record: Hashable {
    func hash(into hasher: inout Hasher) { hasher.combine(last(most)) }
}
