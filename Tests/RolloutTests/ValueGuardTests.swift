// Laws of the guardrails on values: each kind sees what it is for and nothing else.

import Foundation
import Metrics
import Rollout
import Statistics
import Testing

extension GuardrailSpec {
    /// A rule against stable.
    static func worse(
        _ measure: Measure, ratio: Double = 1, difference: Double = 0, alpha: Double = 0.01
    ) -> GuardrailSpec {
        GuardrailSpec(
            name: "w", measure: measure,
            rule: .sequentialWorseThanStable(rho: 1, materialRatio: ratio, materialDifference: difference),
            alpha: alpha)
    }

    static func drift(psi: Double = 0.2) -> GuardrailSpec {
        GuardrailSpec(name: "d", measure: .drift(value: "score"), rule: .sequentialDrift(psi: psi))
    }

    static func constant(_ measure: Measure, _ rule: Rule) -> GuardrailSpec {
        GuardrailSpec(name: "c", measure: measure, rule: rule)
    }
}

private let clicks = FeedbackMetric(metric: "clicks", windowMillis: 1000)
private let waits = FeedbackMetric(
    metric: "wait", windowMillis: 1000, isHigherBetter: false, lowest: 0, highest: 10)

/// A kind, a candidate that is like stable, and one that is not.
private struct Kind: CustomTestStringConvertible, Sendable {
    var name: String
    var spec: GuardrailSpec
    var same: @Sendable (inout Seeded) -> Double?
    var worse: @Sendable (inout Seeded) -> Double?
    var testDescription: String { name }

    static let all = [
        Kind(
            name: "clicks", spec: .worse(.feedback(clicks), ratio: 1.05),
            same: { Values.click(0.1)(&$0) }, worse: { Values.click(0.03)(&$0) }),
        Kind(
            name: "waits, higher is worse", spec: .worse(.feedback(waits), ratio: 1.05),
            same: { Values.normal(4, 1)(&$0) }, worse: { Values.normal(5, 1)(&$0) }),
        Kind(
            name: "missing against stable", spec: .worse(.missing(value: "age"), difference: 0.01),
            same: { Values.missing(0.02)(&$0) }, worse: { Values.missing(0.1)(&$0) }),
        Kind(
            name: "missing above", spec: .constant(.missing(value: "age"), .sequentialAbove(0.05)),
            same: { Values.missing(0.02)(&$0) }, worse: { Values.missing(0.15)(&$0) }),
        Kind(
            name: "confidence against stable", spec: .worse(.confidence(value: "p"), difference: 0.02),
            same: { Values.normal(0.8, 0.1)(&$0) }, worse: { Values.normal(0.7, 0.1)(&$0) }),
        Kind(
            name: "confidence below", spec: .constant(.confidence(value: "p"), .sequentialBelow(0.7)),
            same: { Values.normal(0.8, 0.1)(&$0) }, worse: { Values.normal(0.55, 0.1)(&$0) }),
        Kind(
            name: "cost against stable", spec: .worse(.cost(value: "cost", cap: nil), ratio: 1.2),
            same: { Values.cost(0.001)(&$0) }, worse: { Values.cost(0.0015)(&$0) }),
        Kind(
            name: "cost above", spec: .constant(.cost(value: "cost", cap: nil), .sequentialAbove(0.002)),
            same: { Values.cost(0.001)(&$0) }, worse: { Values.cost(0.003)(&$0) }),
        Kind(
            name: "drift of scores", spec: .drift(),
            same: { Values.normal(0, 1)(&$0) }, worse: { Values.normal(0.8, 1)(&$0) }),
        Kind(
            name: "drift of labels", spec: .drift(),
            same: { Values.label([0.5, 0.3, 0.2])(&$0) }, worse: { Values.label([0.2, 0.3, 0.5])(&$0) }),
    ]
}

@Suite struct ValueGuardTests {
    @Test("a candidate like stable passes, one that is worse trips and says so", arguments: Kind.all)
    fileprivate func trips(_ kind: Kind) {
        var healthy = ValueBench(seed: 1, kind.spec)
        #expect(healthy.valuesToTrip(ticks: 400, candidate: kind.same, stable: kind.same) == nil)
        #expect(healthy.reading.verdict == .pass, "\(healthy.reading.reason)")
        var bad = ValueBench(seed: 2, kind.spec)
        #expect(bad.valuesToTrip(ticks: 1500, candidate: kind.worse, stable: kind.same) != nil)
        #expect(bad.reading.progress == 1)
        #expect(bad.reading.candidate != nil && bad.reading.threshold != nil)
        #expect(!bad.reading.reason.isEmpty && bad.reading.rule.contains("alpha"), "\(bad.reading.rule)")
    }

    @Test("a regression after a long healthy time trips", arguments: Kind.all)
    fileprivate func lateRegression(_ kind: Kind) {
        var bench = ValueBench(seed: 3, kind.spec)
        bench.requestsPerTick = 500
        #expect(bench.valuesToTrip(ticks: 100, candidate: kind.same, stable: kind.same) == nil)
        #expect(bench.valuesToTrip(ticks: 100, candidate: kind.worse, stable: kind.same) != nil)
    }

    @Test("a drift that began late is told by the index of the last requests, beside the stage's")
    func lateDrift() {
        var bench = ValueBench(seed: 13, .drift())
        bench.requestsPerTick = 500
        let same = Values.normal(0, 1)
        #expect(bench.valuesToTrip(ticks: 100, candidate: same, stable: same) == nil)
        #expect(!bench.reading.reason.contains("last"), "\(bench.reading.reason)")
        #expect(bench.valuesToTrip(ticks: 100, candidate: Values.normal(0.8, 1), stable: same) != nil)
        #expect((bench.reading.candidate ?? 1) < 0.2, "\(bench.reading.reason)")
        #expect(bench.reading.reason.contains("over about the candidate's last"), "\(bench.reading.reason)")
    }

    @Test("what changes in both versions at once cuts no candidate by a rule against stable")
    func commonChange() {
        for kind in Kind.all where kind.spec.rule.isRelative {
            var bench = ValueBench(seed: 4, kind.spec)
            #expect(bench.valuesToTrip(ticks: 200, candidate: kind.same, stable: kind.same) == nil)
            #expect(bench.valuesToTrip(ticks: 200, candidate: kind.worse, stable: kind.worse) == nil)
        }
    }

    @Test("a better candidate never trips")
    func better() {
        for kind in Kind.all where !kind.name.hasPrefix("drift") {
            var bench = ValueBench(seed: 5, kind.spec)
            let trip = bench.valuesToTrip(ticks: 300, candidate: kind.same, stable: kind.worse)
            #expect(trip == nil, "\(kind.name)")
        }
    }

    @Test("no values are neither a pass nor a fail", arguments: Kind.all)
    fileprivate func silence(_ kind: Kind) {
        var bench = ValueBench(seed: 6, kind.spec)
        bench.split = PairSplit(candidatePPM: 0, stablePPM: 1_000_000)
        #expect(bench.valuesToTrip(ticks: 30, candidate: kind.worse, stable: kind.same) == nil)
        #expect(bench.reading.verdict == .notEnoughData)
    }

    @Test("a saved and restored watch goes on where it was, and one more restart adds no evidence")
    func restart() throws {
        for kind in Kind.all {
            var bench = ValueBench(seed: 7, kind.spec)
            for _ in 0..<60 { bench.tick(candidate: kind.worse, stable: kind.same) }
            let before = bench.reading
            try bench.restart {
                try JSONDecoder.tolerant.decode(
                    CandidateWatch.Saved.self, from: JSONEncoder.tolerant.encode($0))
            }
            bench.step()
            #expect(bench.reading.maxLogE == before.maxLogE, "\(kind.name)")
            #expect(bench.reading.candidateRequests == before.candidateRequests)
            #expect(bench.valuesToTrip(ticks: 1500, candidate: kind.worse, stable: kind.same) != nil)
        }
    }

    @Test("a tick is counted once, however often the book hands it out")
    func countedOnce() {
        var bench = ValueBench(seed: 8, .worse(.feedback(clicks), ratio: 1.05))
        for _ in 0..<50 { bench.tick(candidate: Values.click(0.05), stable: Values.click(0.1)) }
        let before = bench.reading
        for _ in 0..<50 { bench.step() }
        #expect(bench.reading == before)
    }

    @Test("ticks with mixed weights say nothing about candidate against stable")
    func mixedTicks() {
        for kind in Kind.all where kind.spec.rule.isRelative {
            var bench = ValueBench(seed: 9, kind.spec)
            for _ in 0..<60 { bench.tick(candidate: kind.same, stable: kind.same) }
            let before = bench.reading.logE
            bench.split = nil
            bench.tick(candidate: kind.worse, stable: kind.same)
            #expect(bench.reading.logE == before)
        }
    }

    @Test("a trivial difference is proven and does not cut")
    func immaterial() {
        var bench = ValueBench(seed: 10, .worse(.confidence(value: "p"), difference: 0.02))
        bench.requestsPerTick = 2000
        let trip = bench.valuesToTrip(
            ticks: 60, candidate: Values.normal(0.79, 0.05), stable: Values.normal(0.8, 0.05))
        #expect(trip == nil)
        #expect((bench.reading.maxLogE ?? 0) > Wealth.logThreshold(alpha: 0.01))
    }

    @Test("with `for`, evidence has to be seen lasting: silence starts the timer anew")
    func lasting() {
        var spec = GuardrailSpec.worse(.feedback(clicks), ratio: 1.05)
        spec.forTicks = 2000
        var bench = ValueBench(seed: 12, spec)
        let silent = bench.valuesToTrip(
            ticks: 200, candidate: Values.click(0.02), stable: Values.click(0.2))
        #expect(silent == nil && (bench.reading.maxLogE ?? 0) > Wealth.logThreshold(alpha: 0.01))
        bench.wait(1900)
        #expect(bench.reading.verdict == .notEnoughData)
        bench.tick(candidate: Values.click(0.02), stable: Values.click(0.2))
        #expect(bench.reading.verdict == .notEnoughData)
        bench.wait(500)
        #expect(bench.reading.verdict == .notEnoughData)
    }

    @Test("evidence on feedback goes on out of a state that an earlier release saved under its own words")
    func formerWords() throws {
        var spec = GuardrailSpec.worse(.feedback(clicks), ratio: 1.05)
        spec.name = "feedback_clicks_worse_than_stable"
        var bench = ValueBench(seed: 5, spec)
        for _ in 0..<40 { bench.tick(candidate: Values.click(0.1), stable: Values.click(0.2)) }
        let text = String(decoding: try JSONEncoder.tolerant.encode(bench.watch.saved), as: UTF8.self)
        // What a measure is stored as has not changed; the rule's name has.
        #expect(text.contains(#""outcome":{"#))
        let former = text.replacing("feedback_clicks", with: "outcome_clicks")
        #expect(former != text)
        let saved = try JSONDecoder.tolerant.decode(CandidateWatch.Saved.self, from: Data(former.utf8))
        let now = Tick(number: bench.now)
        let next = CandidateWatch(restoring: saved, specs: [spec], from: now)
        let same = CandidateWatch(restoring: bench.watch.saved, specs: [spec], from: now)
        #expect(next.saved == same.saved && same.saved != CandidateWatch(specs: [spec], from: now).saved)
    }

    @Test("costs far above the cap are seen although the mean is capped")
    func heavyTail() {
        var bench = ValueBench(seed: 11, .worse(.cost(value: "cost", cap: 1), ratio: 1.2))
        let trip = bench.valuesToTrip(
            ticks: 600, candidate: { $0.chance(0.02) ? 1000 : 0.9 }, stable: { _ in 0.9 })
        #expect(trip != nil)
    }
}

extension JSONEncoder {
    static var tolerant: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return encoder
    }
}

extension JSONDecoder {
    static var tolerant: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }
}
