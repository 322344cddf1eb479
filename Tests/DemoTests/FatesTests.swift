// What becomes of an embedded server's requests, drawn by the hundred thousand without sockets or time: the
// shares, quantiles and scores that the scenarios promise.
// Shares are checked against five standard deviations, quantiles against a few percent; seeds are fixed.

import Control
import Payload
import Platform
import Testing

@testable import Demo

@Suite("Fates")
struct FatesTests {
    private static let draws = 200_000

    private func fates(_ scenario: Scenario, isBad: Bool, seed: UInt64 = 1) -> Fates {
        var fates = Fates(
            scenario.serviceTime, usual: scenario.usual, scoreLevels: scenario.scoreLevels, seed: seed)
        if isBad { fates.inject(scenario.fault) }
        return fates
    }

    /// Sorted delays of answers.
    private func delays(_ fates: consuming Fates) -> [UInt64] {
        (0..<Self.draws).compactMap { _ in fates.next()?.delay.nanos }.sorted()
    }

    private func quantile(_ sorted: [UInt64], _ q: Double) -> Double {
        Double(sorted[Int(q * Double(sorted.count - 1))])
    }

    @Test(
        "A bad tail makes the p99 1.3 times what it was and leaves the median",
        arguments: 1...3 as ClosedRange<UInt64>)
    func tail(_ seed: UInt64) {
        let well = delays(fates(.tail, isBad: false, seed: seed))
        let bad = delays(fates(.tail, isBad: true, seed: seed + 100))
        let ratios = [0.5, 0.9, 0.99].map { quantile(bad, $0) / quantile(well, $0) }
        #expect(abs(ratios[0] - 1) < 0.01, "p50 \(ratios[0]), seed \(seed)")
        #expect(abs(ratios[1] - 1) < 0.01, "p90 \(ratios[1]), seed \(seed)")
        #expect(abs(ratios[2] - 1.3) < 0.03, "p99 \(ratios[2]), seed \(seed)")
    }

    @Test("A trickle is 1 % of errors while all is well and 3 % afterwards", arguments: [false, true])
    func trickle(_ isBad: Bool) {
        var fates = fates(.trickle, isBad: isBad)
        let failures = (0..<Self.draws).count { _ in fates.next()?.reply == .failure }
        let expected = (isBad ? 0.03 : 0.01) * Double(Self.draws)
        #expect(abs(Double(failures) - expected) < 5 * expected.squareRoot())
        #expect(fates.isFaulty == isBad)
    }

    @Test("Scores spread over their range, and a drift moves their mean by a fifth of it")
    func drift() {
        func mean(_ fates: consuming Fates) -> Double {
            let levels = (0..<Self.draws).compactMap { _ in
                (fates.next()?.reply.number).map { $0 - Replies.Index.inference(0).number }
            }
            #expect(levels.allSatisfy { (0..<Scenario.drift.scoreLevels).contains($0) })
            #expect(Set(levels).count > Scenario.drift.scoreLevels / 2)
            return Double(levels.reduce(0, +)) / Double(levels.count) / Double(Scenario.drift.scoreLevels)
        }
        let moved = mean(fates(.drift, isBad: true)) - mean(fates(.drift, isBad: false))
        #expect(abs(moved - 0.2) < 0.02, "\(moved)")
    }

    @Test("A server without service time and faults answers at once, and always the same")
    func immediate() {
        var fates = Fates(.immediate, seed: 1)
        for _ in 0..<1_000 {
            let fate = fates.next()
            #expect(fate?.reply == .inference(0) && fate?.delay == .zero)
        }
    }

    @Test("Every fault can be taken back", arguments: Scenario.allCases)
    func injected(_ scenario: Scenario) {
        var fates = fates(scenario, isBad: true)
        #expect(fates.isFaulty == scenario.isBad)
        fates.inject(scenario.usual)
        #expect(!fates.isFaulty)
    }

    @Test("Every score has a reply of its own, whole and with that score where the config looks for it")
    func replies() throws {
        let levels = Scenario.drift.scoreLevels
        let replies = Replies(model: "m", version: "v1", scoreLevels: levels)
        var scores: [Double] = []
        for level in 0..<levels {
            let text = String(decoding: replies[.inference(level)], as: UTF8.self)
            let parts = try #require(text.firstRange(of: "\r\n\r\n"))
            let body = text[parts.upperBound...]
            #expect(text.contains("content-length: \(body.utf8.count)\r\n"))
            let json = try JSON(parsing: Array(body.utf8))
            scores.append(try #require(json["outputs"]?[0]?["data"]?[0]?.number))
        }
        #expect(scores == scores.sorted() && Set(scores).count == levels)
        #expect(scores.first == 0.1 && scores.last == 0.9)
    }
}
