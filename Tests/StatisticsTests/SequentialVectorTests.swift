// The sequential tests of rates and quantiles agree with their reference values.

import Statistics
import Testing

@Suite struct SequentialVectorTests {
    @Test("an absolute rate agrees with the reference", arguments: Vectors.absoluteRate)
    func absoluteRate(_ c: VectorCase) {
        let direction: Direction = c.word("direction") == "up" ? .up : .down
        var rate = AbsoluteRate(p0: c.number("p0"), direction: direction, restarts: c.flag("restarts"))
        if c.has("ticks") {
            for (tick, expected) in zip(c.table("ticks"), c.numbers("logE")) {
                if tick[2] == 1 { rate.wealth.newEpoch() }
                rate.add(bad: Int(tick[0]), good: Int(tick[1]))
                #expect(agrees(rate.wealth.logE, expected))
            }
            #expect(agrees(rate.wealth.alwaysValidP, c.number("alwaysValidP")))
        } else {
            let marks = c.marks("logEAt")
            var random = SplitMix64(seed: UInt64(c.int("splitmixSeed")))
            for i in 1...c.int("requests") {
                if i > 1 && (i - 1) % BetGrid.epochRequests == 0 { rate.wealth.newEpoch() }
                let bad = random.uniform() < c.number("p") ? 1 : 0
                rate.add(bad: bad, good: 1 - bad)
                if let expected = marks[i] { #expect(agrees(rate.wealth.logE, expected), "at \(i)") }
            }
        }
        #expect(agree(rate.wealth.staked, c.numbers("logWealth")))
        #expect(agrees(rate.wealth.maxLogE, c.number("maxLogE")))
        if c.has("pending") {
            #expect(agrees(rate.logE(pendingAsGood: c.int("pending")), c.number("logEWithPending")))
        }
    }

    @Test("one bet on odds agrees with the reference", arguments: Vectors.oddsBets)
    func oddsBet(_ c: VectorCase) {
        let bet = OddsBet(odds: c.number("o"), multiplier: c.number("g"))
        #expect(agrees(bet.hit, c.number("hit")) && agrees(bet.miss, c.number("miss")))
    }

    @Test("events against stable agree with the reference", arguments: Vectors.relativeEvents)
    func relativeEvents(_ c: VectorCase) {
        let direction: Direction = c.word("direction") == "up" ? .up : .down
        var events = RelativeEvents(
            rho: c.number("rho"), direction: direction, restarts: c.flag("restarts"))
        if c.has("ticks") {
            for (tick, expected) in zip(c.table("ticks"), c.numbers("logE")) {
                if tick[3] == 1 { events.wealth.newEpoch() }
                events.add(share: tick[0], candidate: Int(tick[1]), stable: Int(tick[2]))
                #expect(agrees(events.wealth.logE, expected))
            }
        } else {
            replayRamp(c, &events)
        }
        #expect(agree(events.wealth.staked, c.numbers("logWealth")))
        #expect(agrees(events.wealth.maxLogE, c.number("maxLogE")))
        if c.has("pending") {
            let pending = c.numbers("pending")
            let logE = events.logE(share: pending[0], pendingStableAsBad: Int(pending[1]))
            #expect(agrees(logE, c.number("logEWithPending")))
        }
    }

    /// The weight goes 1 %, 5 %, 25 %; an epoch ends there and after 1,000 candidate requests.
    private func replayRamp(_ c: VectorCase, _ events: inout RelativeEvents) {
        let marks = c.marks("logEAt")
        var random = SplitMix64(seed: UInt64(c.int("splitmixSeed")))
        var (since, last) = (0, 0.01)
        let (candidateRate, stableRate) = (c.number("p_c"), c.number("p_s"))
        for i in 1...c.int("requests") {
            let share = i <= 20_000 ? 0.01 : i <= 60_000 ? 0.05 : 0.25
            if share != last || since >= BetGrid.epochRequests {
                events.wealth.newEpoch()
                since = 0
            }
            last = share
            let isCandidate = random.uniform() < share
            let isBad = random.uniform() < (isCandidate ? candidateRate : stableRate)
            if isCandidate { since += 1 }
            events.add(
                share: share, candidate: isBad && isCandidate ? 1 : 0,
                stable: isBad && !isCandidate ? 1 : 0)
            if let expected = marks[i] { #expect(agrees(events.wealth.logE, expected), "at \(i)") }
        }
        #expect(events.wealth.epochs == c.int("epochs"))
    }

    @Test("a quantile against stable agrees with the reference", arguments: Vectors.relativeQuantile)
    func relativeQuantile(_ c: VectorCase) {
        let direction: Direction = c.word("direction") == "up" ? .up : .down
        var quantile = RelativeQuantile(quantile: c.number("q"), direction: direction)
        if c.has("ticks") {
            for (tick, expected) in zip(c.table("ticks"), c.numbers("logE")) {
                if tick[5] == 1 { quantile.wealth.newEpoch() }
                quantile.add(
                    share: tick[0], candidate: .init(slow: Int(tick[1]), fast: Int(tick[2])),
                    stable: .init(slow: Int(tick[3]), fast: Int(tick[4])))
                #expect(agrees(quantile.wealth.logE, expected))
            }
        } else {
            let marks = c.marks("logEAt")
            var random = SplitMix64(seed: UInt64(c.int("splitmixSeed")))
            var since = 0
            for i in 1...c.int("requests") {
                if since >= BetGrid.epochRequests {
                    quantile.wealth.newEpoch()
                    since = 0
                }
                let isCandidate = random.uniform() < 0.25
                let isSlow = random.uniform() < (isCandidate ? 0.054 : 0.05)
                if isCandidate { since += 1 }
                let one = RelativeQuantile.Counts(slow: isSlow ? 1 : 0, fast: isSlow ? 0 : 1)
                let none = RelativeQuantile.Counts(slow: 0, fast: 0)
                quantile.add(
                    share: 0.25, candidate: isCandidate ? one : none, stable: isCandidate ? none : one)
                if let expected = marks[i] { #expect(agrees(quantile.wealth.logE, expected), "at \(i)") }
            }
        }
        #expect(agree(quantile.wealth.staked, c.numbers("logWealth")))
        #expect(agrees(quantile.wealth.maxLogE, c.number("maxLogE")))
    }

    @Test("the generator of the long sequences is SplitMix64")
    func generator() {
        var random = SplitMix64(seed: 42)
        #expect(random.next() == 13_679_457_532_755_275_413)
        #expect(random.next() == 2_949_826_092_126_892_291)
        var uniforms = SplitMix64(seed: 42)
        #expect(uniforms.uniform() == 0.7415648787718233)
    }
}
