// What the line of a step says beside time and requests: rules that fail and only alert, comparisons that are
// still open, and a promotion for which nothing was compared with stable.
// Place: `RolloutStep.walk` puts it into the reason of a stage, a bake or a promotion, so that journal,
// status and notices carry it. Invariant: it says what the readings of that tick say and decides nothing;
// `RolloutBlocker` does.

extension RolloutStep {
    /// The reason of a step that automation takes.
    static func why(_ climb: Climb, _ facts: TickFacts, to next: RolloutProgram.Next) -> String {
        guard climb.place != .before, let stage = facts.stage else {
            return "no check and no blackout forbids it"
        }
        let readings = facts.readings.first { $0.version == climb.candidate }?.readings ?? []
        let seen =
            "after \(Sentence.duration(micros: stage.watchedMicros)) and "
            + "\(Sentence.count(stage.requests)) requests"
        let failing = readings.onlyAlerting
        if case .promotion = next, let reason = readings.uncompared {
            return "\(seen), promoted without comparison: \(reason)\(failing)"
        }
        return seen + failing + readings.undecidedList
    }
}

extension [GuardrailReading] {
    /// Rules against stable that count for a step.
    private var comparisons: [GuardrailReading] { filter { $0.isComparison && !$0.isDryRun } }

    /// Why no rule against stable has anything to compare; nil where one has, and where there is none.
    var uncompared: String? {
        let all = comparisons
        guard let first = all.first, all.allSatisfy({ $0.verdict == .notEnoughData }) else { return nil }
        return "no rule against stable has compared the two (\(first.name): \(first.reason))"
    }

    /// "; failing, and only alerting: <name> (<reason>)".
    fileprivate var onlyAlerting: String {
        let failing = filter { $0.verdict == .fail && $0.isOnlyAlert && !$0.isDryRun }
        let list = failing.map { "\($0.name) (\($0.reason))" }.joined(separator: ", ")
        return failing.isEmpty ? "" : "; failing, and only alerting: \(list)"
    }

    /// "; undecided: <name> at 93.0 % of a trip, <name>", the nearest first.
    fileprivate var undecidedList: String {
        let open = comparisons.filter { $0.verdict == .notEnoughData }.sorted { $0.progress > $1.progress }
        guard !open.isEmpty else { return "" }
        let shown = open.prefix(3).map {
            $0.progress < 0.01 ? $0.name : "\($0.name) at \(Sentence.percent($0.progress)) of a trip"
        }
        let more = open.count > 3 ? [" and \(open.count - 3) more"] : []
        return "; undecided: \(shown.joined(separator: ", "))\(more.joined())"
    }
}

extension GuardrailReading {
    /// Whether the rule itself does nothing but alert.
    var isOnlyAlert: Bool { (ruleAction ?? action) == .alert }

    /// Whether it is at least half way to a trip and its figures are beyond its limit, or wait for stable's.
    var isHalfProven: Bool {
        isComparison && verdict == .notEnoughData && asleepSince == nil && progress >= 0.5
    }
}
