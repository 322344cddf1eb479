// What a staged rollout needs beside evidence: whether its candidate may have users at all, and whether now
// is a time for changes. Facts only; what follows from them is the machine's.
// Invariant: what was not checked is unknown, never passed.

import Config
import Logging
import Metrics
import Platform
import Proxy
import Rollout

extension ControlLoop {
    /// The conditions of a model's step.
    func conditions(_ i: Int) -> RolloutConditions {
        let stable = models[i].stableUse
        let reached = stable == .usable ? [] : models[i].reached(lastTick)
        guard let program = models[i].decided.setup.program else {
            return RolloutConditions(stable: stable, reached: reached)
        }
        let blackout = blackout(models[i].config)
        let preflight = preflight(i, candidate: program.candidate)
        return RolloutConditions(
            blackout: blackout?.text, blackoutAlertsOnly: blackout?.alertsOnly ?? false,
            preflight: preflight.reading, preflightReason: preflight.reason, stable: stable,
            reached: reached)
    }

    /// What stands between a candidate and its first percent, with a sentence.
    func preflight(_ i: Int, candidate: String) -> (reading: PreflightReading, reason: String) {
        let model = models[i].config
        if let trouble = whyNoRaise {
            return (.unknown, "\(trouble), and a step must be durable first")
        }
        if model.preflight != nil {
            guard let report = preflights[PreflightKey(model: model.name, candidate: candidate)] else {
                return (.unknown, "")
            }
            if report.reading != .passed { return (report.reading, report.reason) }
        }
        for version in [model.stable, candidate] where !isUsable(i, version) {
            return (.unknown, "no endpoint of \(version) is healthy")
        }
        return (.passed, model.preflight == nil ? "nothing was asked for" : "everything is right")
    }

    /// Candidates of a fixed split whose weight waits for their checks, with what is wrong.
    func heldCandidates(_ i: Int) -> [(version: String, reason: String)] {
        let (model, state) = (models[i].config, models[i].decided)
        if case .promoted = state.phase { return [] }
        return model.candidatesToProve.compactMap { candidate in
            let key = PreflightKey(model: model.name, candidate: candidate)
            guard state.weights[candidate] ?? 0 > 0, !proven.contains(key) else { return nil }
            return (candidate, preflights[key]?.reason ?? "its pre-flight checks have not answered yet")
        }
    }

    private func isUsable(_ i: Int, _ version: String) -> Bool {
        guard let index = models[i].config.index(of: version) else { return false }
        return plan.models[i].versions[index].endpoints.contains { health[$0.slot] ?? true }
    }

    /// The window in force; time zones are asked once a second.
    private func blackout(_ model: ModelConfig) -> BlackoutWindow? {
        guard let rollout = model.rollout, !rollout.blackouts.isEmpty else { return nil }
        let second = wallMicros / 1_000_000
        if let known = blackouts[model.name], known.second == second { return known.window }
        let window = rollout.blackout(wallMicros: wallMicros)
        blackouts[model.name] = (second, window)
        return window
    }

    /// Takes in a round of checks. A candidate with a fixed weight that is proven not to be what it claims is
    /// taken out here; one in a program, by the machine.
    package func take(_ report: PreflightReport) {
        guard let i = indexByName[report.model] else { return }
        let key = PreflightKey(model: report.model, candidate: report.candidate)
        let before = preflights.updateValue(report, forKey: key)
        if report.reading == .passed, proven.insert(key).inserted,
            models[i].config.candidatesToProve.contains(report.candidate)
        {
            // A fixed split gives it its weight now.
            isPlanWanted = true
        }
        guard before?.reading != report.reading || before?.reason != report.reason else { return }
        log.log(
            level: report.reading == .passed ? .notice : .warning,
            "pre-flight of \(report.candidate): \(report.reason)", metadata: ["model": "\(report.model)"])
        if before?.reading != report.reading {
            note([
                JournalEvent(
                    at: wallMicros, .preflight, model: report.model, reason: report.reason,
                    details: [
                        .init("version", .string(report.candidate)),
                        .init("verdict", .string(report.reading.word)),
                    ])
            ])
        }
        guard case .failed = report.reading else { return }
        owedCuts.append(key)
        settleOwedCuts()
    }

    /// Cuts candidates of fixed splits whose checks have failed, those for which stable has an endpoint.
    func settleOwedCuts() {
        guard !owedCuts.isEmpty else { return }
        let due = owedCuts
        owedCuts = []
        for key in due where !owedCuts.contains(key) {
            guard let i = indexByName[key.model], case .failed(let reason)? = preflights[key]?.reading else {
                continue
            }
            let state = models[i].decided
            guard state.setup.program?.candidate != key.candidate,
                state.setup.candidates.contains(key.candidate), state.quarantined[key.candidate] == nil
            else { continue }
            guard obstacle(i, toCut: [key.candidate]) == nil else {
                owedCuts.append(key)
                continue
            }
            apply(
                i,
                .verb(
                    VerbRequest(
                        verb: .rollback(version: key.candidate), actor: VerbRequest.weir, reason: reason)),
                verb: nil)
        }
    }

    /// What keeps automation from cutting versions of a model; nil: nothing does.
    func obstacle(_ i: Int, toCut versions: [String]) -> String? {
        guard models[i].stableUse != .usable else { return nil }
        return RolloutMachine.obstacle(models[i].decided, toCut: versions, conditions(i))
    }

    /// Every cut of a model that waits for stable, whoever ordered it.
    func withheldCuts(_ i: Int) -> [CutWithheld] {
        guard models[i].stableUse != .usable else { return [] }
        let judged = RolloutMachine.withheldCuts(
            models[i].decided, models[i].versionReadings, conditions(i), steadyMicros: steadyMicros)
        return judged + orderedCuts(i).filter { cut in !judged.contains { $0.version == cut.version } }
    }

    /// Those that no guardrail of the model orders, but its checks before a fixed split, or its group.
    private func orderedCuts(_ i: Int) -> [CutWithheld] {
        let (name, state) = (models[i].config.name, models[i].decided)
        var all: [CutWithheld] = []
        func add(_ versions: [String], _ guardrail: String) {
            guard let obstacle = obstacle(i, toCut: versions) else { return }
            for version in versions where !all.contains(where: { $0.version == version }) {
                all.append(
                    CutWithheld(
                        version: version, guardrail: guardrail, because: "would cut, but \(obstacle)"))
            }
        }
        add(owedCuts.filter { $0.model == name }.map(\.candidate), "preflight")
        if let trip = saved.groupTrips.first(where: { $0.rest.contains(name) }) {
            let due = trip.due?[name] ?? state.setup.candidates
            add(openCandidates(name).filter(due.contains), "group \(trip.group)")
        }
        return all
    }

    /// Says of cuts that checks or a group have ordered that they wait for stable, each once while it waits.
    /// What guardrails order, the machine says.
    func tellOrderedCuts() {
        guard !owedCuts.isEmpty || !saved.groupTrips.isEmpty || !toldWithheld.isEmpty else { return }
        var waiting: Set<WithheldKey> = []
        for i in models.indices where models[i].stableUse.isGone {
            for cut in orderedCuts(i) {
                let key = WithheldKey(
                    model: models[i].config.name, version: cut.version, cause: cut.guardrail)
                guard waiting.insert(key).inserted, !toldWithheld.contains(key) else { continue }
                tell(cut, i)
            }
        }
        toldWithheld = waiting
    }

    func tell(_ cut: CutWithheld, _ i: Int) {
        let event = JournalEvent(
            at: wallMicros, .alert, model: models[i].config.name,
            reason: "\(cut.version) is not cut: \(cut.guardrail) \(cut.because)",
            details: [
                .init("version", .string(cut.version)), .init("instead_of", "cut"),
                .init("because", .string(cut.because)),
            ])
        log.warning("\(event.reason)", metadata: ["model": "\(models[i].config.name)"])
        let told = addressed(event, i, models[i].decided)
        note([told])
        _ = announce([told])
    }

    /// Tells the checks whom to ask; a `retry` warms up anew.
    func alignPreflights() {
        let attempts = Dictionary(
            uniqueKeysWithValues: models.map { ($0.config.name, $0.decided.climb?.attempt ?? 1) })
        let targets = PreflightTarget.all(of: config, attempts: attempts)
        guard targets != preflightTargets else { return }
        let kept = Set(targets.filter(preflightTargets.contains).map(PreflightKey.init))
        preflights = preflights.filter { kept.contains($0.key) }
        proven.formIntersection(kept)
        isPlanWanted = isPlanWanted || config.models.contains { !$0.candidatesToProve.isEmpty }
        preflightTargets = targets
        hooks.onPreflight(targets)
    }
}

/// Whose checks.
struct PreflightKey: Hashable, Sendable {
    var model: String
    var candidate: String

    init(model: String, candidate: String) {
        self.model = model
        self.candidate = candidate
    }

    init(_ target: PreflightTarget) {
        self.init(model: target.model, candidate: target.candidate.name)
    }
}

extension PreflightReading {
    /// The verdict's word in status and journal.
    package var word: String {
        switch self {
        case .unknown: "unknown"
        case .passed: "passed"
        case .failed: "failed"
        }
    }
}
