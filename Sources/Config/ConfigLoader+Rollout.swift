// The section of a staged rollout. A stage says how much traffic, for how long at least, and what has to be
// shown before the next one; a rollout without promises (no holds, no gates) is allowed and says so in
// `weir check`.

import Metrics
import Payload
import Platform
import Proxy
import Rollout

/// A rollout as read, before its candidate and its guardrails are checked.
struct RolloutDraft {
    var place: Place
    var candidate: Marked<String>?
    var program: RolloutProgram
    var blackouts: [BlackoutWindow]
    /// By stage.
    var guardrails: [[Marked<GuardrailDraft>]]
    /// Of all stages.
    var gates: [GateDraft]
    var control: ControlDraft?
}

private struct StageDraft {
    var stage: RolloutStage
    var gates: [GateDraft]
    var guardrails: [Marked<GuardrailDraft>]
}

/// Stable's share while a candidate bakes, unless the file says another, in parts per million.
private let holdBackByDefaultPPM: UInt32 = 10_000

extension Kind where Value == RolloutDraft {
    static var rollout: Kind {
        .section("a rollout: a mapping with stages") { section in
            let candidate = section.optional("candidate", .marked(.name))
            let start = section.value("start", .word(["automatic", "manual"]), or: "automatic")
            let stages = section.required("stages", .list(of: .stage, count: 1...32))
            let longest = Interval.days(365)
            let bake = section.value("bake", .duration(.zero...longest), or: .zero)
            // Without any of stable's traffic nothing tells the candidate's outage from everybody's.
            let holdBack = section.value(
                "hold_back", .percentage(0...500_000), or: bake.micros > 0 ? holdBackByDefaultPPM : 0)
            let deadline = section.optional("deadline", .duration(.seconds(1)...longest))
            let ends = section.optional("ends", .timestamp)
            let blackouts = section.value("blackout", .list(of: .blackout, count: 0...64), or: [])
            let window = section.optional("rollback_window", .duration(.zero...longest))
            let isDryRun = section.value("dry_run", .flag, or: false)
            let control = section.optional("control", .control)
            guard let stages else { return nil }
            let program = RolloutProgram(
                candidate: "", startsByItself: start == "automatic", stages: stages.map(\.stage),
                bakeMicros: bake.micros, holdBackPPM: holdBack, deadlineMicros: deadline?.micros,
                endsAtMicros: ends, rollbackWindowMicros: window?.micros, isDryRun: isDryRun)
            if !stages.isEmpty { section.report(impossible: program, blackouts) }
            return RolloutDraft(
                place: section.place, candidate: candidate, program: program, blackouts: blackouts,
                guardrails: stages.map(\.guardrails), gates: stages.flatMap(\.gates),
                control: control)
        }
    }
}

extension Kind where Value == StageDraft {
    fileprivate static var stage: Kind {
        .section("a stage: a mapping with weight or shadow") { section in
            let weight = section.optional("weight", .percentage())
            let shadow = section.optional("shadow", .percentage(1...1_000_000))
            let hold = section.value("hold", .duration(.zero ... .days(365)), or: .zero)
            let requests = section.value("min_requests", .count(0...1_000_000_000), or: 0)
            let keys = section.value("min_keys", .count(0...1_000_000_000), or: 0)
            let approval = section.value("approval", .word(["required", "automatic"]), or: "automatic")
            let gates = section.value("gates", .gates, or: [])
            let guardrails = section.value(
                "guardrails", .list(of: .marked(.stageGuardrail), count: 0...64), or: [])
            if !section.has("weight"), !section.has("shadow") {
                section.lacks(
                    ["weight", "shadow"], "says neither weight nor shadow",
                    expected: "weight, such as 5%, or shadow for a stage without users")
            }
            guard weight != nil || shadow != nil else { return nil }
            return StageDraft(
                stage: RolloutStage(
                    weightPPM: weight ?? 0, holdMicros: hold.micros, minRequests: requests, minKeys: keys,
                    needsApproval: approval == "required", shadowPPM: shadow ?? 0,
                    gates: gates.map(\.spec)),
                gates: gates,
                guardrails: guardrails)
        }
    }
}

extension Kind where Value == GuardrailDraft {
    /// A guardrail of one stage: the same keys under a name of their own in the table of keys.
    fileprivate static var stageGuardrail: Kind {
        Kind(expected: guardrail.expected) { node in node.renamed("models[].guardrails[]").read(guardrail) }
    }
}

extension Kind where Value == UInt64 {
    /// An instant, as microseconds since 1970.
    static var timestamp: Kind {
        let expected = "an instant such as \"2026-12-01T12:00:00Z\""
        return Kind(expected: expected) { node in
            guard let micros = node.text.flatMap(Timestamp.wallMicros) else {
                return node.mismatch(expected: expected)
            }
            return micros
        }
    }
}

extension Kind where Value == BlackoutWindow {
    fileprivate static var blackout: Kind {
        .section("a blackout: a mapping with from and to") { section in
            let from = section.required("from", .marked(.blackoutTime))
            let to = section.required("to", .marked(.blackoutTime))
            let days = section.optional("days", .list(of: .word(BlackoutTime.days), count: 1...7))
            let zone = section.value("time_zone", .timeZone, or: "UTC")
            let alertOnly = section.value("alert_only", .flag, or: false)
            guard let from, let to, let span = section.span(from, to, days: days) else { return nil }
            let named = days.map { $0.joined(separator: ", ") + " " } ?? ""
            return BlackoutWindow(
                span: span, timeZone: zone, alertsOnly: alertOnly,
                text: "\(named)\(from.text ?? "") to \(to.text ?? "") \(zone)")
        }
    }
}

extension SectionReader {
    /// Reports what of a program cannot be, and what could never end well.
    fileprivate func report(impossible program: RolloutProgram, _ blackouts: [BlackoutWindow]) {
        if let problem = program.impossibility {
            reading.report(place, problem.what, expected: problem.expected)
        }
        if let deadline = program.deadlineMicros, deadline <= program.leastMicros {
            let least = Notation.text(.micros(program.leastMicros))
            reading.report(
                place,
                "the deadline of \(Notation.text(.micros(deadline))) comes before the end of the holds and"
                    + " the bake, \(least) in all, so it would hold every rollout",
                expected: "a deadline longer than \(least), or shorter holds")
        }
        if blackouts.leaveNothing {
            reading.report(
                place, "the blackouts leave no minute of the week, so nothing would ever be promoted",
                expected: "a time without one, or `start: manual` for a rollout that waits for an operator")
        }
    }

    /// Both ends in the same form, and a window that is not empty.
    fileprivate func span(
        _ from: Marked<BlackoutTime>, _ to: Marked<BlackoutTime>, days: [String]?
    ) -> BlackoutWindow.Span? {
        let all = Set(0..<BlackoutTime.days.count)
        let named = days.map { Set($0.compactMap { BlackoutTime.days.firstIndex(of: $0) }) }
        switch (from.value, to.value) {
        case (.ofDay(let a), .ofDay(let b)):
            return .daily(days: named ?? all, from: a, to: b)
        case (.ofWeek(let a), .ofWeek(let b)) where named == nil && a != b:
            return .weekly(from: a, to: b)
        case (.ofEra(let a), .ofEra(let b)) where named == nil && a < b:
            return .once(from: a, to: b)
        case (.ofDay, _), (.ofWeek, _), (.ofEra, _):
            reading.report(
                place, "from and to do not make a window",
                expected: "two times of day (with days, if not every day), two times of the week such as "
                    + "\"fri 16:00\", or two dates, the first one earlier")
            return nil
        }
    }
}

extension Kind where Value == BlackoutTime {
    fileprivate static var blackoutTime: Kind {
        let expected = "\"16:00\", \"fri 16:00\", 2026-12-23 or \"2026-12-23 16:00\""
        return Kind(expected: expected) { node in
            guard let time = node.text.flatMap({ BlackoutTime($0) }) else {
                return node.mismatch(expected: expected)
            }
            return time
        }
    }
}

extension Kind where Value == String {
    fileprivate static var timeZone: Kind {
        let expected = "a name of the time-zone database, such as Europe/Berlin"
        return Kind(expected: expected) { node in
            guard let text = node.text, BlackoutWindow.isTimeZone(text) else {
                return node.mismatch(expected: expected)
            }
            return text
        }
    }
}
