// How a demo ended, as words for a person and as JSON for a program: when the candidate went bad, when it was
// cut, and what that cost. Made by DemoRun at the end; printed by `runDemo`.
// Invariant: the JSON object has exactly the fields listed here, in this order; absent values are null.

import Platform

/// The end of a demo.
public struct Summary: Sendable, Hashable {
    public var scenario: Scenario
    /// When the candidate went bad, in milliseconds since the load began; nil when it never did.
    public var badAtMillis: UInt64?
    /// When it was cut; nil when it never was.
    public var cutAtMillis: UInt64?
    /// Requests that reached the candidate's server while it was bad, counted by that server.
    public var candidateRequestsWhileBad: UInt64
    /// Requests that failed for the one who made them, counted by the load.
    public var userErrors: UInt64
    /// Requests made.
    public var requests: UInt64
    /// The guardrail that tripped.
    public var rule: String?
    /// The numbers behind the trip, in words.
    public var evidence: String?
    /// Whether stable was well again after the cut, in words.
    public var recovery: String?
    /// When the candidate was promoted; nil when it never was.
    public var promotedAtMillis: UInt64?
    public var journal: String

    /// Whether a guardrail cut the candidate.
    public var tripped: Bool { cutAtMillis != nil }

    /// Whether it went as it should: a bad candidate was cut after it went bad, a healthy one never.
    public var isAsItShould: Bool {
        if scenario.isPromoted { return !tripped && promotedAtMillis != nil }
        guard scenario.isBad else { return !tripped }
        guard let badAtMillis, let cutAtMillis else { return false }
        return cutAtMillis >= badAtMillis
    }

    /// One line of JSON without a newline.
    public var json: String {
        func number(_ value: UInt64?) -> String { value.map(String.init) ?? "null" }
        let fields = [
            "\"scenario\": \"\(scenario.rawValue)\"",
            "\"bad_at_ms\": \(number(badAtMillis))",
            "\"cut_at_ms\": \(number(cutAtMillis))",
            "\"candidate_requests_while_bad\": \(candidateRequestsWhileBad)",
            "\"user_errors\": \(userErrors)",
            "\"requests\": \(requests)",
            "\"tripped\": \(tripped)",
            "\"rule\": \(rule.map(Self.quoted) ?? "null")",
            "\"promoted_at_ms\": \(number(promotedAtMillis))",
        ]
        return "{\(fields.joined(separator: ", "))}"
    }

    /// The summary in words, a line each.
    public var lines: [String] {
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
        if let recovery { lines.append("afterwards  \(recovery)") }
        lines.append("journal     \(journal)")
        lines.append(isAsItShould ? "as it should be" : "NOT as it should be")
        return lines
    }

    /// A JSON string. Names of guardrails hold no control characters.
    private static func quoted(_ text: String) -> String {
        var out = "\""
        for character in text.unicodeScalars {
            if character == "\"" || character == "\\" { out += "\\" }
            out.unicodeScalars.append(character)
        }
        return out + "\""
    }
}
