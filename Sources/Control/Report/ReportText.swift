// A rollback report and the ledger as pages for a terminal.
// Place: behind `weir report` and at the end of `weir demo`; reads the JSON of /reports and /ledger, or of
// the journal, and nothing else.
// Invariant: a member that is missing leaves a dash, never an error; texts are shown as `JSON.line`.

import Payload

/// Renders reports for people.
public enum ReportText {
    /// The page of one report, as `/reports` or the journal has it; every line ends with a newline.
    public static func render(_ report: JSON) -> String {
        let versions = (report["versions"]?.elements ?? []).compactMap(\.line).joined(separator: ", ")
        var out = "\(word(report["cut"])) of \(word(report["model"])): \(versions) cut back to "
        out += "\(word(report["stable"]))\n\(word(report["cut_reason"]))\n\n"
        let bound = report["first_bad_or_earlier"]?.bool == true ? " or earlier" : ""
        out += line("first bad request", word(report["first_bad_at"]) + bound)
        out += line("verdict", word(report["verdict_at"]) + detected(report))
        out += line("last request to it", word(report["last_request_at"]) + obeyed(report))
        out += line("decided by", word(report["cut_by"]))
        if let rule = report["rule"]?.line {
            out += line("rule", "\(word(report["guardrail"])): \(rule)")
        }
        out += "\n"
        out += line("requests served", number(report["requests"]) + " since " + word(report["exposed_since"]))
        out += line("failed", number(report["failures"]))
        out += line("shielded by stable", number(report["shielded"]))
        if report["slow"]?.integer != nil { out += line("too slow", number(report["slow"])) }
        if let copies = report["copies"]?.integer, copies > 0 {
            out += line("copies", "\(copies), \(number(report["copy_failures"])) failed; no client saw them")
        }
        out += line("clients harmed", number(report["harmed"]))
        out += "\n"
        if let recovery = report["recovery"], let verdict = recovery["verdict"]?.line {
            out += line("recovery", "\(verdict): \(word(recovery["reason"]))")
        } else {
            let isOpen = report["completed_at"]?.line == nil
            out += line("recovery", isOpen ? "still being watched" : "no answer: the watch was ended")
        }
        let weights = (report["weights_before"]?.members ?? []).map {
            "\(ForeignText.line($0.name)) \($0.value.line ?? "")"
        }
        out += line("weights before", weights.joined(separator: ", "))
        out += line("epoch", "\(number(report["epoch_before"])) -> \(number(report["epoch_after"]))")
        if let runbook = report["runbook_url"]?.line { out += line("runbook", runbook) }
        for reading in report["evidence"]?.elements ?? [] {
            out += line(
                "evidence", "\(word(reading["name"])) \(word(reading["verdict"])): \(word(reading["reason"]))"
            )
        }
        return out
    }

    /// The page of one ledger: `total`, or a member of `models`, of `/ledger`.
    /// - Parameter name: whose it is, the page's first line.
    public static func render(ledger: JSON, of name: String) -> String {
        var out = "\(name)\n"
        out += line("rollouts", "\(number(ledger["rollouts"])), \(number(ledger["promotions"])) promoted")
        let cuts = (ledger["cuts"]?.members ?? []).map { "\(ForeignText.line($0.name)) \(number($0.value))" }
        out += line("cuts", cuts.isEmpty ? "none" : cuts.joined(separator: ", "))
        out += line("time to detect", figures(ledger["detect_ms"], "ms"))
        out += line("time to cut", figures(ledger["cut_us"], "us"))
        let range = ledger["refuted_share"]
        var trips = "\(number(ledger["trips"])), \(number(ledger["confirmed"])) confirmed, "
        trips += "\(number(ledger["refuted"])) refuted"
        if let estimate = range?["estimate"]?.number {
            trips +=
                " (\(share(estimate)); with 95 % confidence between \(share(range?["lower"]?.number ?? 0))"
            trips += " and \(share(range?["upper"]?.number ?? 1)))"
        }
        out += line("trips", trips)
        let alpha = ledger["alpha_spent"]?.number ?? 0
        out += line("alpha spent", "\(hundredths(alpha)): at most so many false cuts are expected")
        return out
    }

    private static func line(_ name: String, _ value: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 20 - name.count)) + value + "\n"
    }

    private static func detected(_ report: JSON) -> String {
        report["detected_ms"]?.number.map { "  (\(hundredths($0 / 1_000)) s after it)" } ?? ""
    }

    private static func obeyed(_ report: JSON) -> String {
        report["cut_us"]?.number.map { "  (every core obeyed within \(hundredths($0)) us)" } ?? ""
    }

    private static func figures(_ figures: JSON?, _ unit: String) -> String {
        guard let median = figures?["median"]?.number, let longest = figures?["max"]?.number else {
            return "-"
        }
        let middle = "median \(hundredths(median)) \(unit), at most \(hundredths(longest)) \(unit)"
        return "\(middle) (of \(number(figures?["count"])))"
    }

    private static func share(_ rate: Double) -> String { "\(hundredths(rate * 100)) %" }
    private static func hundredths(_ value: Double) -> String {
        JSON.number((value * 100).rounded() / 100).text
    }
    private static func word(_ value: JSON?) -> String { value?.line ?? "-" }
    private static func number(_ value: JSON?) -> String { value?.integer.map(String.init) ?? "-" }
}
