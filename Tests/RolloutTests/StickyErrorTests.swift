// Errors under sticky keys. Keys' first failures are soon used up: what a version does to its keys after that
// must be seen all the same, and a heavy key that always fails must not be taken for it.

import Metrics
import Rollout
import Testing

/// Sticky traffic of keys of unequal weight, a hundred requests a second.
private struct StickyErrors {
    var random: Seeded
    var keys = 100
    var share = 0.25
    /// What the rule is about; a request "fails" by having it.
    var event = BadEvent.failure
    /// Keys whose every request fails, whichever version answers.
    var broken = 0.0
    /// How often a request fails, and a candidate's from a minute on.
    var rate = 0.01
    var candidateRate = 0.01
    var changesAt: UInt64 = .max
    var minutes: UInt64 = 20

    private struct Key {
        var place: Double
        var isBroken: Bool
        var hasFailed = false
        var minute = UInt64.max
    }

    /// The minute and the name of the first cut; nil without one.
    mutating func cut() -> (minute: UInt64, rule: String)? {
        var specs = GuardrailSpec.defaults(alpha: 0.01).filter { $0.measure.event == event }
        specs[0].countsKeysOnce = true
        var all = (0..<keys).map { _ in
            Key(place: random.uniform(), isBroken: random.uniform() < broken)
        }
        var sums: [Double] = []
        for k in all.indices { sums.append((sums.last ?? 0) + 1 / Double(k + 1)) }
        var watch = CandidateWatch(specs: specs, from: Tick(number: 0))
        let reference = LatencyReference(specs: specs)
        let ppm = UInt32(share * 1e6)
        var pairs: [UInt64: PairTick] = [:]
        for number in 0..<minutes * 600 {
            var arms = [ArmCounts(), ArmCounts()]
            for _ in 0..<10 {
                let point = random.uniform() * sums[sums.count - 1]
                let k = sums.firstIndex { $0 > point } ?? 0
                let isCandidate = all[k].place < share
                let rate = isCandidate && number >= changesAt ? candidateRate : self.rate
                let fails = all[k].isBroken || random.uniform() < rate
                count(&arms[isCandidate ? 0 : 1], &all[k], fails, minute: number / 600)
            }
            pairs[number] = PairTick(
                tick: Tick(number: number), split: PairSplit(candidatePPM: ppm, stablePPM: 1_000_000 - ppm),
                candidate: ArmTick(randomised: arms[0]), stable: ArmTick(randomised: arms[1]))
            if number >= 300 { pairs[number - 300] = nil }
            let readings = watch.step(
                now: Tick(number: number + 1), reference: reference, windows: { _ in nil },
                read: { pairs[$0.number] })
            if let trip = readings.first(where: { $0.verdict == .fail }) {
                return (number / 600, trip.name)
            }
        }
        return nil
    }

    private func count(_ arm: inout ArmCounts, _ key: inout Key, _ fails: Bool, minute: UInt64) {
        arm.started += 1
        arm.completed += 1
        guard fails else { return }
        guard event == .failure else {
            var one = EventCounts(first: key.hasFailed ? 0 : 1, known: key.hasFailed ? 1 : 0)
            if key.hasFailed, key.minute != minute { one.renewed = 1 }
            arm[event] += one
            if event == .rejected { arm.rejected += 1 }
            if event == .empty { arm.empty += 1 }
            if event == .cancelled {
                arm.cancelled += 1
                arm.excluded += 1
            }
            (key.hasFailed, key.minute) = (true, minute)
            return
        }
        if key.hasFailed {
            arm.excluded += 1
            arm.known += 1
            if key.minute != minute { arm.renewed += 1 }
        } else {
            arm.failed += 1
        }
        (key.hasFailed, key.minute) = (true, minute)
    }
}

@Suite struct StickyErrorTests {
    private func cuts(_ runs: UInt64, _ change: (inout StickyErrors) -> Void) -> [(UInt64, String)] {
        (1...runs).compactMap { run in
            var world = StickyErrors(random: Seeded(run << 20))
            change(&world)
            return world.cut().map { ($0.minute, $0.rule) }
        }
    }

    @Test("equal versions are not cut: few keys, heavy keys, keys that always fail")
    func silent() {
        for (keys, broken) in [(10, 0.0), (100, 0.05), (300, 0.05)] {
            let found = cuts(4) { ($0.keys, $0.broken) = (keys, broken) }
            #expect(found.isEmpty, "\(keys) keys: \(found)")
        }
    }

    @Test("a candidate that fails everything after every key has failed before is cut within minutes")
    func lateOutage() {
        let found = cuts(4) { ($0.changesAt, $0.candidateRate) = (6000, 1) }
        #expect(found.count == 4 && found.allSatisfy { $0.0 >= 10 && $0.0 < 18 }, "\(found)")
    }

    @Test(
        "other bad events as well: equal versions are not cut, heavy keys or not, and a late difference is",
        arguments: [BadEvent.rejected, .cancelled, .empty])
    func otherEvents(event: BadEvent) {
        for (keys, broken, rate) in [(10, 0.2, 0.05), (100, 0.05, 0.3)] {
            let found = cuts(3) {
                ($0.event, $0.keys, $0.broken) = (event, keys, broken)
                ($0.rate, $0.candidateRate, $0.minutes) = (rate, rate, 10)
            }
            #expect(found.isEmpty, "\(keys) keys: \(found)")
        }
        let found = cuts(4) { ($0.event, $0.changesAt, $0.candidateRate) = (event, 6000, 1) }
        #expect(found.count == 4 && found.allSatisfy { $0.0 >= 10 && $0.0 < 18 }, "\(found)")
    }

    @Test("with all weight as well, where there is nothing to compare with")
    func lateOutageOfAll() {
        let found = cuts(4) { ($0.changesAt, $0.candidateRate, $0.share) = (6000, 1, 1) }
        #expect(found.count == 4 && found.allSatisfy { $0.0 >= 10 && $0.1 == "outage" }, "\(found)")
    }
}
