// What `weir check` says about a config: every problem with its place, or what the file amounts to, so that
// a reader sees the split and the guardrails that will be in force before anything runs.
// Place: behind `ConfigLoader`; what this machine has to say to it is `ConfigCheck+Machine.swift`.
// Invariant: a function of the result and the wall clock, which is an argument.

import Payload
import Platform
import Proxy
import Rollout

/// The answer of `weir check`.
package struct ConfigCheck: Sendable, Equatable {
    /// 0; 78 (EX_CONFIG of sysexits) when the config is wrong; 71 when this machine is too small for it and
    /// that was asked.
    package var exitCode: Int32
    /// What to print: to standard output unless the config is wrong, to standard error then.
    package var text: String
    /// Why weir would not start with it on this machine; nil when it would, and when the config is wrong.
    package var refusalHere: String?

    /// Problems printed before the rest is only counted.
    private static let problemsMax = 100

    /// A model's split and guardrails, as the text names them.
    package static func json(_ model: ModelConfig) -> JSON {
        let weights = PlanBuilder.weights(of: model, asked: model.weights ?? [:], quarantined: [])
        return [
            "name": .string(model.name), "stable": .string(model.stable),
            "weights": .object(
                zip(model.versions, weights).map { .init($0.name, .string(Notation.text(ppm: $1))) }),
            "guardrails": .array(
                model.guardrails.map { ["name": .string($0.name), "does": .string($0.summary)] }),
            "without_stable_traffic": .optional(model.guardrails.withoutStable()),
            "stage_guardrails": .array(
                (model.writtenRollout?.program.stages ?? []).enumerated().flatMap { i, stage -> [JSON] in
                    stage.guardrails.map { guardrail -> JSON in
                        [
                            "stage": .integer(Int64(i + 1)), "name": .string(guardrail.name),
                            "does": .string(guardrail.summary),
                        ]
                    }
                }),
        ]
    }

    /// Puts the result of reading a config into words.
    /// - Parameter wallMicros: microseconds since 1970, for what is over by then; nil: nothing is.
    package static func of(
        _ result: Result<Config, ConfigProblems>, file: String, wallMicros: UInt64? = nil
    ) -> ConfigCheck {
        switch result {
        case .success(let config) where !config.absentFiles.isEmpty:
            ConfigCheck(exitCode: 78, text: report(config.absentFiles, file: file, ofFilesOnly: true))
        case .success(let config):
            ConfigCheck(exitCode: 0, text: summary(config, file: file, wallMicros))
        case .failure(let problems): ConfigCheck(exitCode: 78, text: report(problems.all, file: file))
        }
    }

    private static func report(
        _ problems: [ConfigProblem], file: String, ofFilesOnly: Bool = false
    ) -> String {
        var lines = problems.prefix(problemsMax).map(\.description)
        if problems.count > problemsMax { lines.append("… and \(problems.count - problemsMax) more") }
        if ofFilesOnly {
            lines.append("nothing else is wrong; for a config of another machine there is --elsewhere")
        }
        lines.append(
            "\(file): \(problems.count) problem\(problems.count == 1 ? "" : "s")")
        return page(lines)
    }

    private static func summary(_ config: Config, file: String, _ wallMicros: UInt64?) -> String {
        var lines = [
            "\(file): fine",
            "listening on \(config.listeners.map(\.description).joined(separator: ", ")); "
                + "admin on \(config.admin); state in \(config.stateDir)",
        ]
        for model in config.models { lines += summary(model, wallMicros) }
        for group in config.groups {
            lines.append(
                "group \(group.name): \(group.models.joined(separator: ", ")), promoted and cut together")
        }
        for action in config.actions { lines.append("action \(action.name): \(action.sentence)") }
        lines.append("sha256 \(config.digest)")
        return page(lines)
    }

    /// Commands and aliases come from the file, and may have line feeds in them.
    private static func page(_ lines: [String]) -> String {
        lines.map { ForeignText.line($0) + "\n" }.joined()
    }

    private static func summary(_ model: ModelConfig, _ wallMicros: UInt64?) -> [String] {
        var lines = [
            "model \(model.name): \(model.matches.map(\.text).joined(separator: "; "))"
        ]
        let weights = PlanBuilder.weights(of: model, asked: model.weights ?? [:], quarantined: [])
        for (version, weight) in zip(model.versions, weights) {
            let role = model.role(of: version.name)?.rawValue ?? "no role"
            let endpoints = version.endpoints.map(\.description).joined(separator: ", ")
            // A control arm's name says its role.
            let name = version.name == model.control?.version ? version.name : "\(version.name) (\(role))"
            lines.append("  version \(name): \(Notation.text(ppm: weight)) to \(endpoints)")
        }
        if let source = model.source { lines += source.summary }
        if let shadow = model.shadow { lines.append("  shadow: \(shadow.text)") }
        for cohort in model.cohorts { lines.append("  cohort \(cohort.name): \(cohort.version)") }
        if !model.candidatesToProve.isEmpty {
            lines.append("  preflight: candidates have no weight until their checks have passed once")
        }
        for guardrail in model.guardrails {
            lines.append("  guardrail \(guardrail.name): \(guardrail.summary)")
        }
        if let sentence = model.guardrails.withoutStable() {
            lines.append("  without stable traffic: \(sentence)")
        }
        let rollout = model.writtenRollout
        if model.allGuardrails.isEmpty, !model.candidates.isEmpty || model.source != nil {
            lines.append(
                rollout == nil
                    ? "  NO GUARDRAILS: nothing cuts, holds or alerts; this is a plain split, or an A/B test"
                    : "  NO GUARDRAILS: nothing cuts or alerts; only the stages' own conditions hold the"
                        + " rollout")
        }
        if let rollout { lines += rollout.summary(wallMicros, beside: model.guardrails) }
        if model.guardrails.isEmpty, model.candidates.isEmpty, model.source == nil {
            lines.append("  no candidate, no guardrails")
        }
        return lines
    }
}

extension [GuardrailSpec] {
    /// Which of them go on without stable's traffic, as after a promotion, which then compare with stable as
    /// it was, and which sleep; nil where there are none.
    /// - Parameter known: the rules by which enough is known of stable now; nil: nothing runs yet.
    package func withoutStable(knowing known: Set<String>? = nil) -> String? {
        guard !isEmpty else { return nil }
        func list(_ specs: [GuardrailSpec]) -> String {
            specs.isEmpty ? "none" : specs.map(\.name).joined(separator: ", ")
        }
        func knows(_ spec: GuardrailSpec) -> Bool { known?.contains(spec.name) ?? true }
        let asleep = filter { !$0.watchesAlone && !$0.watchesPinned }
        let unknown = filter { $0.watchesPinned && !knows($0) }
        let condition = known == nil ? ", or asleep where too little of it is known" : ""
        var parts = ["watching: \(list(filter(\.watchesAlone)))"]
        for word in GuardrailSpec.WithoutStable.allCases {
            let some = filter { $0.watchesPinned && knows($0) && $0.withoutStable == word }
            if !some.isEmpty {
                parts.append("compared with stable as it was\(condition) (\(word.inCheck)): \(list(some))")
            }
        }
        if !unknown.isEmpty {
            parts.append("asleep, because too little is known of stable as it was: \(list(unknown))")
        }
        if !asleep.isEmpty || parts.count == 1 { parts.append("asleep: \(list(asleep))") }
        return parts.joined(separator: "; ")
    }
}

extension GuardrailSpec.WithoutStable {
    /// What a trip does, in `weir check` and in the answer to a promotion.
    fileprivate var inCheck: String {
        switch self {
        case .hold: "hold in a stage or a bake, else alert"
        case .alert, .cut, .sleep: rawValue
        }
    }
}

extension CandidateSource {
    /// Whom it asks, and what the answers stand for.
    fileprivate var summary: [String] {
        var lines = ["  candidate by \(text), every \(Notation.text(every))"]
        for (number, version) in versions.sorted(by: { ($0.key.count, $0.key) < ($1.key.count, $1.key) }) {
            let weight = weights?[version].map { " at \(Notation.text(ppm: $0))" } ?? ""
            lines.append("    version \(number): \(version)\(weight)")
        }
        return lines
    }
}

extension RolloutConfig {
    /// One line per stage, such as `stage 2: 1% for 10m, 1,000 requests, 2 gates`.
    /// - Parameter guardrails: the model's own.
    fileprivate func summary(_ wallMicros: UInt64?, beside guardrails: [GuardrailSpec]) -> [String] {
        let who = program.candidate.isEmpty ? "whichever the registry names" : program.candidate
        var lines = ["  rollout of \(who)\(program.startsByItself ? "" : ", started by hand")"]
        if program.isDryRun { lines[0] += ", dry run: a stage with weight is left by skip alone" }
        for (i, stage) in program.stages.enumerated() {
            var parts = [stage.weightPPM > 0 ? Notation.text(ppm: stage.weightPPM) : "no users"]
            if stage.shadowPPM > 0 { parts[0] += ", \(Notation.text(ppm: stage.shadowPPM)) copied" }
            if stage.holdMicros > 0 { parts[0] += " for \(Notation.text(.micros(stage.holdMicros)))" }
            if stage.minRequests > 0 { parts.append("\(stage.minRequests) requests") }
            if stage.minKeys > 0 { parts.append("\(stage.minKeys) keys") }
            if !stage.gates.isEmpty {
                parts.append("gates " + stage.gates.map(\.name).joined(separator: " and "))
            }
            if stage.needsApproval { parts.append("approval") }
            lines.append("    stage \(i + 1): " + parts.joined(separator: ", "))
            lines += summary(
                stage, knownBy: guardrails + program.stages[..<i].flatMap(\.guardrails))
        }
        if program.bakeMicros > 0 {
            lines.append(
                "    bake: \(Notation.text(.micros(program.bakeMicros))),"
                    + " \(Notation.text(ppm: program.holdBackPPM)) held back")
        }
        if let micros = program.deadlineMicros {
            lines.append("    deadline: \(Notation.text(.micros(micros))) after its start, then it is held")
        }
        if let ends = program.endsAtMicros {
            let isOver = wallMicros.map(program.isOver) ?? false
            lines.append(
                "    ends: \(Timestamp.text(wallMicros: ends))"
                    + (isOver ? " HAS PASSED: a rollout that has not started does not start" : ""))
        }
        if let micros = program.rollbackWindowMicros {
            lines.append(
                "    rollback window: guardrails cut until \(Notation.text(.micros(micros))) after the"
                    + " promotion, and alert from then on")
        }
        if let control { lines.append("    control: \(control.sentence)") }
        for window in blackouts { lines.append("    blackout: \(window.text)") }
        return lines
    }
}

extension RolloutConfig {
    /// A stage's own guardrails, and what becomes of them where stable has no traffic.
    private func summary(_ stage: RolloutStage, knownBy others: [GuardrailSpec]) -> [String] {
        let rules = stage.guardrails
        var lines = rules.map { "      guardrail \($0.name): \($0.summary)" }
        guard stage.weightPPM == RolloutState.whole, let sentence = rules.withoutStable() else {
            return lines
        }
        lines.append("      without stable traffic: \(sentence)")
        let blind = rules.filter { rule in
            rule.watchesPinned && !others.contains { $0.watchesPinned && $0.countsStable(as: rule) }
        }
        if !blind.isEmpty {
            lines.append(
                "      NOTHING TO COMPARE WITH: \(blind.map(\.name).joined(separator: ", "))"
                    + " \(blind.count == 1 ? "sleeps" : "sleep") in this stage: stable has no traffic, and no"
                    + " rule of the model or of an earlier stage measures the same")
        }
        return lines
    }
}

extension ControlArm {
    /// What it takes, and what that costs.
    fileprivate var sentence: String {
        let most = Notation.text(ppm: sharePPM)
        let servers =
            hasOwnEndpoints ? "at servers of its own" : "through connections of its own to stable's servers"
        return "\(version) takes as much of stable's traffic as the candidate has, at most \(most) of all"
            + " requests, \(servers); compared in place of all of stable, so evidence comes slower; withdrawn"
            + " where it is worse than the rest of stable"
    }
}

extension GuardrailSpec {
    /// What the rule does, and the rule in the words that status, reports and cuts have for it: `cut when
    /// error rate above 2.0 %, alpha 1.0 %`.
    package var summary: String {
        let from = rule.isWindow && minRequests > 1 ? ", from \(minRequests) requests" : ""
        return "\(isDryRun ? "dry run: " : "")\(action.rawValue) when \(sentence)\(from)"
    }
}
