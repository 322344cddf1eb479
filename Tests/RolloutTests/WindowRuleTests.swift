// Laws of the industry's rules: window, for, minimum, and the common-cause guard.

import Metrics
import Rollout
import Testing

@Suite struct WindowRuleTests {
    /// Steps a rule over a window that shows the same at every tick.
    private func verdicts(_ spec: GuardrailSpec, _ windows: [WindowPair?]) -> [Verdict] {
        var watch = CandidateWatch(specs: [spec], from: Tick(number: 0))
        let reference = LatencyReference(specs: [spec])
        return windows.enumerated().map { i, window in
            watch.step(
                now: Tick(number: UInt64(i + 1)), reference: reference,
                windows: { query in
                    #expect(query.ticks == spec.windowTicks)
                    if case .latency(let q) = spec.measure { #expect(query.quantile == q) }
                    return window
                }, read: { _ in nil })[0].verdict
        }
    }

    private func errors(_ ours: (Int, Int), _ theirs: (Int, Int)) -> WindowPair {
        WindowPair(
            candidate: WindowArm(requests: ours.1, failures: ours.0),
            stable: WindowArm(requests: theirs.1, failures: theirs.0))
    }

    private func latencies(_ ours: UInt64, _ theirs: UInt64?) -> WindowPair {
        WindowPair(
            candidate: WindowArm(requests: 500, failures: 0, latencyMicros: ours),
            stable: WindowArm(requests: 500, failures: 0, latencyMicros: theirs))
    }

    private let rate = GuardrailSpec(
        name: "rate", measure: .errorRate, rule: .windowAbove(0.02), forTicks: 2, minRequests: 200)

    @Test("a rate above the limit fails after `for`, not before")
    func lasting() {
        let bad = errors((10, 200), (0, 1000))
        #expect(verdicts(rate, [bad, bad, bad]) == [.notEnoughData, .notEnoughData, .fail])
    }

    @Test("a gap resets `for`: a good window, or one without enough data")
    func gaps() {
        let bad = errors((10, 200), (0, 1000))
        let good = errors((4, 200), (0, 1000))
        let thin = errors((10, 199), (0, 1000))
        let reset = verdicts(rate, [bad, bad, good, bad, bad])
        #expect(Array(reset.suffix(3)) == [.pass, .notEnoughData, .notEnoughData])
        let longer = verdicts(rate, [bad, bad, thin, bad, bad, bad])
        #expect(longer.dropLast().allSatisfy { $0 == .notEnoughData } && longer.last == .fail)
        #expect(verdicts(rate, [nil]) == [.notEnoughData])
    }

    @Test("exactly at the limit is not above it")
    func border() {
        let at = errors((4, 200), (0, 1000))
        #expect(verdicts(rate, [at, at, at]) == [.pass, .pass, .pass])
    }

    @Test("stable above the limit as well: common cause, no verdict on the candidate")
    func commonCause() {
        let both = errors((10, 200), (50, 1000))
        #expect(verdicts(rate, [both, both, both]) == [.notEnoughData, .notEnoughData, .notEnoughData])
        var strict = rate
        strict.vetoWhenStableToo = false
        #expect(verdicts(strict, [both, both, both]).last == .fail)
        // Of a stable without requests nothing is known: ten seconds, then it is the candidate's.
        let idle = verdicts(rate, Array(repeating: errors((10, 200), (1, 1)), count: 103))
        #expect(idle[99] == .notEnoughData && idle.last == .fail)
    }

    @Test("a quantile is compared with stable's over the same window")
    func relativeLatency() {
        let spec = GuardrailSpec(
            name: "p95", measure: .latency(quantile: 0.95), rule: .windowWorseThanStable(by: 0.3))
        #expect(verdicts(spec, [latencies(131, 100)]) == [.fail])
        #expect(verdicts(spec, [latencies(130, 100)]) == [.pass])
        #expect(verdicts(spec, [latencies(131, nil)]) == [.notEnoughData])
    }

    @Test("a relative error rate needs data on both sides, and more than one bad request")
    func relativeErrors() {
        let spec = GuardrailSpec(
            name: "errors", measure: .errorRate, rule: .windowWorseThanStable(by: 0.3), minRequests: 100)
        #expect(verdicts(spec, [errors((20, 200), (10, 1000))]) == [.fail])
        #expect(verdicts(spec, [errors((20, 200), (1, 50))]) == [.notEnoughData])
        #expect(verdicts(spec, [errors((1, 200), (0, 1000))]) == [.notEnoughData])
        #expect(verdicts(spec, [errors((3, 200), (0, 1000))]) == [.fail])
    }

    @Test("the reading names the rule, the numbers and the way still to go")
    func words() {
        var watch = CandidateWatch(specs: [rate], from: Tick(number: 0))
        let window = errors((30, 250), (5, 4750))
        let reading = watch.step(
            now: Tick(number: 1), reference: LatencyReference(specs: []), windows: { _ in window },
            read: { _ in nil })[0]
        #expect(reading.rule == "error rate above 2.0 % for 0.2 s, over 1 m")
        #expect(reading.reason == "candidate 12.0 % of 250 failed, stable 0.1 % of 4,750")
        #expect(reading.progress == 0.5 && reading.verdict == .notEnoughData)
        #expect(reading.candidate == 0.12 && reading.candidateRequests == 250)
        #expect(reading.alpha == nil && reading.logE == nil)
    }
}
