// The table of sticky keys: a key's first failure and its first slow request in a rollout are events, the
// others are not, on whichever core they happen.

import Metrics
import Platform
import Synchronization
import Testing

@testable import Proxy

@Suite("Sticky keys' events")
struct KeyTableTests {
    @Test("A key's first failure counts, its later ones do not")
    func firstOnly() {
        let keys = SharedKeys()
        for key in 1...5_000 as ClosedRange<UInt64> { #expect(keys.note(key, model: 3).isEmpty) }
        for key in 1...5_000 as ClosedRange<UInt64> { #expect(keys.note(key, model: 3) == .failure) }
    }

    @Test("Each kind of event has a first time of its own; what is known is exactly what came before")
    func kinds() {
        let keys = SharedKeys()
        #expect(keys.note(7, [.slow(0)], model: 0) == [])
        #expect(keys.note(7, [.slow(0), .slow(2)], model: 0) == [.slow(0)])
        #expect(keys.note(7, [.failure, .slow(5)], model: 0) == [])
        #expect(keys.note(7, [.failure, .slow(1), .slow(2)], model: 0) == [.failure, .slow(2)])
        let most: KeyEvents = [.failure, .slow(0), .slow(1), .slow(2), .slow(5)]
        #expect(keys.note(7, .all, model: 0) == most)
        #expect(keys.note(7, .all, model: 0) == .all)
    }

    @Test("A failing key's first failure in a minute is told from its others")
    func minutes() {
        let keys = SharedKeys()
        #expect(keys.note(7, minute: 254) == [])
        #expect(keys.note(7, minute: 254) == [.failure, .failedLately])
        #expect(keys.note(7, [.slow(3)], minute: 255) == [])
        #expect(keys.note(7, [.failure, .slow(3)], minute: 255) == [.failure, .slow(3)])
        #expect(keys.note(7, minute: 255) == [.failure, .failedLately])
        #expect(keys.note(7, minute: 0) == .failure)
        #expect(keys.note(8, minute: 0) == [])
    }

    @Test("Each kind of bad event has minutes of its own")
    func minutesByKind() {
        let keys = SharedKeys()
        #expect(keys.note(7, .rejected, minute: 3) == [])
        #expect(keys.note(7, .empty, minute: 3) == [])
        #expect(keys.note(7, .rejected, minute: 3) == [.rejected, KeyEvents(lately: .rejected)])
        #expect(keys.note(7, .empty, minute: 4) == .empty)
        #expect(keys.note(7, .rejected, minute: 4) == .rejected)
        #expect(
            keys.note(7, .failed, minute: 4) == [
                .rejected, .empty, KeyEvents.rejected.lately,
                KeyEvents.empty.lately,
            ])
        #expect(keys.note(7, .slow(2), minute: 5) == [])
        #expect(keys.note(7, .cancelled, minute: 4) == [.cancelled, KeyEvents(lately: .cancelled)])
        #expect(keys.note(7, .slow(1), minute: 0) == [])
        #expect(keys.note(9, .slow(1), minute: 0) == [])
        #expect(keys.note(9, .failure, minute: 0) == [])
    }

    @Test("Models do not share keys, and a new rollout starts anew")
    func separate() {
        let keys = SharedKeys()
        #expect(keys.note(7, model: 0).isEmpty)
        #expect(keys.note(7, model: 1).isEmpty)
        keys.beginRollout(0)
        #expect(keys.note(7, model: 0).isEmpty)
        #expect(keys.note(7, model: 0) == .failure)
        #expect(keys.note(7, model: 1) == .failure)
    }

    @Test("A full table errs towards counting and never hangs")
    func full() {
        let keys = SharedKeys(places: 1 << 12)
        var first = 0
        for key in 1...40_000 as ClosedRange<UInt64> where keys.note(key, model: 0).isEmpty { first += 1 }
        #expect(first == 40_000)
        #expect(keys.note(40_000, model: 0).isEmpty)
    }

    @Test("Events that two cores see of one key at once count once each")
    func together() throws {
        let shared = SharedKeys()
        let (failures, slow) = (Counter(), Counter())
        let total = 20_000
        let threads = try (0..<2).map { index in
            try Thread.spawn(name: "failing-\(index)") {
                for key in 1...UInt64(total) {
                    let events: KeyEvents = index == 0 ? [.failure, .slow(1)] : [.slow(1), .failure]
                    let known = shared.note(key, events, model: 0)
                    if !known.contains(.failure) { failures.add() }
                    if !known.contains(.slow(1)) { slow.add() }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.value == total)
        #expect(slow.value == total)
    }
}

private final class SharedKeys: Sendable {
    private let keys: KeyTable

    init(places: Int = Limits.keysMax) { keys = KeyTable(places: places) }

    /// What is known of the events, whichever minute it is.
    func note(_ key: UInt64, _ events: KeyEvents = .failure, model: ModelSlot) -> KeyEvents {
        keys.note(key, events, model: model, minute: 0).intersection(.all)
    }

    func note(_ key: UInt64, _ events: KeyEvents = .failure, minute: UInt8) -> KeyEvents {
        keys.note(key, events, model: 0, minute: minute)
    }

    func beginRollout(_ model: ModelSlot) { keys.beginRollout(model) }
}

private final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    func add() { count.wrappingAdd(1, ordering: .relaxed) }

    var value: Int { count.load(ordering: .relaxed) }
}
