// What a demo shows: frames, lines and the summary as functions of plain values, checked without a terminal.
// Invariant under test: a frame never exceeds the terminal, and the JSON has exactly the promised fields.

import Control
import Platform
import Testing

@testable import Demo
@testable import Sidecar

@Suite("Views")
struct ViewTests {
    private let sample = Sample(
        elapsed: .millis(12_340),
        versions: [
            Sample.VersionLine(
                name: "v1", role: "stable", weightPPM: 900_000, perSecond: 903.4, p50Micros: 4_100,
                p99Micros: 8_020, errorShare: 0),
            Sample.VersionLine(
                name: "v2", role: "candidate", weightPPM: 100_000, perSecond: 0, p50Micros: nil,
                p99Micros: nil, errorShare: 0.312),
        ],
        guardrails: [
            Sample.GuardrailLine(
                name: "error_rate_worse_than_stable", progress: 0.56, verdict: "pass",
                reason: "candidate 12.0 % of 250 failed, stable 0.1 % of 4,750")
        ], requests: 12_043, userErrors: 0)
    private let event = DemoEvent(at: .millis(6_000), text: "the candidate goes bad")

    @Test("No line of a frame is wider than the terminal", arguments: [40, 80, 200], [true, false])
    func width(_ columns: Int, _ usesColor: Bool) {
        let view = LiveView(scenario: .errors, rate: 1_000, columns: columns, usesColor: usesColor)
        for line in view.frame(sample, [event]) {
            let visible = line.replacing(/\u{1B}\[[0-9]*m/, with: "")
            #expect(visible.count <= columns)
            #expect(usesColor || visible == line)
        }
    }

    @Test("A frame shows weights, rates, times, errors, guardrails and what users saw")
    func content() {
        let view = LiveView(scenario: .errors, rate: 1_000, columns: 200, usesColor: false)
        let text = view.frame(sample, [event]).joined(separator: "\n")
        for word in [
            "90.0 %", "903", "4.1 ms", "8.0 ms", "31.2 %", "error_rate_worse_than_stable", "56 %",
            "12,043 requests", "saw 0 errors", "6.0 s  the candidate goes bad",
        ] {
            #expect(text.contains(word), "\(word)")
        }
    }

    @Test("What users saw is measured by what stable alone would have given them")
    func users() {
        let view = LiveView(scenario: .trickle, rate: 1_000, columns: 200, usesColor: true)
        var moment = sample
        (moment.userErrors, moment.errorsOfStableAlone) = (90, 100)
        func line() -> String { view.frame(moment, []).first { $0.contains("users made") } ?? "" }
        #expect(line().contains("\u{1B}[32m") && line().contains("with stable alone it would be about 100"))
        moment.userErrors = 101
        #expect(line().contains("\u{1B}[31m"))
    }

    @Test("A redraw goes back over exactly the lines drawn before")
    func redraw() {
        var view = LiveView(scenario: .slow, rate: 100, columns: 80, usesColor: false)
        let first = view.redraw(sample, [])
        #expect(!first.contains("\u{1B}"))
        let second = view.redraw(sample, [event])
        #expect(second.hasPrefix("\u{1B}[\(first.filter { $0 == "\n" }.count)F\u{1B}[J"))
    }

    @Test("The line log tells every event once and a sample a second")
    func lineLog() {
        var log = LineLog()
        var moment = sample
        #expect(log.lines(moment, []).count == 1)
        moment.elapsed = .millis(12_900)
        #expect(log.lines(moment, [event]) == ["   6.0 s  the candidate goes bad"])
        moment.elapsed = .millis(13_000)
        #expect(log.lines(moment, [event]).count == 1)
    }

    private func summary(
        _ scenario: Scenario, bad: UInt64?, cut: UInt64?, rule: String = "error_rate", userErrors: UInt64 = 0
    ) -> Summary {
        Summary(
            scenario: scenario, badAtMillis: bad, cutAtMillis: cut, candidateRequestsWhileBad: 57,
            userErrors: userErrors, errorsOfStableAlone: scenario == .trickle ? 100 : 0, requests: 12_043,
            rule: cut == nil ? nil : rule, stateFolder: "state", journal: "state/journal.jsonl")
    }

    @Test(
        "A scenario is as it should be when a bad candidate was cut after it went bad, a healthy one never",
        arguments: [
            (Scenario.errors, UInt64?(6_000), UInt64?(6_900), true),
            (.errors, 6_000, nil, false), (.errors, 6_000, 5_900, false), (.slow, nil, 5_900, false),
            (.healthy, nil, nil, true), (.healthy, nil, 9_000, false),
        ])
    func verdict(_ scenario: Scenario, _ bad: UInt64?, _ cut: UInt64?, _ expected: Bool) {
        #expect(summary(scenario, bad: bad, cut: cut).isAsItShould == expected)
    }

    @Test(
        "A scenario about one rule wants the cut from that rule",
        arguments: [
            (Scenario.tail, "latency_p99_worse_than_stable", true),
            (.tail, "latency_p50_worse_than_stable", false),
            (.clicks, "feedback_clicks_worse_than_stable", true),
            (.clicks, "error_rate_worse_than_stable", false), (.drift, "drift_score", true),
            (.hang, "latency_p90_worse_than_stable", true),
        ])
    func rule(_ scenario: Scenario, _ rule: String, _ expected: Bool) {
        #expect(summary(scenario, bad: 6_000, cut: 7_000, rule: rule).isAsItShould == expected)
    }

    @Test(
        "Where stable fails too, users may see as many errors as from stable alone, and not more",
        arguments: [(UInt64(0), true), (100, true), (150, true), (151, false)])
    func userErrors(_ seen: UInt64, _ expected: Bool) {
        let end = summary(.trickle, bad: 6_000, cut: 7_000, userErrors: seen)
        #expect(end.isAsItShould == expected)
        #expect(end.lines.contains { $0.contains("stable alone would have given them about 100") })
    }

    @Test("After a cut the page is its report, after a promotion the ledger, else nothing")
    func page() {
        var end = summary(.errors, bad: 6_000, cut: 6_900)
        #expect(end.page.isEmpty)
        end.ledger = ["rollouts": 1, "promotions": 0]
        end.report = ["cut": "cut-1", "model": "recommender", "stable": "v1"]
        #expect(end.page == ReportText.render(end.report ?? .null) + "\n")
        #expect(end.lines.contains("report      weir report --state-dir state"))
        var walked = summary(.walk, bad: nil, cut: nil)
        walked.ledger = ["rollouts": 1, "promotions": 1]
        walked.steps = [
            [
                "at": "2026-01-31T12:34:56.123456Z", "reason": "stage 4 of 4",
                "evidence": [
                    "gates": [["name": "error_rate_not_worse", "verdict": "pass", "reason": "proven"]]
                ],
            ],
            ["kind": "promoted"],
        ]
        #expect(walked.page.isEmpty)
        walked.promotedAtMillis = 9_000
        #expect(walked.page.contains("1, 1 promoted"))
        #expect(
            walked.page.hasPrefix(
                """
                12:34:56.1  stage 4 of 4
                            error_rate_not_worse pass: proven
                  promoted, -
                """), "\(walked.page)")
        #expect(walked.lines.contains("report      weir report --all --state-dir state"))
    }

    @Test("The JSON has the promised fields, in order, and null for what never happened")
    func json() {
        var cut = summary(.clicks, bad: 6_000, cut: 6_900, rule: "feedback_clicks")
        cut.clicks = Summary.Clicks((posted: 12, accepted: 11))
        cut.report = ["cut": "cut-1"]
        cut.ledger = ["rollouts": 1]
        #expect(
            cut.json == """
                {"scenario":"clicks","bad_at_ms":6000,"cut_at_ms":6900,\
                "candidate_requests_while_bad":57,"user_errors":0,"stable_alone_errors":0,\
                "requests":12043,"tripped":true,"rule":"feedback_clicks","promoted_at_ms":null,\
                "clicks_posted":12,"clicks_accepted":11,"steps":[],\
                "report":{"cut":"cut-1"},"ledger":{"rollouts":1}}
                """)
        #expect(
            summary(.healthy, bad: nil, cut: nil).json == """
                {"scenario":"healthy","bad_at_ms":null,"cut_at_ms":null,\
                "candidate_requests_while_bad":57,"user_errors":0,"stable_alone_errors":0,\
                "requests":12043,"tripped":false,"rule":null,"promoted_at_ms":null,\
                "clicks_posted":null,"clicks_accepted":null,"steps":[],"report":null,"ledger":null}
                """)
    }

    @Test(
        "Numbers read as people write them",
        arguments: [
            (Figures.grouped(0), "0"), (Figures.grouped(999), "999"),
            (Figures.grouped(1_234_567), "1,234,567"),
            (Figures.fixed(0.05, decimals: 1), "0.1"), (Figures.fixed(-1.25, decimals: 1), "-1.3"),
            (Figures.fixed(2, decimals: 2), "2.00"), (Figures.fixed(.infinity, decimals: 1), "∞"),
            (Figures.percent(0.312), "31.2 %"), (Figures.micros(999), "999 us"),
            (Figures.micros(8_020), "8.0 ms"), (Figures.micros(1_204_000), "1.20 s"),
            (Figures.bar(0.5, width: 4), "██··"), (Figures.bar(0.001, width: 4), "█···"),
            (Figures.bar(1e-9, width: 4), "····"),
            (Figures.bar(0, width: 4), "····"), (Figures.bar(2, width: 4), "████"),
            (Figures.left("abcdef", 4), "abc…"), (Figures.right("a", 3), "  a"),
        ])
    func figures(_ text: String, _ expected: String) {
        #expect(text == expected)
    }
}
