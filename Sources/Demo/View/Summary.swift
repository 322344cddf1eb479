// How a demo ended, as words for a person and as JSON for a program: when the candidate went bad, when it was
// cut, what that cost, and Weir's own report of it. Made by DemoRun at the end; printed by `runDemo`.
// Invariant: the JSON object has exactly the fields listed here, in this order; absent values are null.

import Control
import Payload

/// The end of a demo.
package struct Summary: Sendable, Hashable {
    package var scenario: Scenario
    /// When the candidate went bad, in milliseconds since the load began; nil when it never did.
    package var badAtMillis: UInt64?
    /// When it was cut; nil when it never was.
    package var cutAtMillis: UInt64?
    /// Requests that reached the candidate's server while it was bad, counted by that server.
    package var candidateRequestsWhileBad: UInt64
    /// Requests that failed for the one who made them, counted by the load.
    package var userErrors: UInt64
    /// Requests that would have failed had stable answered everything: its own share of failures of all.
    package var errorsOfStableAlone: UInt64
    /// Requests made.
    package var requests: UInt64
    /// The guardrail that tripped.
    package var rule: String?
    /// The numbers behind the trip, in words.
    package var evidence: String?
    /// Whether stable was well again after the cut, in words.
    package var recovery: String?
    /// When the candidate was promoted; nil when it never was.
    package var promotedAtMillis: UInt64?
    /// Where the scenario is about clicks.
    package var clicks: Clicks?
    /// The report of the cut, as `/reports` has it; nil without a cut.
    package var report: JSON?
    /// The journal's lines about the steps of a rollout: stages, bake and promotion, with their evidence.
    package var steps: [JSON] = []
    /// The ledger over this demo's rollouts, as the total of `/ledger`.
    package var ledger: JSON?
    package var stateFolder: String
    package var journal: String

    /// What users clicked.
    package struct Clicks: Sendable, Hashable {
        /// Posted to `/feedback`.
        package var posted: UInt64
        /// Of these, accepted by Weir.
        package var accepted: UInt64

        init(_ counts: (posted: UInt64, accepted: UInt64)) { (posted, accepted) = counts }
    }

    /// Whether a guardrail cut the candidate.
    package var tripped: Bool { cutAtMillis != nil }

    /// Whether it went as it should: a bad candidate was cut after it went bad and by the rule that the
    /// scenario is about, a healthy one never; and users of a stable that fails saw no more errors than from
    /// stable alone.
    package var isAsItShould: Bool {
        if scenario.isPromoted { return !tripped && promotedAtMillis != nil }
        guard scenario.isBad else { return !tripped }
        guard let badAtMillis, let cutAtMillis, cutAtMillis >= badAtMillis else { return false }
        if let expected = scenario.rule, rule?.hasPrefix(expected) != true { return false }
        return !scenario.usual.isHarmful || userErrors <= Self.atMost(errorsOfStableAlone)
    }

    /// Five standard deviations above an expected count.
    private static func atMost(_ expected: UInt64) -> UInt64 {
        expected + UInt64((5 * Double(expected).squareRoot()).rounded(.up))
    }

    /// One line of JSON without a newline.
    package var json: String {
        func number(_ value: UInt64?) -> JSON { value.map(JSON.count) ?? .null }
        let value: JSON = [
            "scenario": .string(scenario.rawValue), "bad_at_ms": number(badAtMillis),
            "cut_at_ms": number(cutAtMillis),
            "candidate_requests_while_bad": .count(candidateRequestsWhileBad),
            "user_errors": .count(userErrors), "stable_alone_errors": .count(errorsOfStableAlone),
            "requests": .count(requests), "tripped": .bool(tripped), "rule": .optional(rule),
            "promoted_at_ms": number(promotedAtMillis), "clicks_posted": number(clicks?.posted),
            "clicks_accepted": number(clicks?.accepted), "steps": .array(steps),
            "report": report ?? .null, "ledger": ledger ?? .null,
        ]
        return value.text
    }

    /// The summary in words, a line each.
    package var lines: [String] {
        var lines: [String] = []
        func seconds(_ millis: UInt64) -> String { Figures.fixed(Double(millis) / 1e3, decimals: 2) + " s" }
        if let badAtMillis {
            lines.append("went bad    after \(seconds(badAtMillis)): \(scenario.sentence)")
        }
        if let cutAtMillis {
            let delay = badAtMillis.flatMap { cutAtMillis >= $0 ? cutAtMillis - $0 : nil }
            let later = delay.map { ", \(seconds($0)) later" } ?? ""
            lines.append("cut         after \(seconds(cutAtMillis))\(later), by \(rule ?? "an operator")")
            if let evidence { lines.append("because     \(evidence)") }
        } else if let promotedAtMillis {
            lines.append("promoted    after \(seconds(promotedAtMillis)), never cut")
        } else {
            lines.append("cut         never")
        }
        if badAtMillis != nil {
            lines.append(
                "in between  \(Figures.grouped(candidateRequestsWhileBad)) requests reached the candidate")
        }
        lines.append(
            "users       made \(Figures.grouped(requests)) requests and saw "
                + "\(Figures.grouped(userErrors)) errors")
        if scenario.usual.isHarmful {
            let alone = Figures.grouped(errorsOfStableAlone)
            lines.append("            stable alone would have given them about \(alone)")
        }
        if let clicks {
            let accepted = Figures.grouped(clicks.accepted)
            lines.append("clicks      \(Figures.grouped(clicks.posted)) posted, \(accepted) accepted")
        }
        if let recovery { lines.append("afterwards  \(recovery)") }
        let all = report == nil ? " --all" : ""
        lines.append("report      weir report\(all) --state-dir \(stateFolder)")
        lines.append("journal     \(journal)")
        lines.append(isAsItShould ? "as it should be" : "NOT as it should be")
        return lines
    }
}
