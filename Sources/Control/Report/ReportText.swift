// A rollback report and the ledger as pages for a terminal.
// Place: behind `weir report` and at the end of `weir demo`; reads the JSON of /reports and /ledger, or of
// the journal, and nothing else.
// Invariant: a member that is missing leaves a dash, never an error; texts are shown as `JSON.line`.

import Payload

/// Renders reports for people.
package enum ReportText {
    /// The page of one report, as `/reports` or the journal has it; every line ends with a newline.
    /// - Parameter isOffline: it was read from files, and nobody may be watching.
    package static func render(_ report: JSON, isOffline: Bool = false) -> String {
        if report["withheld"]?.bool == true { return render(withheld: report) }
        let versions = (report["versions"]?.elements ?? []).compactMap(\.line).joined(separator: ", ")
        let isOpen = report["completed_at"]?.line == nil
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
        out += line("shielded by stable", shielded(report))
        if report["slow"]?.integer != nil {
            let by = report["slow_by"]?.line.map { "  (\($0))" } ?? ""
            out += line("too slow", number(report["slow"]) + by)
        }
        if report["events"]?.integer != nil { out += line(eventName(report), number(report["events"])) }
        if let copies = report["copies"]?.integer, copies > 0 {
            out += line("copies", "\(copies), \(number(report["copy_failures"])) failed; no client saw them")
        }
        out += line("clients harmed", harmed(report))
        out += "\n"
        if let recovery = report["recovery"], let verdict = recovery["verdict"]?.line {
            out += line("recovery", "\(verdict): \(word(recovery["reason"]))")
            if isOpen, !isOffline {
                out += line("report", "open until the requests that are under way have ended")
            }
        } else {
            let watched = isOffline ? "no answer in the files yet" : "still being watched"
            out += line("recovery", isOpen ? watched : "no answer: the watch was ended")
        }
        out += line("weights before", shares(report["weights_before"]))
        out += line("epoch", "\(number(report["epoch_before"])) -> \(number(report["epoch_after"]))")
        if let runbook = report["runbook_url"]?.line { out += line("runbook", runbook) }
        for reading in report["evidence"]?.elements ?? [] {
            out += line(
                "evidence", "\(word(reading["name"])) \(word(reading["verdict"])): \(word(reading["reason"]))"
            )
        }
        return out
    }

    /// The page of weight that was withheld under a cut's number.
    private static func render(withheld report: JSON) -> String {
        let (model, stable) = (word(report["model"]), word(report["stable"]))
        let over = report["over"]?.bool
        var out = "\(word(report["cut"])) of \(model): no version was cut; all weight "
        out += "\(over == false ? "is" : "was") withheld at \(stable)\n\(word(report["reason"]))\n\n"
        out += line("since", word(report["at"]))
        out += line("weights before", shares(report["weights_before"]))
        if over != true {
            out += line(
                "what ends it",
                "weir resume \(model) (as it was), weights, promote, or rollback, which bars the candidate"
            )
        }
        return out
    }

    /// The page of one ledger: `total`, or a member of `models`, of `/ledger`.
    /// - Parameter name: whose it is, the page's first line.
    package static func render(ledger: JSON, of name: String) -> String {
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
        let alerts = ledger["alerts"]?.integer ?? 0
        out += line("alerts", alerts == 0 ? "none" : "\(alerts) trips that moved no traffic")
        let alpha = ledger["alpha_spent"]?.number ?? 0
        out += line("alpha spent", "\(hundredths(alpha)): at most so many false cuts are expected")
        return out
    }

    private static func line(_ name: String, _ value: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 20 - name.count)) + value + "\n"
    }

    private static func shares(_ weights: JSON?) -> String {
        (weights?.members ?? []).map { "\(ForeignText.line($0.name)) \($0.value.line ?? "")" }
            .joined(separator: ", ")
    }

    /// What the clients of `events` got.
    private static func eventName(_ report: JSON) -> String {
        if report["measure"] == "non_2xx" { return "answered 3xx or 4xx" }
        if report["measure"] == "unanswered" { return "left without an answer" }
        return report["measure"] == "empty" ? "answered empty" : "given up"
    }

    private static func harmed(_ report: JSON) -> String {
        var text = number(report["harmed"])
        if report["measure"]?.string == "values" {
            text += " by failures; how many the values that tripped harmed is not counted"
        }
        if let waiting = report["unfinished"]?.integer, waiting > 0 {
            text += report["completed_at"]?.line == nil ? "; " : " at most; "
            text += "\(waiting) had not got their answer when this was counted"
        }
        return text
    }

    /// How many requests were sent again to stable; where that did not help all of them, how many it did.
    private static func shielded(_ report: JSON) -> String {
        guard let sent = report["shielded"]?.integer, let saved = report["rescued"]?.integer, saved < sent
        else { return number(report["shielded"]) }
        return "\(sent) sent again, \(saved) failures ended well"
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
