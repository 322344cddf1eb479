// The schedule of an open loop: it depends on plan and seed only, and its gaps are distributed as promised.
// Random tests use fixed seeds, printed with a failure as part of the arguments.
// Source of the bounds: the standard error of a mean of n exponential gaps is 1/sqrt(n) of the mean.

import Platform
import Testing

@testable import Load

@Suite("Schedule")
struct ScheduleTests {
    private func plan(_ arrivals: LoadPlan.Arrivals, rate: Double, seed: UInt64) -> LoadPlan {
        LoadPlan(
            target: .unix(path: "none"), ratePerSecond: rate,
            request: RequestTemplate(method: "GET", path: "/", host: "x"), arrivals: arrivals, seed: seed)
    }

    private func times(_ plan: LoadPlan, _ count: Int) -> [UInt64] {
        var schedule = Schedule(plan, start: Instant(nanos: 1_000))
        return (0..<count).map { _ in
            defer { schedule.advance() }
            return schedule.next.nanos
        }
    }

    @Test("Regular arrivals are equally far apart, without drift")
    func regular() {
        let times = times(plan(.regular, rate: 3, seed: 1), 301)
        #expect(times[0] == 1_000 + 333_333_333)
        #expect(times[299] == 1_000 + 100_000_000_000)
    }

    @Test("Poisson arrivals keep the rate, and their gaps vary as much as they last", arguments: 1...8)
    func poisson(_ seed: UInt64) {
        let count = 20_000
        let times = times(plan(.poisson, rate: 1_000, seed: seed), count)
        let gaps = zip(times.dropFirst(), times).map { Double($0 - $1) }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(gaps.count)
        #expect(abs(mean / 1e6 - 1) < 5 / Double(count).squareRoot())
        #expect(abs(variance.squareRoot() / mean - 1) < 0.05)
    }

    @Test("The same seed asks at the same times, another seed at others")
    func seeded() {
        #expect(
            times(plan(.poisson, rate: 100, seed: 7), 100) == times(plan(.poisson, rate: 100, seed: 7), 100))
        #expect(
            times(plan(.poisson, rate: 100, seed: 7), 100) != times(plan(.poisson, rate: 100, seed: 8), 100))
    }

    @Test(
        "The logarithm agrees with known values to 1e-12",
        arguments: [
            (1.0, 0.0), (2.0, 0.693147180559945309), (10.0, 2.302585092994045684),
            (0.1, -2.302585092994045684), (0x1p-53, -36.736800569677101), (1.5, 0.405465108108164382),
        ])
    func logarithm(_ x: Double, _ expected: Double) {
        #expect(abs(Schedule.logarithm(x) - expected) < 1e-12 * max(1, abs(expected)))
    }

    @Test("A queue of instants gives back what it got, in order, and says when it is full")
    func queue() {
        var queue = InstantQueue(capacity: 3)
        for round in 0..<5 as Range<UInt64> {
            let taken = (0..<4).map { queue.push(Instant(nanos: round + $0)) }
            #expect(taken == [true, true, true, false])
            #expect(queue.first == Instant(nanos: round))
            let given = (0..<3).map { _ in queue.pop().nanos }
            #expect(given == [round, round + 1, round + 2])
            #expect(queue.isEmpty)
        }
    }
}
