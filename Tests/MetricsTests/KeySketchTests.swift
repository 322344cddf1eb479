// The sketch of different keys: close to the truth at every size, deaf to repetition, additive over cores.

import Testing

@testable import Metrics

@Suite struct KeySketchTests {
    /// A sketch over memory that lives as long as the closure.
    private func with<Result>(_ count: Int, _ body: ([KeySketch]) -> Result) -> Result {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * KeySketch.byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: count * KeySketch.byteCount)
        defer { memory.deallocate() }
        return body((0..<count).map { KeySketch(words: Words(at: memory + $0 * KeySketch.byteCount)) })
    }

    /// SplitMix64: hashes of the keys 1, 2, 3, …
    private func hash(_ key: Int) -> UInt64 {
        var z = UInt64(key) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    @Test(
        "The count is within four standard errors of the truth", arguments: [0, 1, 10, 200, 3_000, 200_000])
    func estimate(keys: Int) {
        with(1) { sketches in
            for key in 0..<keys { sketches[0].add(hash(key + 1)) }
            let counted = KeySketch.count(sketches)
            #expect(abs(Double(counted - keys)) <= max(1, 0.13 * Double(keys)), "\(counted) for \(keys)")
        }
    }

    @Test("A key that comes again changes nothing")
    func repetition() {
        with(1) { sketches in
            for key in 0..<500 { sketches[0].add(hash(key + 1)) }
            let once = KeySketch.count(sketches)
            for _ in 0..<20 { for key in 0..<500 { sketches[0].add(hash(key + 1)) } }
            #expect(KeySketch.count(sketches) == once)
        }
    }

    @Test("Cores that saw the same keys count them once, and others add up")
    func merging() {
        with(3) { sketches in
            for key in 0..<1_000 {
                sketches[0].add(hash(key + 1))
                sketches[1].add(hash(key + 1))
                sketches[2].add(hash(key + 100_001))
            }
            let one = KeySketch.count([sketches[0]])
            #expect(KeySketch.count(sketches[..<2]) == one)
            #expect(abs(KeySketch.count(sketches) - 2_000) < 260)
        }
    }

    @Test("A cleared sketch has seen nothing")
    func clearing() {
        with(1) { sketches in
            for key in 0..<100 { sketches[0].add(hash(key + 1)) }
            sketches[0].clear()
            #expect(KeySketch.count(sketches) == 0)
        }
    }
}
