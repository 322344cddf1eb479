// Laws of the engine that no single number shows.

import Statistics
import Testing

@Suite struct WealthLawTests {
    /// One tick of a random history: weight, and events of both versions.
    private struct Step {
        var share: Double
        var candidate: Int
        var stable: Int
    }

    private func history(_ random: inout SplitMix64, _ count: Int) -> [Step] {
        (0..<count).map { _ in
            Step(
                share: [0.01, 0.05, 0.25, 0.5][Int(random.next() % 4)], candidate: Int(random.next() % 4),
                stable: Int(random.next() % 7))
        }
    }

    @Test("splitting a tick changes nothing", arguments: 1...20 as ClosedRange<UInt64>)
    func splitting(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var (whole, split) = (RelativeEvents(), RelativeEvents())
        for step in history(&random, 50) {
            whole.add(share: step.share, candidate: step.candidate, stable: step.stable)
            for _ in 0..<step.candidate { split.add(share: step.share, candidate: 1, stable: 0) }
            for _ in 0..<step.stable { split.add(share: step.share, candidate: 0, stable: 1) }
        }
        #expect(agree(whole.wealth.staked, split.wealth.staked), "seed \(seed)")
    }

    @Test("the order of ticks inside an epoch changes nothing", arguments: 1...20 as ClosedRange<UInt64>)
    func order(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let steps = history(&random, 50)
        var (forward, backward) = (RelativeEvents(), RelativeEvents())
        for step in steps { forward.add(share: step.share, candidate: step.candidate, stable: step.stable) }
        for step in steps.reversed() {
            backward.add(share: step.share, candidate: step.candidate, stable: step.stable)
        }
        #expect(agree(forward.wealth.staked, backward.wealth.staked), "seed \(seed)")
    }

    @Test("another failure of the candidate never lowers the evidence, another of stable never raises it")
    func monotone() {
        for share in [0.001, 0.05, 0.5, 0.95] {
            for events in [0, 1, 5, 50] {
                var base = RelativeEvents()
                base.add(share: share, candidate: events, stable: events)
                var (worse, better) = (base, base)
                worse.add(share: share, candidate: 1, stable: 0)
                better.add(share: share, candidate: 0, stable: 1)
                #expect(worse.wealth.logE >= base.wealth.logE)
                #expect(better.wealth.logE <= base.wealth.logE)
            }
        }
    }

    @Test("requests in flight, counted against the bet, never raise the evidence")
    func pending() {
        var rate = AbsoluteRate(p0: 0.02)
        rate.add(bad: 3, good: 20)
        #expect(rate.logE(pendingAsGood: 7) <= rate.wealth.logE)
        var events = RelativeEvents()
        events.add(share: 0.05, candidate: 3, stable: 1)
        #expect(events.logE(share: 0.05, pendingStableAsBad: 7) <= events.wealth.logE)
    }

    @Test("a fair bet keeps its value on average, whatever the odds and the alternative")
    func fairness() {
        for odds in [1e-6, 0.01, 1, 20, 1e6] {
            for multiplier in BetGrid.odds + BetGrid.odds.map({ 1 / $0 }) {
                let bet = OddsBet(odds: odds, multiplier: multiplier)
                let p = odds / (1 + odds)
                let mean = p * exponential(bet.hit) + (1 - p) * exponential(bet.miss)
                #expect(abs(mean - 1) < 1e-9)
            }
        }
    }

    @Test("restarts grant no more than the stake in all, and evidence starts at one")
    func grants() {
        var wealth = Wealth(alternatives: 10)
        for _ in 0..<5000 { wealth.newEpoch() }
        #expect(abs(wealth.logE) < 1e-9)
        #expect(wealth.epochs == 5001)
        #expect(wealth.alwaysValidP == 1)
    }

    @Test("after a long healthy time a regression is seen several times sooner with restarts")
    func restarts() {
        /// Requests from the regression (1 % to 5 %) to the trip.
        func delay(restarts: Bool) -> Int {
            var random = SplitMix64(seed: 5)
            var events = RelativeEvents(restarts: restarts)
            var since = 0
            for request in 0..<200_000 {
                let isCandidate = random.uniform() < 0.25
                let rate = isCandidate && request >= 100_000 ? 0.05 : 0.01
                let isBad = random.uniform() < rate
                if since >= BetGrid.epochRequests {
                    events.wealth.newEpoch()
                    since = 0
                }
                if isCandidate { since += 1 }
                guard isBad else { continue }
                events.add(share: 0.25, candidate: isCandidate ? 1 : 0, stable: isCandidate ? 0 : 1)
                if request >= 100_000, events.wealth.logE > 4.6 { return request - 100_000 }
            }
            return .max
        }
        let (with, without) = (delay(restarts: true), delay(restarts: false))
        #expect(with < 6000)
        #expect(Double(without) > 1.5 * Double(with))
    }

    @Test("what is forfeited is gone: evidence is at most one afterwards, and can be won again")
    func forfeit() {
        var events = RelativeEvents()
        for _ in 0..<5 { events.add(share: 0.05, candidate: 1, stable: 0) }
        #expect(events.wealth.maxLogE > 10)
        events.wealth.forfeit()
        #expect(events.wealth.logE <= 1e-12 && events.wealth.maxLogE == 0)
        for _ in 0..<5 { events.add(share: 0.05, candidate: 1, stable: 0) }
        #expect(events.wealth.maxLogE > 10)
    }

    @Test("a capped bet never has more than the uncapped one, and no slot gives more than the cap")
    func burstCap() {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = SplitMix64(seed: seed)
            var (free, capped) = (RelativeQuantile(quantile: 0.9), RelativeQuantile(quantile: 0.9))
            var cap = BurstCap()
            var atSlot = capped.wealth.staked
            for tick in 0..<200 as Range<UInt64> {
                if tick % 10 == 0 { atSlot = capped.wealth.staked }
                cap.enter(slot: tick / 10)
                let ours = RelativeQuantile.Counts(slow: Int(random.next() % 5), fast: Int(random.next() % 9))
                let theirs = RelativeQuantile.Counts(slow: Int(random.next() % 9), fast: 60)
                free.apply(share: 0.1, candidate: ours, stable: theirs)
                capped.apply(share: 0.1, candidate: ours, stable: theirs, cap: &cap)
                for k in atSlot.indices {
                    #expect(capped.wealth.staked[k] <= free.wealth.staked[k] + 1e-9, "seed \(seed)")
                    #expect(capped.wealth.staked[k] <= atSlot[k] + BurstCap.standard + 1e-9)
                }
            }
        }
    }

    @Test("the timer of \"for\" starts at the first tick that holds and is reset by a gap or by no data")
    func debounce() {
        var timer = Debounce()
        let evaluations: [(holds: Bool?, tick: UInt64, fires: Bool)] = [
            (true, 10, false), (true, 12, false), (true, 13, true), (nil, 14, false), (true, 15, false),
            (false, 18, false), (true, 19, false), (true, 22, true),
        ]
        for (holds, tick, fires) in evaluations {
            let fired = timer.evaluate(holds, tick: tick, forTicks: 3)
            #expect(fired == fires, "at tick \(tick)")
        }
        #expect(timer.held(at: 25) == 6)
        var immediate = Debounce()
        let fired = immediate.evaluate(true, tick: 1, forTicks: 0)
        #expect(fired)
    }

    @Test("a difference that is large enough counts in a stage, or in a recent window less its errors")
    func difference() {
        var materiality = Materiality()
        let healthy = EpochCounts(
            candidateRequests: 1000, candidateEvents: 1, stableRequests: 19_000, stableEvents: 19)
        for _ in 0..<50 {
            materiality.add(healthy)
            materiality.newEpoch(startsStage: false)
        }
        #expect(!materiality.differenceReaches(0.01, minEvents: 3))
        materiality.add(
            EpochCounts(
                candidateRequests: 1000, candidateEvents: 80, stableRequests: 19_000, stableEvents: 19))
        #expect(materiality.differenceReaches(0.01, minEvents: 3))
        #expect(!materiality.differenceReaches(0.06, minEvents: 3))
        #expect(!materiality.differenceReaches(0.01, minEvents: 1000))
    }
}
