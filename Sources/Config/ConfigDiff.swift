// What a reload would change, in sentences for the log, the journal and the answer of the admin call; and
// what it cannot change, because listeners, the memory of the data plane and the state on disk are set up
// once. A reload with a refusal changes nothing at all.

import Platform
import Proxy
import Rollout

/// The difference between the config in force and another.
package struct ConfigDiff: Sendable, Equatable {
    /// What changes, one sentence each, in the order of the file; empty: nothing does.
    package private(set) var changes: [String] = []
    /// What only a restart can change, one sentence each; not empty: the reload is refused.
    package private(set) var refusals: [String] = []

    package init(from old: Config, to new: Config) {
        if old.admin != new.admin {
            refusals.append(
                "admin.listen changed from \(old.admin) to \(new.admin), which needs a restart; until then "
                    + "commands that read the address from this file need --admin \(old.admin)")
        }
        refuse("state_dir", old.stateDir, new.stateDir)
        refuse("listeners", list(old.listeners), list(new.listeners))
        refuse("cores", cores(old.cores), cores(new.cores))
        refuse("journal", old.journal.text, new.journal.text)
        refuse("feedback", old.feedback, new.feedback)
        if old.limits != new.limits || old.limitsWritten != new.limitsWritten {
            refusals.append("limits changed; a running Weir keeps the memory it started with: restart it")
        }
        if old.trusted != new.trusted {
            changes.append(
                "trusted_proxies: \(list(old.trusted.map(\.text))) -> \(list(new.trusted.map(\.text)))")
        }
        compare("access_log", old.accessLog.text, new.accessLog.text)
        compare("drain", "\(old.drain)", "\(new.drain)")
        compareActions(old.actions, new.actions)
        if old.groups != new.groups { changes.append("groups change") }
        for model in new.models {
            if let before = old.model(model.name) {
                compare(before, model)
            } else {
                changes.append("model \(model.name) is new, with \(names(model.versions.map(\.name)))")
            }
        }
        for model in old.models where new.model(model.name) == nil {
            changes.append("model \(model.name) is gone")
        }
        if old.models.map(\.name) != new.models.map(\.name), changes.isEmpty {
            changes.append("the models stand in another order")
        }
    }

    private mutating func compare(_ old: ModelConfig, _ new: ModelConfig) {
        let model = "model \(new.name): "
        compare(model + "match", list(old.matches.map(\.text)), list(new.matches.map(\.text)))
        compareVersions(old, new)
        compare(model + "stable", old.stable, new.stable)
        compareSources(old, new)
        compare(model + "candidates", names(old.candidates), names(new.candidates))
        compareWeights(old, new)
        if old.stickyKeys != new.stickyKeys { changes.append(model + "the sticky keys change") }
        if old.salt != new.salt { changes.append(model + "the salt changes: every sticky key is dealt anew") }
        compareCohorts(old, new)
        compare(model + "shadow", old.shadow?.text ?? "none", new.shadow?.text ?? "none")
        if old.shadow?.text == new.shadow?.text, old.shadow != new.shadow {
            changes.append(model + "the shadow's conditions and bounds change")
        }
        compareGuardrails(old, new)
        let others: [(String, Bool)] = [
            ("timeouts", old.timeouts != new.timeouts), ("retries", old.retries != new.retries),
            (
                "response_headers",
                old.sendsVersion != new.sendsVersion || old.sendsID != new.sendsID
                    || old.sendsEpoch != new.sendsEpoch
            ),
            ("values", old.values != new.values), ("captures", old.captures != new.captures),
            ("rollout", old.writtenRollout != new.writtenRollout),
            ("preflight", old.preflight != new.preflight),
            ("runbook_url", old.runbookURL != new.runbookURL),
        ]
        for (key, isChanged) in others where isChanged { changes.append(model + "\(key) change") }
        compare(model + "shield", "\(old.shield)", "\(new.shield)")
        compare(model + "client_errors", old.clientErrors.rawValue, new.clientErrors.rawValue)
        compare(
            model + "client_half_close", old.clientHalfClose.rawValue, new.clientHalfClose.rawValue)
        compare(model + "cool_down", Notation.text(old.coolDown), Notation.text(new.coolDown))
    }

    private mutating func compareSources(_ old: ModelConfig, _ new: ModelConfig) {
        let model = "model \(new.name): "
        let file = "the file"
        compare(model + "the candidate comes from", old.source?.text ?? file, new.source?.text ?? file)
        guard let before = old.source, let now = new.source, before.text == now.text else { return }
        if before.versions != now.versions {
            changes.append(model + "the registry's versions stand for others")
        }
        if before.weights != now.weights {
            changes.append(model + "the weights of versions that the registry may name change")
        }
        if before.access != now.access || before.every != now.every || before.missing != now.missing {
            changes.append(model + "the registry is asked in another way")
        }
    }

    private mutating func compareActions(_ old: [ActionConfig], _ new: [ActionConfig]) {
        for action in new {
            let before = old.first { $0.name == action.name }
            if before == nil { changes.append("action \(action.name) is new") }
            if let before, before != action { changes.append("action \(action.name) changes") }
        }
        for action in old where !new.contains(where: { $0.name == action.name }) {
            changes.append("action \(action.name) is gone")
        }
    }

    private mutating func compareVersions(_ old: ModelConfig, _ new: ModelConfig) {
        let model = "model \(new.name): "
        for version in new.versions {
            guard let before = old.version(version.name) else {
                changes.append(model + "version \(version.name) is new, at \(list(version.endpoints))")
                continue
            }
            compare(
                model + "endpoints of \(version.name)", list(before.endpoints), list(version.endpoints))
            var rest = before
            rest.endpoints = version.endpoints
            if rest != version { changes.append(model + "the settings of \(version.name) change") }
        }
        for version in old.versions where new.version(version.name) == nil {
            changes.append(model + "version \(version.name) is gone")
        }
    }

    /// Weights as written; what is in force may differ by verbs and cuts.
    private mutating func compareWeights(_ old: ModelConfig, _ new: ModelConfig) {
        for candidate in new.candidates {
            compare(
                "model \(new.name): weight of \(candidate)",
                Notation.text(ppm: old.weights?[candidate] ?? 0),
                Notation.text(ppm: new.weights?[candidate] ?? 0))
        }
        if (old.weights == nil) != (new.weights == nil) {
            changes.append("model \(new.name): weights are \(new.weights == nil ? "left out" : "given") now")
        }
    }

    private mutating func compareCohorts(_ old: ModelConfig, _ new: ModelConfig) {
        let model = "model \(new.name): "
        for cohort in new.cohorts {
            guard let before = old.cohorts.first(where: { $0.name == cohort.name }) else {
                changes.append(model + "cohort \(cohort.name) is new, for \(cohort.version)")
                continue
            }
            compare(model + "version of cohort \(cohort.name)", before.version, cohort.version)
            if before.conditions != cohort.conditions {
                changes.append(model + "the conditions of cohort \(cohort.name) change")
            }
        }
        for cohort in old.cohorts where !new.cohorts.contains(where: { $0.name == cohort.name }) {
            changes.append(model + "cohort \(cohort.name) is gone")
        }
        let kept = old.cohorts.map(\.name).filter { name in new.cohorts.contains { $0.name == name } }
        let now = new.cohorts.map(\.name).filter { name in old.cohorts.contains { $0.name == name } }
        if kept != now { changes.append(model + "the order of the cohorts changes") }
    }

    private mutating func compareGuardrails(_ old: ModelConfig, _ new: ModelConfig) {
        let model = "model \(new.name): "
        for guardrail in new.guardrails {
            let before = old.guardrails.first { $0.name == guardrail.name }
            if before == nil { changes.append(model + "guardrail \(guardrail.name) is new") }
            if let before, before != guardrail {
                changes.append(
                    model + "guardrail \(guardrail.name) changes and starts with new evidence"
                        + lost(before, guardrail, old))
            }
        }
        for guardrail in old.guardrails where !new.guardrails.contains(where: { $0.name == guardrail.name }) {
            changes.append(model + "guardrail \(guardrail.name) is gone")
        }
    }

    /// What a changed rule no longer knows of stable as it was.
    private func lost(_ before: GuardrailSpec, _ new: GuardrailSpec, _ old: ModelConfig) -> String {
        guard before.watchesPinned, new.watchesPinned,
            !old.guardrails.contains(where: { $0.watchesPinned && $0.countsStable(as: new) })
        else { return "" }
        return before.measure == new.measure
            ? ", also of stable as it was: under sticky keys failures were counted once per key and minute"
            : ", also of stable as it was: it measures something else"
    }

    private mutating func compare(_ what: String, _ old: String, _ new: String) {
        if old != new { changes.append("\(what): \(old) -> \(new)") }
    }

    private mutating func refuse<Value: Equatable>(_ key: String, _ old: Value, _ new: Value) {
        if old != new { refusals.append("\(key) changed from \(old) to \(new), which needs a restart") }
    }
}

private func list<Item: CustomStringConvertible>(_ items: [Item]) -> String {
    items.isEmpty ? "none" : items.map(\.description).joined(separator: ", ")
}

private func names(_ names: [String]) -> String { list(names) }

private func cores(_ count: Int?) -> String { count.map(String.init) ?? "one per CPU" }

extension AccessLogConfig {
    /// Where to and how many, in words.
    package var text: String {
        switch destination {
        case .none: "none"
        case .standardOutput: "standard output, \(Notation.text(ppm: samplePPM))"
        case .file(let path): "\(path), \(Notation.text(ppm: samplePPM))"
        }
    }
}

extension ShadowConfig {
    /// Version and share, in words.
    package var text: String { "\(version), \(Notation.text(ppm: ppm))" }
}
