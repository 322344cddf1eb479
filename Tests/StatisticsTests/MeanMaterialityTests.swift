// Laws of the size of a difference of means, and of evidence over stages.

import Statistics
import Testing

@Suite struct MeanMaterialityTests {
    private func sizes(_ candidate: [Double], _ stable: [Double]) -> MeanMateriality {
        var sizes = MeanMateriality()
        sizes.add(candidate: candidate, stable: stable)
        return sizes
    }

    @Test("a difference counts as it is from 500 candidate values on, and less its errors before")
    func fewValues() {
        let noisy = (0..<499).map { Double($0 % 2) }
        let less = noisy.map { $0 * 0.94 }
        #expect(!sizes(less, noisy).differs(-1, byShare: 0.05))
        #expect(sizes(less + [0.47], noisy).differs(-1, byShare: 0.05))
        #expect(sizes([0, 0, 0], noisy).differs(-1, byShare: 0.05))
    }

    @Test("a difference in the other direction is none")
    func direction() {
        let (high, low) = (Array(repeating: 2.0, count: 600), Array(repeating: 1.0, count: 600))
        #expect(sizes(high, low).differs(1, by: 0.9) && sizes(high, low).differs(1, byShare: 0.9))
        #expect(!sizes(high, low).differs(-1, by: 0) && !sizes(high, low).differs(-1, byShare: 0))
        #expect(sizes(high, low).candidateExceeds(1, 1.5) && !sizes(high, low).candidateExceeds(-1, 1.5))
    }

    @Test("values of different weights are compared by epoch, never pooled")
    func stratified() {
        // A common change between two epochs of different weights: no difference in either.
        var sizes = sizes(Array(repeating: 1, count: 100), Array(repeating: 1, count: 900))
        sizes.newEpoch(startsStage: false)
        sizes.add(
            candidate: Array(repeating: 3, count: 900), stable: Array(repeating: 3, count: 100))
        #expect(abs(sizes.stage.difference ?? 1) < 1e-12)
        #expect((sizes.stage.pooled.candidate.mean ?? 0) > (sizes.stage.pooled.stable.mean ?? 0) + 1)
    }

    @Test("a new stage forgets the old one, and a late change is not hidden by a long past")
    func stages() {
        let (fine, bad) = (Array(repeating: 1.0, count: 1000), Array(repeating: 0.5, count: 1000))
        var sizes = MeanMateriality()
        for _ in 0..<40 {
            sizes.add(candidate: fine, stable: fine)
            sizes.newEpoch(startsStage: false)
        }
        sizes.add(candidate: bad, stable: fine)
        #expect((sizes.stage.difference ?? -1) > -0.02)
        #expect(sizes.differs(-1, byShare: 0.2))
        sizes.newEpoch(startsStage: true)
        #expect(sizes.stage.difference == nil)
    }

    @Test("evidence that grows over stages is what combining them at the end gives")
    func stagedEvidence() {
        for stages in [[2.0], [0, 3], [-1, 4, 0.5], [30, -2, -2, 7]] as [[Double]] {
            var grown = StagedEvidence()
            for (i, logE) in stages.enumerated() {
                if i > 0 { grown.newStage() }
                grown.current = logE
            }
            #expect(abs(grown.logE - PinnedDrift.combine(stages: stages)) < 1e-12)
        }
        #expect(abs(StagedEvidence().logE) < 1e-12)
    }
}
