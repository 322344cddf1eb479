// The records that a plan compiles to: flat, fixed-size, without a pointer, so that an image is built once,
// off the cores, and each core copies it into memory of its own. Places are indices into the image's
// sections.
// Invariant: every record is trivially copyable, and every place lies inside its section (the compiler's
// duty).

/// `count` records or bytes from `start` on, in a section that the holder knows.
struct Place: BitwiseCopyable {
    var start: UInt32
    var count: UInt32

    static let nothing = Place(start: 0, count: 0)

    init(start: UInt32, count: UInt32) {
        self.start = start
        self.count = count
    }

    init(_ start: Int, _ count: Int) {
        self.init(start: UInt32(start), count: UInt32(count))
    }
}

/// An open-addressed table with 2^n places, probed linearly, never more than half full.
struct ProbeTable: BitwiseCopyable {
    var start: UInt32
    /// Number of places less one.
    var mask: UInt32

    static let empty = ProbeTable(start: 0, mask: 0)
}

/// Where a fact about a request is kept while it is assigned. The first three are the same in every model.
enum FactSlot {
    static let path: UInt16 = 0
    static let method: UInt16 = 1
    static let forcedVersion: UInt16 = 2
    static let named: UInt16 = 3
    static let none: UInt16 = .max
}

struct ModelEntry: BitwiseCopyable {
    var salt: UInt64
    /// Bit per `KnownField`: what the parser takes the header names of interest for.
    var kindFilter: UInt64
    /// Bit `ByteView.filterBit` of every name of interest: most others are told apart by one test.
    var headerFilter: UInt64
    var cookieFilter: UInt64
    var queryFilter: UInt64
    /// A bit per cohort; then, per cohort, how many facts must hit it, as three planes of bits.
    var cohortBits: CohortMask
    var needOnes: CohortMask
    var needTwos: CohortMask
    var needFours: CohortMask
    var headers: ProbeTable
    var cookies: ProbeTable
    var queries: ProbeTable
    /// First of `slotCount` `FactEntry`s, one per slot.
    var facts: UInt32
    var addresses: AddressEntry
    var cohorts: Place
    var versions: Place
    /// `ShareEntry`s: the versions with weight, quarantined ones folded into stable.
    var shares: Place
    var stickyKeys: Place
    /// `ConditionEntry`s that a request must meet to be shadowed.
    var shadow: Place
    /// Versions that are not quarantined, a bit per index.
    var openVersions: UInt32
    var slotCount: UInt16
    var stable: UInt8
    /// A part of stable, and what of stable's sticky keys fall to it: those whose hash under `partHash` is
    /// below `partBelow`; `Assignment.noVersion` where there is none.
    var part: UInt8
    var partHash: UInt64
    var partBelow: UInt64
    /// Which parts of a request must be read, see `ModelNeeds`.
    var needs: ModelNeeds
    var hasShadow: Bool
}

/// What a model's rules look at.
struct ModelNeeds: OptionSet, BitwiseCopyable {
    var rawValue: UInt8
    /// Header fields by name.
    static let fields = ModelNeeds(rawValue: 1)
    /// Cookies, by conditions; sticky keys read them only when no earlier key is there.
    static let cookies = ModelNeeds(rawValue: 2)
    /// Query parameters, by conditions; sticky keys read them only when no earlier key is there.
    static let queries = ModelNeeds(rawValue: 4)
    static let path = ModelNeeds(rawValue: 8)
    static let method = ModelNeeds(rawValue: 16)
    /// Some sticky key is looked for in a slot.
    static let key = ModelNeeds(rawValue: 32)
    static let pairs: ModelNeeds = [.cookies, .queries]
    /// What is read besides header fields.
    static let rare: ModelNeeds = [.cookies, .queries, .path, .method]
}

/// Where a sticky key is looked for.
struct StickyEntry: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case header, cookie, query, clientAddress
    }
    var kind: Kind
    var slot: UInt16
}

struct VersionEntry: BitwiseCopyable {
    var name: Place
    var weightPPM: UInt32
}

/// One version's part of the split.
struct ShareEntry: BitwiseCopyable {
    /// xxHash64 of the version's name, seed 0.
    var nameHash: UInt64
    /// One over the weight in parts per million; of stable over its part's as well, of that infinity: no
    /// sticky key falls to it here.
    var inverseWeight: Double
    /// A random word below this, and not below the previous share's, draws this version.
    var below: UInt64
    var weightPPM: UInt32
    var version: UInt8
}

struct CohortEntry: BitwiseCopyable {
    /// Conditions that the tables could not take in.
    var rest: Place
    var version: UInt8
}

/// A header name of interest.
struct HeaderEntry: BitwiseCopyable {
    var key: FoldedName
    /// Of the lowered name; the fold mask follows it. Looked at for names of more than 16 bytes.
    var bytes: UInt32
    var slot: UInt16
    /// Whether conditions look at it (a sticky key alone does not need the tables).
    var isTested: Bool

    static let free = HeaderEntry(
        key: FoldedName(first: 0, last: 0, count: 0), bytes: 0, slot: FactSlot.none, isTested: false)
}

/// The name of a cookie or query parameter of interest.
struct NameEntry: BitwiseCopyable {
    var hash: UInt32
    var slot: UInt16
    var count: UInt16
    var bytes: UInt32
    var isTested: Bool

    static let free = NameEntry(hash: 0, slot: FactSlot.none, count: 0, bytes: 0, isTested: false)
}

/// What the cohorts of a model ask about one fact.
struct FactEntry: BitwiseCopyable {
    /// Cohorts for which it is enough that the fact is there.
    var present: CohortMask = 0
    var exact = ProbeTable.empty
    /// Lengths outside this range are in no exact condition.
    var exactCountMin: UInt32 = .max
    var exactCountMax: UInt32 = 0
    var prefixes = ProbeTable.empty
    /// Distinct lengths of prefixes, ascending, in the section of numbers.
    var prefixLengths = Place.nothing
    var patterns = Place.nothing
}

/// A value, or a prefix of one, and the cohorts that it satisfies.
struct ValueEntry: BitwiseCopyable {
    var cohorts: CohortMask
    var hash: UInt64
    var bytes: Place

    static let free = ValueEntry(cohorts: 0, hash: 0, bytes: .nothing)
}

/// What the cohorts of a model ask about the client's address.
struct AddressEntry: BitwiseCopyable {
    var ranges = ProbeTable.empty
    /// Distinct prefix lengths, in the section of numbers.
    var prefixLengths = Place.nothing
}

/// A CIDR block and the cohorts that it satisfies; a free place satisfies none.
struct RangeEntry: BitwiseCopyable {
    var cohorts: CohortMask
    var high: UInt64
    var low: UInt64
    var prefixBits: UInt32

    static let free = RangeEntry(cohorts: 0, high: 0, low: 0, prefixBits: .max)
}

struct PatternEntry: BitwiseCopyable {
    var whole: CohortMask
    /// Into the section of bytes, of 16-bit words, and of masks (found, then found at the end).
    var classes: UInt32
    var transitions: UInt32
    var found: UInt32
    var states: UInt32
    var start: UInt16
    var firstFinding: UInt16
    var shift: UInt8
}

/// A condition that is tested on its own.
struct ConditionEntry: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case present, exact, prefix, pattern, address
    }
    var kind: Kind
    var slot: UInt16
    /// Bytes, `RangeEntry`s (in the section of ranges, in order), or one `PatternEntry`.
    var operand: Place
}

/// A closed interval of addresses.
struct IntervalEntry: BitwiseCopyable {
    var first: UInt128
    var last: UInt128
}

/// A node of the compressed trie of paths.
struct RouteNode: BitwiseCopyable {
    /// The bytes from the parent to here.
    var label: Place
    /// The first bytes of the children's labels, ascending, in the section of bytes.
    var childBytes: UInt32
    var firstChild: UInt32
    /// `RouteTarget`s by host: for paths that end here, and for those that go on behind a border.
    var exact: Place
    var prefix: Place
    var childCount: UInt16
    /// Whether the path up to here is a border itself: empty, or ending in '/' or ':'.
    var isBorder: Bool
}

/// The model behind a path for one host; host 0 is "any".
struct RouteTarget: BitwiseCopyable {
    var host: UInt32
    var model: UInt32
}

/// A host that some route names.
struct HostEntry: BitwiseCopyable {
    var hash: UInt32
    /// From 1; 0: the place is free.
    var host: UInt32
    var count: UInt32
    /// Of the lowered name; the fold mask follows it.
    var bytes: UInt32

    static let free = HostEntry(hash: 0, host: 0, count: 0, bytes: 0)
}
