// The board: the words that control writes and cores read, or the reverse, outside any plan. Cut switches and
// health words are loaded per assignment, so a cut reaches the next request before the new plan does.
// Invariant: each word has one writing thread, those of `KeyTable` and `PlaceBoard` apart; words that cores
// write lie on pages of their own core.

import Metrics
import Platform
import Synchronization

/// Words that control writes and every core reads.
struct Board: ~Copyable, Sendable {
    private let switchPages = SharedPages(byteCount: Limits.modelsMax * 8)
    private let healthPages = SharedPages(byteCount: Limits.endpointsMax * 4)
    /// What cores share among themselves: a table that bad requests of sticky keys touch,
    let keys = KeyTable()
    /// and the counters of bounds too small to be divided.
    let places: PlaceBoard

    init(cores: Int) throws(SystemFailure) {
        places = try PlaceBoard(cores: cores)
    }

    /// One word per model: bit i bars version i of the model; `splitCut` sends every split to stable.
    var switches: UnsafeMutablePointer<Atomic<UInt64>> {
        switchPages.base.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// One word per endpoint: what its active checks say of it, see `HealthWord`.
    var health: UnsafeMutablePointer<Atomic<UInt32>> {
        healthPages.base.assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// The bit of a switch word that sends every split to stable.
    static let splitCut: UInt64 = 1 << 63
}

/// What active checks say of an endpoint, in one word: 0 while they have said nothing, else a mark, and above
/// it the number of passed checks.
struct HealthWord: BitwiseCopyable {
    private(set) var bits: UInt32

    init(bits: UInt32) { self.bits = bits }

    private static let passing: UInt32 = 1
    private static let failing: UInt32 = 2

    /// No check has said anything yet.
    var isUnknown: Bool { bits & 3 == 0 }
    var isFailing: Bool { bits & 3 == Self.failing }
    /// Counts up by one with every passed check, and around.
    var passes: UInt32 { bits >> 2 }

    /// The word after another check.
    func after(isHealthy: Bool) -> HealthWord {
        HealthWord(
            bits: isHealthy ? (passes &+ 1) << 2 | Self.passing : passes << 2 | Self.failing)
    }
}

/// What one core writes and control reads: meters, access records, copied exchanges, and how far the core has
/// come.
final class CoreLink: Sendable {
    private let meterPages = SharedPages(byteCount: Limits.versionsMax * VersionMeter.byteCount)
    private let corePages = SharedPages(byteCount: CoreMeter.byteCount)
    let accessLog = AccessRing()
    let taps = TapRing()
    let commands: Mailbox<CoreCommand>
    /// The epoch of the plan that this core obeys.
    let obeyedEpoch = Atomic<UInt64>(0)
    /// Set once the core has stopped accepting and holds no client connection.
    let isDrained = Atomic<Bool>(false)
    /// Set once the core has cut what was open at the drain's deadline; `cuts` is complete then.
    let isCutOff = Atomic<Bool>(false)
    /// How many exchanges were cut, and the first `Limits.cutRecordsMax` of them. Once in a process's life.
    let cuts = Mutex<CutExchanges>(CutExchanges())

    init() throws(SystemFailure) {
        commands = try Mailbox(capacity: CoreCommand.kinds)
    }

    func meter(_ version: VersionSlot) -> VersionMeter {
        precondition(version < Limits.versionsMax)
        return VersionMeter(at: meterPages.base + version * VersionMeter.byteCount)
    }

    /// Remembers an exchange that is about to be cut.
    func noteCut(_ record: AccessRecord) {
        cuts.withLock { cuts in
            cuts.count += 1
            if cuts.records.count < Limits.cutRecordsMax { cuts.records.append(record) }
        }
    }

    var coreMeter: CoreMeter { CoreMeter(at: corePages.base) }

    /// Hands a command over and wakes the core. The newest of a kind replaces one that still waits: a core
    /// that is held up takes the last plan and skips those between, so one place for each kind is enough.
    func send(_ command: CoreCommand) {
        let isTaken = commands.post(command, insteadOf: command.replaces)
        precondition(isTaken, "each kind of command waits once at most")
    }
}

/// Exchanges that were cut at a drain's deadline.
public struct CutExchanges: Sendable {
    public var count = 0
    /// As they were when they were cut; at most `Limits.cutRecordsMax` of each core.
    public var records: [AccessRecord] = []
}

/// What control tells a core.
enum CoreCommand: Sendable {
    case obey(Plan, AssignImage)
    /// Stop accepting; end connections as they fall idle.
    case drain
    /// The drain's deadline: cut what is still open.
    case cutOff
    /// Leave the loop now.
    case stop

    /// How many there are.
    static let kinds = 4

    /// Whether an earlier command need not be obeyed any more once this one is there.
    func replaces(_ earlier: CoreCommand) -> Bool {
        switch (self, earlier) {
        case (.obey, .obey), (.drain, .drain), (.cutOff, .cutOff), (.stop, .stop): true
        case (.obey, _), (.drain, _), (.cutOff, _), (.stop, _): false
        }
    }
}
