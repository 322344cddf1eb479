// The sequential tests of means and of drift agree with their reference values.

import Statistics
import Testing

@Suite struct MeanAndDriftVectorTests {
    private func claim(_ word: String) -> MeanDifference.Claim {
        switch word {
        case "rise": .rise
        case "drop": .drop
        case "noninferiorLow": .noninferiorLow
        default: .noninferiorHigh
        }
    }

    @Test("a difference of means agrees with the reference", arguments: Vectors.meanDifference)
    func meanDifference(_ c: VectorCase) {
        var mean = MeanDifference(
            claim(c.word("kind")), delta: c.number("delta"), priorMean: c.number("m0"),
            priorWeight: c.number("n0"))
        if c.has("ticks") {
            let (caps, logEs) = (c.numbers("cap"), c.numbers("logE"))
            for (i, tick) in c.table("ticks").enumerated() {
                if tick[1] == 1 { mean.wealth.newEpoch() }
                let observations = stride(from: 2, to: tick.count, by: 3).map {
                    MeanDifference.Observation(
                        isCandidate: tick[$0] == 1, value: tick[$0 + 1], count: Int(tick[$0 + 2]))
                }
                #expect(agrees(mean.cap(share: tick[0]), caps[i]))
                mean.add(share: tick[0], observations)
                #expect(agrees(mean.wealth.logE, logEs[i]))
            }
            #expect(agrees(mean.centre, c.number("finalM")))
        } else {
            replayClicks(c, &mean)
        }
        #expect(agree(mean.wealth.staked, c.numbers("logWealth")))
        #expect(agrees(mean.wealth.maxLogE, c.number("maxLogE")))
    }

    private func replayClicks(_ c: VectorCase, _ mean: inout MeanDifference) {
        let marks = c.marks("logEAtTick")
        var random = SplitMix64(seed: UInt64(c.int("splitmixSeed")))
        let (candidateRate, stableRate) = (c.number("p_c"), c.number("p_s"))
        var since = 0
        for t in 1...c.int("ticks_") {
            if since >= BetGrid.epochRequests {
                mean.wealth.newEpoch()
                since = 0
            }
            var counts = [0, 0, 0, 0]
            for _ in 0..<50 {
                let isCandidate = random.uniform() < 0.25
                let clicked = random.uniform() < (isCandidate ? candidateRate : stableRate)
                counts[(isCandidate ? 2 : 0) + (clicked ? 1 : 0)] += 1
                if isCandidate { since += 1 }
            }
            mean.add(
                share: 0.25,
                counts.enumerated().map { i, count in
                    .init(isCandidate: i >= 2, value: i % 2 == 1 ? 1 : 0, count: count)
                })
            if let expected = marks[t] { #expect(agrees(mean.wealth.logE, expected), "at tick \(t)") }
        }
    }

    @Test("a mean against a constant agrees with the reference", arguments: Vectors.meanAbsolute)
    func meanAbsolute(_ c: VectorCase) {
        var mean = MeanAbsolute(c.word("direction") == "above" ? .above : .below, mean: c.number("mu0"))
        for (tick, expected) in zip(c.table("ticks"), c.numbers("logE")) {
            if tick[0] == 1 { mean.wealth.newEpoch() }
            mean.add(
                stride(from: 1, to: tick.count, by: 2).map { (value: tick[$0], count: Int(tick[$0 + 1])) })
            #expect(agrees(mean.wealth.logE, expected))
        }
        #expect(agree(mean.wealth.staked, c.numbers("logWealth")))
    }

    @Test("drift against stable agrees with the reference", arguments: Vectors.driftLabel)
    func driftLabel(_ c: VectorCase) {
        let bins = c.int("B")
        var drift = DriftLabel(bins: bins)
        guard c.has("ticks") else { return replayBins(c, &drift) }
        for (tick, expected) in zip(c.table("ticks"), c.numbers("logE")) {
            if tick[2 * bins + 1] == 1 { drift.newEpoch() }
            drift.add(
                share: tick[0], candidate: tick[1...bins].map { Int($0) },
                stable: tick[(bins + 1)...(2 * bins)].map { Int($0) })
            #expect(agrees(drift.wealth.logE, expected))
        }
        #expect(agree(drift.wealth.staked, c.numbers("logWealth")))
        for (j, ratios) in c.table("finalRatios").enumerated() {
            #expect(agree(drift.ratios(learner: j), ratios))
        }
        #expect(agree(drift.candidateCounts[3], c.numbers("finalCandCounts")))
    }

    private func replayBins(_ c: VectorCase, _ drift: inout DriftLabel) {
        let marks = c.marks("logEAtTick")
        var random = SplitMix64(seed: UInt64(c.int("splitmixSeed")))
        var since = 0
        for t in 1...1000 {
            if since >= BetGrid.epochRequests {
                drift.newEpoch()
                since = 0
            }
            var counts = [Array(repeating: 0, count: 10), Array(repeating: 0, count: 10)]
            for _ in 0..<100 {
                let isCandidate = random.uniform() < 0.1
                let u = random.uniform()
                counts[isCandidate ? 0 : 1][min(9, Int(10 * (isCandidate ? power(u, 1.1) : u)))] += 1
                if isCandidate { since += 1 }
            }
            drift.add(share: 0.1, candidate: counts[0], stable: counts[1])
            if let expected = marks[t] { #expect(agrees(drift.wealth.logE, expected), "at tick \(t)") }
        }
        #expect(agree(drift.wealth.staked, c.numbers("logWealth")))
    }

    @Test("drift against a pinned reference agrees with the reference values", arguments: Vectors.driftPinned)
    func driftPinned(_ c: VectorCase) {
        let counts = c.ints("counts")
        let reference = PinnedDrift.smooth(c.ints("referenceCounts"))
        let radius = c.number("eta")
        #expect(agree(reference, c.numbers("referenceProbs")))
        let logE = PinnedDrift.logE(counts: counts, reference: reference, radius: radius)
        #expect(agrees(logE, c.number("logE")))
        guard radius > 0, counts.contains(where: { $0 > 0 }) else { return }
        let null = PinnedDrift.likeliest(counts: counts, reference: reference, radius: radius)
        #expect(agree(null, c.numbers("nullProbs")))
        #expect(agrees(PinnedDrift.divergence(reference, from: null), c.number("klRefNull")))
    }

    @Test("evidence over stages agrees with the reference", arguments: Vectors.combineStages)
    func stages(_ c: VectorCase) {
        #expect(agrees(PinnedDrift.combine(stages: c.numbers("stageLogE")), c.number("logE")))
    }
}
