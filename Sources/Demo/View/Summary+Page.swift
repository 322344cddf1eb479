// Weir's own account of a demo, as a page above the summary: the report of the cut, or how a candidate came
// to all traffic. All of it is read from Weir: the report and the ledger from the admin API, the steps of a
// rollout from the journal.
// Invariant: a member that is missing leaves a dash or its line out, never an error.

import Control
import Payload

extension Summary {
    /// After a cut its report, after a promotion the steps to it with the gates that let it pass and the
    /// ledger, else nothing; with an empty line at the end.
    package var page: String {
        if let report { return ReportText.render(report) + "\n" }
        guard promotedAtMillis != nil, let ledger else { return "" }
        return steps.map(Self.step).joined() + "\n" + ReportText.render(ledger: ledger, of: "ledger") + "\n"
    }

    /// A step, and what was proven for it.
    private static func step(_ line: JSON) -> String {
        let gates = (line["evidence"]?["gates"]?.elements ?? []).map { gate in
            "            \(word(gate["name"])) \(word(gate["verdict"])): \(word(gate["reason"]))\n"
        }
        // The time of day of an RFC 3339 text, to a tenth of a second.
        let time = String(word(line["at"]).dropFirst(11).prefix(10))
        let isEnd = line["kind"]?.string == "promoted"
        return "\(time)  \(isEnd ? "promoted, " : "")\(word(line["reason"]))\n" + gates.joined()
    }

    private static func word(_ value: JSON?) -> String { value?.string ?? "-" }
}
