// Distances, intervals, fixed tests, estimates and materiality agree with their reference values.

import Glibc
import Testing

@testable import Statistics

/// e to the power x, and x to the power y, for tests that import no library of their own.
func exponential(_ x: Double) -> Double { exp(x) }
func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }

@Suite struct FigureVectorTests {
    @Test("PSI, its bias and KS agree with the reference", arguments: Vectors.distances)
    func distances(_ c: VectorCase) {
        let (candidate, stable) = (c.ints("candidate"), c.ints("stable"))
        let (n, m) = (Double(candidate.reduce(0, +)), Double(stable.reduce(0, +)))
        #expect(agrees(DriftDistance.psi(candidate: candidate, stable: stable), c.number("psi")))
        let bias = DriftDistance.psiBias(bins: candidate.count, candidate: n, stable: m)
        #expect(agrees(bias, c.number("psiBias")))
        let debiased = DriftDistance.psiDebiased(candidate: candidate, stable: stable)
        #expect(agrees(debiased, c.number("psiDebiased")))
        #expect(agrees(DriftDistance.ks(candidate: candidate, stable: stable), c.number("ksDistance")))
        let radius = DriftDistance.ksRadius(candidate: candidate, stable: stable, alpha: 0.01)
        #expect(agrees(radius, c.number("ksRadiusAlpha01")))
    }

    @Test("chi-square's tail agrees with the reference", arguments: Vectors.chiSquareTails)
    func tails(_ c: VectorCase) {
        #expect(agrees(chiSquareTail(c.number("x"), degrees: c.int("k")), c.number("sf")))
    }

    @Test("chi-square's quantile agrees with the reference", arguments: Vectors.chiSquareQuantiles)
    func quantiles(_ c: VectorCase) {
        #expect(agrees(chiSquareUpperQuantile(c.number("alpha"), degrees: c.int("k")), c.number("x")))
    }

    @Test("PSI's threshold for one look agrees with the reference", arguments: Vectors.psiThresholds)
    func thresholds(_ c: VectorCase) {
        let threshold = DriftDistance.psiThreshold(
            bins: c.int("B"), candidate: c.number("n"), stable: c.number("m"), alpha: c.number("alpha"))
        #expect(agrees(threshold, c.number("threshold")))
    }

    @Test("the KS radius agrees with the reference", arguments: Vectors.ksRadii)
    func radii(_ c: VectorCase) {
        let radius = DriftDistance.ksRadius(n: c.number("t"), alpha: c.number("alpha"))
        #expect(agrees(radius, c.number("radius")))
    }

    @Test("the interval for a rate agrees with the reference", arguments: Vectors.rateIntervals)
    func intervals(_ c: VectorCase) {
        let interval = Intervals.rate(n: c.int("n"), k: c.int("k"), alpha: c.number("alpha"))
        #expect(abs(interval.lower - c.number("lower")) <= 1e-9)
        #expect(abs(interval.upper - c.number("upper")) <= 1e-9)
    }

    @Test("the evidence against a rate agrees with the reference", arguments: Vectors.betaBinomial)
    func evidence(_ c: VectorCase) {
        let p = c.number("p")
        let logE = logBetaBinomialEvidence(n: c.number("n"), k: c.number("k"), p: p, complement: 1 - p)
        #expect(agrees(logE, c.number("logE")))
    }

    @Test("the asymptotic half-width agrees with the reference", arguments: Vectors.meanHalfWidths)
    func halfWidths(_ c: VectorCase) {
        let width = Intervals.meanHalfWidth(
            n: c.number("n"), deviation: c.number("sigma"), alpha: c.number("alpha"))
        #expect(agrees(width, c.number("halfWidth")))
    }

    @Test("ln of the beta function agrees with the reference", arguments: Vectors.logBetas)
    func logBetas(_ c: VectorCase) {
        #expect(agrees(logBeta([c.number("a"), c.number("b")]), c.number("logBeta")))
    }

    @Test("the interval for a quantile agrees with the reference", arguments: Vectors.quantileIntervals)
    func quantileIntervals(_ c: VectorCase) {
        let flat = c.ints("bins")
        let bins = stride(from: 0, to: flat.count, by: 2).map {
            (upper: binUpper(flat[$0]), count: flat[$0 + 1])
        }
        for row in c.table("quantileCS") {
            let interval = Intervals.quantile(bins, row[0], alpha: 0.05)
            #expect(interval.lower.map { Double($0) } ?? -1 == (row[1].isNaN ? -1 : row[1]))
            #expect(interval.upper.map { Double($0) } ?? -1 == (row[2].isNaN ? -1 : row[2]))
        }
    }

    /// The largest value of a bin of a log-linear histogram with 32 sub-buckets per octave.
    private func binUpper(_ index: Int) -> UInt64 {
        func lower(_ i: Int) -> UInt64 {
            i < 64 ? UInt64(i) : UInt64((i & 31) + 32) << UInt64((i >> 5) - 1)
        }
        return lower(index + 1) - 1
    }

    @Test("Bonferroni and averages agree with the reference", arguments: Vectors.combinations)
    func combinations(_ c: VectorCase) {
        let (logEs, weights) = (c.numbers("logE"), c.numbers("weights"))
        let alphas = Combination.alphas(0.01, weights: weights)
        #expect(agree(alphas, c.numbers("alphas")))
        #expect(agrees(Combination.averageLogE(logEs, weights: weights), c.number("averageLogE")))
        let trips = zip(logEs, alphas).map { $0 >= -log($1) ? 1.0 : 0 }
        #expect(trips == c.numbers("bonferroniTrips"))
    }

    @Test("Wald's ratio agrees with the reference", arguments: Vectors.sprt)
    func sprt(_ c: VectorCase) {
        let ratio = FixedTests.sprtLogRatio(
            n: c.number("n"), k: c.number("k"), p0: c.number("p0"), p1: c.number("p1"))
        #expect(agrees(ratio, c.number("logLR")))
    }

    @Test("the pooled z agrees with the reference", arguments: Vectors.twoProportionZ)
    func pooledZ(_ c: VectorCase) {
        let result = FixedTests.twoProportionZ(
            candidate: (c.number("nc"), c.number("kc")), stable: (c.number("ns"), c.number("ks")))
        #expect(agrees(result.z, c.number("z")) && agrees(result.p, c.number("p")))
    }

    @Test("Mann-Whitney agrees with the reference", arguments: Vectors.mannWhitney)
    func mannWhitney(_ c: VectorCase) {
        let result = FixedTests.mannWhitney(candidate: c.ints("candidate"), stable: c.ints("stable"))
        #expect(agrees(result.u, c.number("U")) && agrees(result.z, c.number("z")))
    }

    private func epochs(_ rows: [[Double]]) -> [EpochCounts] {
        rows.map {
            EpochCounts(
                candidateRequests: Int($0[0]), candidateEvents: Int($0[1]), stableRequests: Int($0[2]),
                stableEvents: Int($0[3]))
        }
    }

    @Test("stratified estimates agree with the reference", arguments: Vectors.mantelHaenszel)
    func estimates(_ c: VectorCase) throws {
        let counts = StratifiedCounts(epochs(c.table("stages")))
        #expect(agrees(counts.ratioNumerator, c.number("ratioNumerator")))
        #expect(agrees(counts.ratioDenominator, c.number("ratioDenominator")))
        #expect(agrees(try #require(counts.difference), c.number("difference")))
        if c.number("ratio").isNaN {
            #expect(counts.ratio == nil)
        } else {
            #expect(agrees(try #require(counts.ratio), c.number("ratio")))
        }
    }

    @Test("materiality of a ratio agrees with the reference", arguments: Vectors.materialRatio)
    func material(_ c: VectorCase) throws {
        let epochs = epochs(c.table("epochs"))
        var materiality = Materiality()
        for (i, epoch) in epochs.enumerated() {
            if i > 0 { materiality.newEpoch(startsStage: i == c.int("stageStart")) }
            materiality.add(epoch)
        }
        let reaches = materiality.ratioReaches(c.number("M"), minEvents: c.int("minEvents"))
        #expect(reaches == c.flag("material"))
        let all = StratifiedCounts(epochs).logRatio
        if c.number("lnRatioAllEpochs").isNaN {
            #expect(all == nil)
        } else {
            let ratio = try #require(all)
            #expect(agrees(ratio.value, c.number("lnRatioAllEpochs")))
            #expect(agrees(ratio.error, c.number("seAllEpochs")))
        }
    }

    @Test("burn rates agree with the reference", arguments: Vectors.burnRates)
    func burn(_ c: VectorCase) {
        let rate = FixedTests.burnRate(bad: c.number("bad"), total: c.number("total"), slo: c.number("slo"))
        #expect(agrees(rate, c.number("burn")))
    }
}
