// Laws of sums in log space.

import Statistics
import Testing

@Suite struct LogSumTests {
    @Test("the sum of nothing is zero, whose logarithm is minus infinity")
    func emptySum() {
        #expect(logSumExp([]) == -.infinity)
        #expect(logAddExp(-.infinity, -.infinity) == -.infinity)
    }

    @Test("terms beyond the range of exp add up", arguments: [-2000.0, 0, 700, 2000])
    func largeTerms(at level: Double) {
        let ln2 = 0.6931471805599453
        #expect(abs(logSumExp([level, level]) - (level + ln2)) < 1e-12)
        #expect(abs(logAddExp(level, level) - (level + ln2)) < 1e-12)
        #expect(logAddExp(level, -.infinity) == level)
    }
}
