// Bounds over all cores that are too small to be divided: requests of a version in flight and in line, copies
// of a model in flight. One cache line per version and model, changed by compare-exchange, so that a bound is
// never passed; what a core holds of a version it counts for itself as well (VersionState).
//
// A place that becomes free must reach a request that waits, on whichever core it waits. Each core publishes
// since when its first request in line has waited; the core that frees a place looks for the oldest of
// these words, and either calls its own first request or wakes the other core.
// No wake-up is lost: a core joins in the order announce (`enqueue`, `publish`) → look for a place, and frees
// in the order free → look for requests in line. All four are sequentially consistent, so at least one of
// the two sees the other (Dekker). A core that was woken for a request that has gone meanwhile looks again.
// Source: Dijkstra, "Cooperating sequential processes" (1965), section 2.1.

import Platform
import Synchronization

/// The shared counters of small bounds, and the words by which cores call each other. Any core.
struct PlaceBoard: ~Copyable, Sendable {
    private static let lineBytes = 64
    /// A bit per version that the core is to look at, and a bit per word of those.
    private static let callWords = Limits.versionsMax / 64
    static let callGroups = (callWords + 63) / 64
    private static let callBytes = 4_096

    private let cores: Int
    private let versionPages = SharedPages(byteCount: Limits.versionsMax * lineBytes)
    private let modelPages = SharedPages(byteCount: Limits.modelsMax * lineBytes)
    /// Per core, on pages of its own: since when its first request in line has waited, by version.
    private let firstPages: SharedPages
    /// Per core: `callGroups` words, then `callWords` words.
    private let callPages: SharedPages
    private let wakeupPages: SharedPages

    init(cores: Int) throws(SystemFailure) {
        precondition((Self.callGroups + Self.callWords) * 8 <= Self.callBytes)
        self.cores = cores
        firstPages = SharedPages(byteCount: cores * Limits.versionsMax * 8)
        callPages = SharedPages(byteCount: cores * Self.callBytes)
        wakeupPages = SharedPages(byteCount: cores * MemoryLayout<Wakeup>.stride)
        let wakeups = wakeupPages.base.bindMemory(to: Wakeup.self, capacity: cores)
        for core in 0..<cores {
            do throws(SystemFailure) {
                (wakeups + core).initialize(to: try Wakeup())
            } catch {
                wakeups.deinitialize(count: core)
                throw error
            }
        }
    }

    deinit {
        wakeups.deinitialize(count: cores)
    }

    private var wakeups: UnsafeMutablePointer<Wakeup> {
        wakeupPages.base.assumingMemoryBound(to: Wakeup.self)
    }

    /// Two words: in flight (with those called and not yet sent), in line.
    private func words(_ version: Slot<VersionState>) -> UnsafeMutablePointer<Atomic<Int>> {
        precondition(version.row < Limits.versionsMax)
        return (versionPages.base + version.row * Self.lineBytes).assumingMemoryBound(to: Atomic<Int>.self)
    }

    private func copies(_ model: Slot<ModelState>) -> UnsafeMutablePointer<Atomic<Int>> {
        precondition(model.row < Limits.modelsMax)
        return (modelPages.base + model.row * Self.lineBytes).assumingMemoryBound(to: Atomic<Int>.self)
    }

    private func first(_ core: Int, _ version: Slot<VersionState>) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(core < cores && version.row < Limits.versionsMax)
        return (firstPages.base + (core * Limits.versionsMax + version.row) * 8)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func calls(_ core: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(core < cores)
        return (callPages.base + core * Self.callBytes).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Adds one as long as the sum stays within `bound`. No add that is taken back: for its moment it would
    /// hide a free place from the others.
    private func add(_ word: UnsafeMutablePointer<Atomic<Int>>, upTo bound: Int) -> Bool {
        var count = word.pointee.load(ordering: .sequentiallyConsistent)
        while count < bound {
            let (isDone, found) = word.pointee.weakCompareExchange(
                expected: count, desired: count + 1, ordering: .sequentiallyConsistent)
            if isDone { return true }
            count = found
        }
        return false
    }

    // MARK: - Places

    /// Takes a place in flight, if there is one.
    func take(_ version: Slot<VersionState>, upTo bound: Int) -> Bool { add(words(version), upTo: bound) }

    /// Brings places along, or takes them away: one that was freed, or all of a core whose way of counting
    /// changes.
    func move(_ version: Slot<VersionState>, by count: Int) {
        words(version).pointee.add(count, ordering: .sequentiallyConsistent)
    }

    func inFlight(_ version: Slot<VersionState>) -> Int {
        words(version).pointee.load(ordering: .sequentiallyConsistent)
    }

    /// Takes a place among the copies in flight, if there is one.
    func takeCopy(_ model: Slot<ModelState>, upTo bound: Int) -> Bool { add(copies(model), upTo: bound) }

    func moveCopies(_ model: Slot<ModelState>, by count: Int) {
        copies(model).pointee.add(count, ordering: .sequentiallyConsistent)
    }

    func copiesInFlight(_ model: Slot<ModelState>) -> Int {
        copies(model).pointee.load(ordering: .sequentiallyConsistent)
    }

    // MARK: - Lines

    /// Takes a place in line, if there is one.
    func enqueue(_ version: Slot<VersionState>, upTo bound: Int) -> Bool {
        add(words(version) + 1, upTo: bound)
    }

    func moveWaiting(_ version: Slot<VersionState>, by count: Int) {
        words(version)[1].add(count, ordering: .sequentiallyConsistent)
    }

    /// Requests in line, over all cores.
    func waiting(_ version: Slot<VersionState>) -> Int {
        words(version)[1].load(ordering: .sequentiallyConsistent)
    }

    /// Says since when the core's first request in line has waited, in nanoseconds; 0: there is none.
    func publish(first nanos: UInt64, _ version: Slot<VersionState>, core: Int) {
        first(core, version).pointee.store(nanos, ordering: .sequentiallyConsistent)
    }

    /// The core whose first request in line has waited longest.
    func oldest(_ version: Slot<VersionState>) -> Int? {
        var oldest = UInt64.max
        var found: Int?
        for core in 0..<cores {
            let nanos = first(core, version).pointee.load(ordering: .sequentiallyConsistent)
            guard nanos > 0, nanos < oldest else { continue }
            oldest = nanos
            found = core
        }
        return found
    }

    // MARK: - Calls

    /// Has the core look at the version's line.
    func call(_ core: Int, _ version: Slot<VersionState>) {
        let calls = calls(core)
        let word = version.row / 64
        _ = calls[Self.callGroups + word].bitwiseOr(
            1 << (UInt64(version.index) % 64), ordering: .sequentiallyConsistent)
        let group = UInt64(1) << (UInt64(word) % 64)
        let before = calls[word / 64].bitwiseOr(group, ordering: .sequentiallyConsistent).oldValue
        // A bit that was set has been signalled, or is about to be, and was not taken yet.
        if before & group == 0 { wakeups[core].signal() }
    }

    /// The descriptor that a core watches for calls.
    func watch(_ core: Int, _ poller: borrowing Poller, _ token: Token) -> Errno? {
        precondition(core < cores)
        return poller.add(wakeups[core].descriptor, token: token, interest: .readable)
    }

    /// Takes the signals, before the words.
    func drainCalls(_ core: Int) { wakeups[core].drain() }

    /// Takes the `group`-th word of bits for words that have calls.
    func takeGroup(_ core: Int, _ group: Int) -> UInt64 {
        calls(core)[group].exchange(0, ordering: .sequentiallyConsistent)
    }

    /// Takes the bits of the 64 versions from `word * 64` on.
    func takeCalls(_ core: Int, word: Int) -> UInt64 {
        precondition(word < Self.callWords)
        return calls(core)[Self.callGroups + word].exchange(0, ordering: .sequentiallyConsistent)
    }
}
