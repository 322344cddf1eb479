// The laws of one step of the rollout machine, written down a second time and without its help: a step that
// moves weight has to show every condition itself.

import Rollout

/// One step and what must be true of it.
struct Law {
    let before: RolloutState
    let input: RolloutInput
    let after: RolloutState
    let actions: [RolloutAction]
    let wallMicros: UInt64

    /// The first law that is broken, in words.
    var broken: String? {
        if after.weights.values.reduce(0, { $0 + UInt64($1) }) != 1_000_000 { return "weights do not sum up" }
        let names = Set([after.setup.stable] + after.setup.candidates)
        if Set(after.weights.keys) != names { return "weights do not name the versions" }
        if after.quarantined.keys.contains(where: { after.weights[$0] ?? 0 > 0 }) {
            return "a quarantined version has weight"
        }
        if let shadow = after.shadow,
            after.quarantined[shadow.version] != nil || !names.contains(shadow.version)
        {
            return "a quarantined or unknown version has a shadow"
        }
        if after.epoch < before.epoch || after.cutCount < before.cutCount { return "a counter ran back" }
        if after.weights != before.weights, after.epoch == before.epoch { return "the epoch stood still" }
        return brokenByPhase ?? brokenByInput ?? brokenByActions
    }

    // MARK: Phases

    private var brokenByPhase: String? {
        let program = after.setup.program
        if (program == nil) != (after.climb == nil) { return "a climb without a program, or the reverse" }
        if let program, let climb = after.climb, program.candidate != climb.candidate {
            return "the climb is another candidate's"
        }
        switch after.phase {
        case .cut:
            if after.shadow != nil { return "a cut leaves a shadow" }
            return after.weights[after.setup.stable] == 1_000_000 ? nil : "a cut leaves weight on a candidate"
        case .promoted(let record):
            if after.shadow != nil { return "a promotion leaves a shadow" }
            return after.weights[record.version] == 1_000_000 ? nil : "a promoted version lacks weight"
        case .split: return program == nil ? nil : "a program is split"
        case .paused: return nil
        case .held: return program == nil ? "held without a program" : nil
        case .waiting, .stage, .baking: return brokenByPlace
        }
    }

    private var brokenByPlace: String? {
        guard let program = after.setup.program, let climb = after.climb else { return "no program" }
        if program.isDryRun {
            return after.shadow == nil ? nil : "a dry run has a shadow"
        }
        let weight = after.weights[climb.candidate]
        switch (after.phase, climb.place) {
        case (.waiting, .before): return weight == 0 && after.shadow == nil ? nil : "weight before the start"
        case (.stage, .stage(let i)):
            guard i < program.stages.count else { return "a stage that is not there" }
            let shadow = program.stages[i].shadowPPM
            if after.shadow?.ppm ?? 0 != shadow { return "another shadow than the stage's" }
            return weight == program.stages[i].weightPPM ? nil : "another weight than the stage's"
        case (.baking, .baking):
            return weight == 1_000_000 - program.holdBackPPM ? nil : "another weight than the bake's"
        default: return "phase and place differ"
        }
    }

    // MARK: Inputs

    private var brokenByInput: String? {
        switch input {
        case .verb(let request): return brokenByVerb(request)
        case .configured:
            if case .cut = before.phase, after.phase != before.phase { return "a configuration left a cut" }
            let raised = before.quarantined.keys.contains {
                after.weights[$0] ?? 0 > 0 && $0 != after.setup.stable
            }
            return raised ? "a configuration exposed a quarantined version" : nil
        case .tick(let readings, _, let stage, let conditions):
            return brokenByTick(readings, stage, conditions)
        case .controlFailed:
            let isSame = after.weights == before.weights && after.phase == before.phase
            return isSame ? nil : "a control arm that failed moved the rollout"
        }
    }

    private func brokenByVerb(_ request: VerbRequest) -> String? {
        guard case .answer(let answer)? = actions.last else { return "a verb got no answer" }
        if case .refused = answer, after != before { return "a refused verb changed something" }
        let freed = Set(before.quarantined.keys).subtracting(after.quarantined.keys)
        var isRaised = false
        for name in after.setup.candidates where after.weights[name] ?? 0 > before.weights[name] ?? 0 {
            isRaised = true
        }
        if isRaised, !request.force, before.isCoolingDown(steadyMicros: wallMicros) {
            return "\(request.verb.word) gave weight during a cool-down"
        }
        switch request.verb {
        case .retry, .unquarantine:
            // In a dry run the configured weights come back, which is all that there is to retry.
            let isDryRun = after.setup.program?.isDryRun ?? false
            if isRaised, !isDryRun || request.verb != .retry { return "\(request.verb.word) gave weight" }
        case .promote, .weights:
            if !freed.isEmpty, !request.force { return "a quarantine was lifted without force" }
        case .rollback, .pause, .resume, .start, .approve, .skip, .hold:
            if !freed.isEmpty { return "\(request.verb.word) lifted a quarantine" }
        }
        switch request.verb {
        case .rollback, .pause, .hold, .approve:
            if isRaised { return "\(request.verb.word) gave weight" }
        case .start:
            if isRaised, !request.force { return "a start did not wait for its conditions" }
        case .retry:
            let name = before.climb?.candidate ?? ""
            if !freed.isEmpty, !request.force, before.cutsByVersion[name] ?? 0 > 1 {
                return "a version that was cut twice came back without force"
            }
        case .promote, .weights, .unquarantine, .resume, .skip: break
        }
        return nil
    }

    private func brokenByTick(
        _ readings: [VersionReadings], _ stage: StageReading?, _ conditions: RolloutConditions
    ) -> String? {
        let tripped = before.setup.candidates.filter { version in
            before.quarantined[version] == nil && isCutNow(version, readings, conditions)
        }
        guard tripped.isEmpty else {
            guard case .cut(let record) = after.phase, Set(record.versions) == Set(tripped) else {
                return "a trip did not cut in its step"
            }
            let isBarred = actions.contains {
                if case .cut(let all) = $0 { Set(all) == Set(tripped) } else { false }
            }
            return isBarred ? nil : "a trip did not bar its versions"
        }
        if after.phase.isCut != before.phase.isCut { return "a cut without a trip" }
        if before.setup.program?.isDryRun ?? false, after.weights != before.weights {
            return "a dry run moved weight"
        }
        switch (before.phase, after.phase) {
        case (.waiting, .waiting), (.stage, .held), (.baking, .held):
            return after.weights == before.weights ? nil : "weights moved in a hold"
        case (.stage, .stage) where before.climb?.place == after.climb?.place, (.baking, .baking):
            if isLate { return "the deadline did not hold" }
            return after.weights == before.weights ? nil : "weights moved without a step"
        case (.waiting, .stage), (.stage, .stage), (.stage, .baking), (.stage, .promoted),
            (.baking, .promoted):
            if isLate { return "promoted past the deadline" }
            return unproven(readings, stage, conditions)
        default:
            return after.phase == before.phase && after.weights == before.weights
                ? nil : "a tick moved a standstill"
        }
    }

    private var isLate: Bool {
        guard before.phase != .waiting, let limit = before.setup.program?.deadlineMicros,
            let from = before.climb?.deadlineFromMicros
        else { return false }
        return wallMicros >= from + limit
    }

    private func isCutNow(
        _ version: String, _ readings: [VersionReadings], _ conditions: RolloutConditions
    ) -> Bool {
        if before.setup.program?.isDryRun ?? false { return false }
        if conditions.blackout != nil, conditions.blackoutAlertsOnly { return false }
        if case .promoted(let record) = before.phase, let window = before.setup.program?.rollbackWindowMicros,
            wallMicros >= record.wallMicros + window
        {
            return false
        }
        let own = readings.filter { $0.version == version }.flatMap(\.readings)
        if own.contains(where: { $0.verdict == .fail && $0.action == .cut && !$0.isDryRun }) { return true }
        guard version == before.climb?.candidate, case .failed = conditions.preflight else { return false }
        switch before.phase {
        case .split, .cut, .waiting: return false
        case .paused, .held: return before.climb?.place != .before
        case .stage, .baking: return true
        case .promoted(let record): return record.version == version
        }
    }

    /// What was missing for a step that was made.
    private func unproven(
        _ readings: [VersionReadings], _ stage: StageReading?, _ conditions: RolloutConditions
    ) -> String? {
        guard let program = before.setup.program, let climb = before.climb else { return "no program" }
        if conditions.preflight != .passed { return "promoted without its pre-flight checks" }
        if conditions.blackout != nil { return "promoted in a blackout" }
        if before.quarantined[climb.candidate] != nil { return "started from a quarantine" }
        if climb.place == .before {
            return program.startsByItself || climb.isStartOrdered ? nil : "started without start"
        }
        let asked = climb.place.index.map { program.stages[$0] }
        guard let stage, stage.visit == climb.stageVisit else {
            return "promoted on another visit's evidence"
        }
        if stage.watchedMicros < asked?.holdMicros ?? program.bakeMicros { return "promoted before its time" }
        let isShadow = asked?.weightPPM == 0
        if stage.requests < max(asked?.minRequests ?? 1, isShadow ? 0 : 1) {
            return "promoted without requests"
        }
        if stage.keys < asked?.minKeys ?? 0 { return "promoted without keys" }
        for gate in asked?.gates ?? []
        where !stage.gates.contains(where: { $0.name == gate.name && $0.verdict == .pass }) {
            return "promoted through a gate"
        }
        if asked?.needsApproval ?? false, !climb.isApproved { return "promoted without approval" }
        guard let own = readings.first(where: { $0.version == climb.candidate }) else {
            return "promoted unwatched"
        }
        let isFailing = own.readings.contains {
            $0.verdict == .fail && $0.action != .alert && !$0.isDryRun
                && !climb.acknowledged.contains($0.name)
        }
        return isFailing ? "promoted while a guardrail fails" : nil
    }

    // MARK: Actions

    private var brokenByActions: String? {
        let sets = actions.compactMap { if case .setWeights(let weights) = $0 { weights } else { nil } }
        if after.weights != before.weights, sets.isEmpty { return "weights moved unpublished" }
        if let last = sets.last {
            let told = Dictionary(uniqueKeysWithValues: last.map { ($0.version, $0.ppm) })
            if told != after.weights { return "other weights were published" }
        }
        let shadows = actions.compactMap { if case .setShadow(let shadow) = $0 { [shadow] } else { nil } }
        if (shadows.last ?? [before.shadow]) != [after.shadow] { return "the shadow moved unpublished" }
        var (cuts, clears): (Set<String>, Set<String>) = ([], [])
        for action in actions {
            if case .cut(let versions) = action { cuts.formUnion(versions) }
            if case .clearCut(let versions) = action { clears.formUnion(versions) }
        }
        let barred = Set(after.quarantined.keys).subtracting(before.quarantined.keys)
        if !barred.isSubset(of: cuts) { return "a quarantined version was not barred" }
        let freed = Set(before.quarantined.keys).subtracting(after.quarantined.keys)
        if !freed.isSubset(of: clears) { return "a bar was not lifted" }
        let isJournaled = actions.contains { if case .journal = $0 { true } else { false } }
        return after.phase == before.phase || isJournaled ? nil : "a change of phase was not journaled"
    }
}

extension RolloutPhase {
    var isCut: Bool { if case .cut = self { true } else { false } }
}

extension Climb.Place {
    var index: Int? { if case .stage(let i) = self { i } else { nil } }
}
