// The laws of a histogram: what is recorded is found again, cores add up, times subtract.
// Quantiles are compared with those of the sorted times themselves, over random samples from a microsecond
// to an hour.

import Metrics
import Testing

@Suite struct HistogramTests {
    @Test("A snapshot holds each recorded time once, with sum and maximum")
    func record() {
        let memory = TestMemory(Histogram.byteCount)
        let histogram = Histogram(at: memory.bytes)
        for nanos: UInt64 in [1_000, 1_000, 50_000, 2_000_000_000] { histogram.record(nanos: nanos) }
        var snapshot = HistogramSnapshot()
        histogram.snapshot(into: &snapshot)
        #expect(snapshot.count == 4)
        #expect(snapshot.sumNanos == 2_000_052_000)
        #expect(snapshot.sumMicros == 2_000_052)
        #expect(snapshot.maxMicros == 2_000_000)
        #expect(snapshot.counts[LogLinear.index(micros: 1)] == 2)
    }

    @Test("A quantile is never below the true one and at most one per cent above it")
    func quantiles() throws {
        var random = SeededRandom()
        for round in 0..<40 {
            var snapshot = HistogramSnapshot()
            var times: [UInt64] = []
            for _ in 0..<(1 + round * 37) {
                let nanos = random.logUniform(1e3...3.6e12)
                times.append(nanos)
                snapshot.record(nanos: nanos)
            }
            times.sort()
            for q in [0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1] {
                let rank = LogLinearLayout.rank(q, of: UInt64(times.count))
                let exact = times[Int(rank) - 1]
                let quantile = try #require(snapshot.quantileNanos(q))
                #expect(quantile >= exact)
                #expect(Double(quantile) <= 1.01 * Double(exact))
                #expect(snapshot.quantile(q) == (quantile + 999) / 1_000)
            }
        }
    }

    @Test("An empty histogram has no quantile and no mean")
    func empty() {
        #expect(HistogramSnapshot().quantile(0.5) == nil)
        #expect(HistogramSnapshot().meanNanos == nil)
    }

    @Test("A time beyond the range is counted as such, and its quantile is the longest time seen")
    func overflow() {
        var snapshot = HistogramSnapshot()
        snapshot.record(nanos: 1_000)
        snapshot.record(nanos: 9_000_000_000_000)
        #expect(snapshot.overflow == 1)
        #expect(snapshot.quantileNanos(1) == 9_000_000_000_000)
        #expect(snapshot.quantileNanos(0.5) == LogLinear.upperNanos(LogLinear.index(nanos: 1_000)))
    }

    @Test("The sum of two cores' snapshots is the snapshot of all their times")
    func addition() {
        var random = SeededRandom()
        let memories = [TestMemory(Histogram.byteCount), TestMemory(Histogram.byteCount)]
        let histograms = memories.map { Histogram(at: $0.bytes) }
        var all = HistogramSnapshot()
        for _ in 0..<2_000 {
            let nanos = random.logUniform(1e3...1e10)
            histograms[Int.random(in: 0...1, using: &random)].record(nanos: nanos)
            all.record(nanos: nanos)
        }
        var sum = HistogramSnapshot()
        for histogram in histograms { histogram.snapshot(into: &sum) }
        #expect(sum == all)
        var parts = HistogramSnapshot()
        for histogram in histograms {
            var part = HistogramSnapshot()
            histogram.snapshot(into: &part)
            parts.add(part)
        }
        #expect(parts == all)
    }

    @Test("A later snapshot less an earlier one is what was recorded in between")
    func subtraction() {
        var random = SeededRandom()
        var early = HistogramSnapshot()
        for _ in 0..<500 { early.record(nanos: random.logUniform(1e3...1e9)) }
        var late = early
        var between = HistogramSnapshot()
        for _ in 0..<500 {
            let nanos = random.logUniform(1e3...1e9)
            late.record(nanos: nanos)
            between.record(nanos: nanos)
        }
        late.subtract(early)
        #expect(late.counts == between.counts)
        #expect(late.count == 500)
        #expect(late.sumNanos == between.sumNanos)
    }

    @Test("Subtracting more than there is leaves nothing, not a wrapped count")
    func subtractionOfTooMuch() {
        var large = HistogramSnapshot()
        large.record(nanos: 5_000, times: 3)
        var small = HistogramSnapshot()
        small.record(nanos: 5_000)
        small.subtract(large)
        #expect(small.count == 0)
        #expect(small.quantile(0.5) == nil)
    }

    @Test("Counted as at most a time is only what certainly is")
    func countAtMost() {
        var snapshot = HistogramSnapshot()
        for nanos: UInt64 in [100, 999_000, 1_000_000, 1_010_000, 2_000_000] { snapshot.record(nanos: nanos) }
        #expect(snapshot.countAtMost(nanos: 99) == 0)
        #expect(snapshot.countAtMost(nanos: 100) == 1)
        #expect(snapshot.countAtMost(nanos: 1_500_000) == 4)
        #expect(snapshot.countAtMost(nanos: .max) == 5)
    }
}
