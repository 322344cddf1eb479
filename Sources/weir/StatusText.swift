// The status page as text for a terminal: one block per model, one line per version and guardrail.
// Place: behind `weir status`; reads the JSON of /status and nothing else.
// Invariant: a member that is missing leaves a gap, never an error; texts are shown as `JSON.line`, because
// reasons, actors and what servers said of themselves are foreign.

import Control
import Payload

/// Renders the JSON of /status for people.
enum StatusText {
    static func render(_ status: JSON, _ models: [JSON]) -> String {
        var out =
            "weir \(status["version"]?.line ?? "?"), \(status["state"]?.line ?? "?"), "
            + "since \(status["started_at"]?.line ?? "?"), plan \(status["obeyed_epoch"]?.integer ?? 0)\n"
        if let trouble = status["journal"]?["trouble"]?.line {
            out += "THE JOURNAL CANNOT BE WRITTEN: \(trouble)\n"
        }
        if let loss = status["journal"]?["loss"]?.line { out += "AT THE START: \(loss)\n" }
        let withheld = status["journal"]?["withheld"]?.elements.compactMap(\.line) ?? []
        if !withheld.isEmpty {
            out += "ALL WEIGHT IS WITHHELD at stable in \(withheld.joined(separator: ", ")): "
            out += "a line that is gone may have cut a version; "
            out += "resume, weights, rollback or promote (a rollout: --force) ends that\n"
        }
        if let gain = status["journal"]?["recovered"]?.line { out += "at the start: \(gain)\n" }
        if let trouble = status["journal"]?["state_trouble"]?.line {
            out += "ROLLOUTS.JSON CANNOT BE WRITTEN: \(trouble); the journal has what is decided\n"
        }
        if let reserve = status["journal"]?["reserve"], reserve["in_use"]?.bool == true {
            out += "THE DISK IS FULL: \(reserve["trouble"]?.line ?? ""); "
            out += "\(reserve["bytes"]?.integer ?? 0) bytes are left for cuts\n"
        }
        if let reserve = status["journal"]?["reserve"], reserve["in_use"]?.bool == false,
            let trouble = reserve["trouble"]?.line
        {
            out += "no space is kept in reserve for cuts on a full disk: \(trouble)\n"
        }
        if let sentence = status["limits"]?["sentence"]?.line { out += "limits: \(sentence)\n" }
        for lowered in status["limits"]?["lowered"]?.elements ?? [] { out += "  \(lowered.line ?? "")\n" }
        for warning in status["state_dir"]?["warnings"]?.elements ?? [] { out += "\(warning.line ?? "")\n" }
        if let trouble = status["plan_trouble"]?.line { out += "NO NEW PLAN: \(trouble)\n" }
        for group in status["groups"]?.elements ?? [] {
            for uncut in group["uncut"]?.elements ?? [] {
                out += "GROUP \(group["name"]?.line ?? "?") IS CUT IN PART: "
                out += "\(uncut["model"]?.line ?? "?"): \(uncut["reason"]?.line ?? "?")\n"
            }
        }
        for model in models { out += render(model) }
        return out
    }

    private static func render(_ model: JSON) -> String {
        var out = "\n\(model["name"]?.line ?? "?"): \(model["phase"]?.line ?? "?")"
        out += ", stable \(model["stable"]?.line ?? "?")\n"
        if let sentence = model["candidate_source"]?["sentence"]?.line {
            out += "  candidate by \(sentence)\n"
            if let trouble = model["candidate_source"]?["trouble"]?.line, trouble != sentence {
                out += "    \(trouble)\n"
            }
        }
        if model["phase"]?.string == "cut", let cut = model["last_cut"] {
            out += "  \(cut["cut"]?.line ?? "cut") at \(cut["at"]?.line ?? "?")"
            out += " by \(cut["actor"]?.line ?? "?")\(because(cut["reason"]))\n"
            if let verdict = model["recovery"]?["verdict"]?.line {
                out += "  recovery: \(verdict)\(because(model["recovery"]?["reason"]))\n"
            }
        }
        if let until = model["cool_down_until"]?.line {
            out += "  cooling down until \(until): a verb that gives a candidate weight takes --force\n"
        }
        out += rollout(model["rollout"], isCut: model["phase"]?.string == "cut")
        if let shadow = model["shadow"], let version = shadow["version"]?.line {
            let some = shadow["conditional"]?.bool == true ? " of the requests that meet its conditions" : ""
            out += "  shadow: \(shadow["share"]?.line ?? "?")\(some) copied to \(version)\n"
        }
        out += notes(model)
        for version in model["versions"]?.elements ?? [] { out += line(version) }
        for version in model["versions"]?.elements ?? [] {
            for guardrail in version["guardrails"]?.elements ?? [] { out += line(guardrail, version) }
        }
        return out
    }

    /// ": reason", and nothing where nobody gave one.
    private static func because(_ reason: JSON?) -> String {
        guard let reason = reason?.line, !reason.isEmpty else { return "" }
        return ": \(reason)"
    }

    /// What a reader must not overlook: a promotion, weight that is held, and that nothing is watched.
    private static func notes(_ model: JSON) -> String {
        var out = ""
        if let promoted = model["promoted"], let version = promoted["version"]?.line {
            out += "  promoted: \(version) has all weight since \(promoted["at"]?.line ?? "?")"
            out += " by \(promoted["by"]?.line ?? "?")\(because(promoted["reason"]))\n"
            out += "    next: in the config make \(version) stable, take candidate and rollout out; reload\n"
        }
        if let reason = model["unserved"]?["reason"]?.line { out += "  USERS ARE NOT SERVED: \(reason)\n" }
        if let lost = model["stable_unreached"]?.line { out += "  STABLE IS NOT REACHED: \(lost)\n" }
        for held in model["held"]?.elements ?? [] {
            out += "  \(held["version"]?.line ?? "?") IS HELD AT 0%: \(held["reason"]?.line ?? "")\n"
        }
        for cut in model["withheld_cuts"]?.elements ?? [] {
            out += "  \(cut["version"]?.line ?? "?") IS NOT CUT: \(cut["guardrail"]?.line ?? "?") "
            out += "\(cut["reason"]?.line ?? "")\n"
        }
        let watched = (model["versions"]?.elements ?? []).contains {
            $0["guardrails"]?.elements.isEmpty == false
        }
        if model["sticky"]?.bool == true, watched {
            out +=
                "  sticky keys: rules against stable count a key's first bad request of a kind; its repeats"
            out += " are left out of their figures\n"
        }
        if model["guarded"]?.bool == false {
            out += "  NO GUARDRAILS: nothing cuts, holds or alerts; only an operator takes traffic back\n"
        }
        return out
    }

    /// Where a staged rollout stands and what it waits for.
    private static func rollout(_ rollout: JSON?, isCut: Bool) -> String {
        guard let rollout, let id = rollout["id"]?.line else { return "" }
        var out = "  \(id) of \(rollout["candidate"]?.line ?? "?")"
        let isPromoted = rollout["place"]?.string == "promoted"
        if !isPromoted, let stage = rollout["stage"]?.integer {
            out += ", stage \(stage) of \(rollout["stages"]?.integer ?? 0)"
        } else {
            out += ", \(rollout["place"]?.line ?? "?")\(isPromoted && isCut ? ", then cut" : "")"
        }
        if let attempt = rollout["attempt"]?.integer, attempt > 1 { out += ", attempt \(attempt)" }
        if rollout["dry_run"]?.bool == true { out += ", dry run" }
        if let seen = rollout["seen"], seen["requests"] != nil {
            let seconds = fixed(seen["watched_s"]?.number ?? 0, 1)
            out += ": \(seen["requests"]?.integer ?? 0) requests in \(seconds) s"
        }
        out += "\n"
        if let reason = rollout["control"]?["withdrawn"]?["reason"]?.line {
            out += "    \(reason)\n"
        } else if let control = rollout["control"], let arm = control["version"]?.line,
            control["weight"]?.line != "0%"
        {
            out += "    compared with \(arm), \(control["weight"]?.line ?? "?") of all requests\n"
        }
        for reason in rollout["waiting_for"]?.elements ?? [] {
            out += "    waits for \(reason.line ?? "?")\n"
        }
        return out
    }

    private static func line(_ version: JSON) -> String {
        let live = version["live"]
        var out = "  " + pad(version["name"]?.line ?? "?", 14) + pad(version["role"]?.line ?? "", 11)
        out += padLeft(version["weight"]?.line ?? "", 8)
        out += padLeft(live?["rps"]?.number.map { fixed($0, 1) + " rps" } ?? "-", 14)
        out += padLeft(live?["p50_ms"]?.number.map { "p50 " + fixed($0, 1) + " ms" } ?? "-", 16)
        out += padLeft(live?["p99_ms"]?.number.map { "p99 " + fixed($0, 1) + " ms" } ?? "-", 16)
        out += padLeft(live?["error_share"]?.number.map { fixed($0 * 100, 2) + "% errors" } ?? "-", 16)
        if let share = live?["cancelled_share"]?.number, share > 0 {
            out += "  \(fixed(share * 100, 2))% cancelled by clients"
        }
        if live?["requests"]?.integer == 0, let waiting = version["totals"]?["in_flight"]?.integer,
            waiting > 0
        {
            out += "  \(waiting) in flight, none answered lately"
        }
        if live?["requests"]?.integer ?? 0 == 0, let copies = version["totals"]?["shadow_sent"]?.integer,
            copies > 0
        {
            out += "  \(copies) copies sent so far"
        }
        if version["quarantined"]?.bool == true { out += "  quarantined" }
        let endpoints = version["endpoints"]?.elements ?? []
        for health in ["unhealthy", "unchecked"] {
            let some = endpoints.filter { $0["health"]?.string == health }.compactMap { $0["address"]?.line }
            if !some.isEmpty { out += "  \(health): " + some.joined(separator: ", ") }
        }
        return out + "\n"
    }

    private static func line(_ guardrail: JSON, _ version: JSON) -> String {
        let progress = guardrail["progress"]?.number ?? 0
        let filled = Int((min(1, max(0, progress)) * 10).rounded())
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 10 - filled)
        var out = "    [\(bar)] " + pad(version["name"]?.line ?? "?", 12)
        out += pad(guardrail["name"]?.line ?? "?", 34) + pad(verdict(guardrail), 17)
        return out + (guardrail["reason"]?.line ?? "") + "\n"
    }

    private static func verdict(_ guardrail: JSON) -> String {
        if guardrail["asleep"]?.bool == true { return "asleep" }
        let verdict = guardrail["verdict"]?.line ?? ""
        return guardrail["pinned"]?.bool == true && verdict == "pass" ? "pinned" : verdict
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func padLeft(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    /// A number with fixed decimals.
    private static func fixed(_ value: Double, _ decimals: Int) -> String {
        let scale = decimals == 1 ? 10.0 : 100.0
        let scaled = Int64((value * scale).rounded())
        let whole = scaled / Int64(scale)
        let part = String(scaled % Int64(scale) + Int64(scale)).dropFirst()
        return "\(whole).\(part)"
    }
}
