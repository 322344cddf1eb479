// The set of failed sticky keys: a key's first failure in a rollout is an event, the others are not, on
// whichever core they happen.

import Platform
import Synchronization
import Testing

@testable import Proxy

@Suite("Failed keys")
struct FailedKeysTests {
    @Test("A key's first failure counts, its later ones do not")
    func firstOnly() {
        let keys = SharedKeys()
        for key in 1...5_000 as ClosedRange<UInt64> { #expect(keys.insert(key, model: 3)) }
        for key in 1...5_000 as ClosedRange<UInt64> { #expect(!keys.insert(key, model: 3)) }
    }

    @Test("Models do not share keys, and a new rollout starts anew")
    func separate() {
        let keys = SharedKeys()
        #expect(keys.insert(7, model: 0))
        #expect(keys.insert(7, model: 1))
        keys.beginRollout(0)
        #expect(keys.insert(7, model: 0))
        #expect(!keys.insert(7, model: 0))
        #expect(!keys.insert(7, model: 1))
    }

    @Test("A full table errs towards counting and never hangs")
    func full() {
        let keys = SharedKeys()
        var first = 0
        for key in 1...200_000 as ClosedRange<UInt64> where keys.insert(key, model: 0) { first += 1 }
        #expect(first > 195_000)
    }

    @Test("Two cores that see one key fail count it once")
    func together() throws {
        let shared = SharedKeys()
        let counted = Counter()
        let total = 20_000
        let threads = try (0..<2).map { index in
            try Thread.spawn(name: "failing-\(index)") {
                for key in 1...UInt64(total) where shared.insert(key, model: 0) { counted.add() }
            }
        }
        for thread in threads { thread.join() }
        #expect(counted.value == total)
    }
}

private final class SharedKeys: Sendable {
    private let keys = FailedKeys()

    func insert(_ key: UInt64, model: ModelSlot) -> Bool { keys.insert(key, model: model) }

    func beginRollout(_ model: ModelSlot) { keys.beginRollout(model) }
}

private final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    func add() { count.wrappingAdd(1, ordering: .relaxed) }

    var value: Int { count.load(ordering: .relaxed) }
}
