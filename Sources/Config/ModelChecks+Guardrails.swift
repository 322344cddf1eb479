// What must hold between a model's guardrails, the stages of its rollout and the rest of the model: names
// that exist, thresholds that fit the meters.
// Invariant: all that is watched in a rollout, whatever its stage, shares one alpha.

import Metrics
import Platform
import Rollout

extension ModelChecks {
    /// Reports a value that the model does not take from its traffic.
    private func checkValue(_ value: Marked<String>, _ draft: ModelDraft) {
        let names = draft.values.all.map(\.name)
        if names.contains(value.value) { return }
        reading.report(
            value.place, "unknown value", value: value.value,
            expected: names.isEmpty
                ? "a name under the model's `values`" : "one of " + names.joined(separator: ", "),
            suggestion: Nearest.to(value.value, among: names))
    }

    /// A candidate whose health nobody checks.
    private func unchecked(_ draft: ModelDraft) -> VersionConfig? {
        let candidates = Set(draft.candidates.map(\.value) + draft.sourced)
        return (draft.versions ?? []).compactMap(\.value).first {
            candidates.contains($0.name) && $0.healthCheck == nil
        }
    }

    /// Reports a health guardrail over candidates whose health nobody checks.
    private func checkHealth(_ place: Place, _ draft: ModelDraft) {
        guard let first = unchecked(draft) else { return }
        reading.report(
            place, "watches the health of \(first.name), which has no health_check",
            expected: "a health_check in every candidate, or no guardrail of kind health")
    }

    /// Reports a rule over feedback that cannot be posted, because no response carries its id.
    private func checkFeedback(_ place: Place, _ draft: ModelDraft) {
        if draft.response.id { return }
        reading.report(
            place, "looks at feedback, and no response carries the id that it is posted under",
            expected: "`response_headers: { id: true }` in the model")
    }

    /// The guardrails with their alphas, the model's and by stage; the defaults where a model with a
    /// candidate names none. All of a rollout's share its alpha, whichever stage they are in force in.
    func checkedGuardrails(
        _ draft: ModelDraft
    ) -> (model: [GuardrailSpec], stages: [[GuardrailSpec]]) {
        let hasCandidates = !draft.candidates.isEmpty || draft.source != nil
        var standard = !hasCandidates ? [] : GuardrailSpec.defaults(alpha: draft.alpha)
        // Where nobody checks, a version that is dead is found by the requests that are sent to it.
        if unchecked(draft) != nil { standard.removeAll { $0.measure == .health } }
        let written =
            draft.guardrails
            ?? standard.map {
                Marked(value: GuardrailDraft(spec: $0, hasOwnAlpha: false), place: draft.place, text: nil)
            }
        let own = written.map { fitted($0, draft) }
        let stages = (draft.rollout?.guardrails ?? []).map { $0.map { fitted($0, draft) } }
        let extra = stages.flatMap { $0 }
        for stage in stages.isEmpty ? [[]] : stages { checkNames(of: own + stage) }
        let all = own + extra
        for guardrail in all {
            if let value = guardrail.value.value { checkValue(value, draft) }
            if case .feedback = guardrail.value.spec.measure { checkFeedback(guardrail.place, draft) }
            if guardrail.value.spec.measure == .health { checkHealth(guardrail.place, draft) }
        }
        let gates = draft.rollout?.gates ?? []
        for gate in gates {
            if let value = gate.value { checkValue(value, draft) }
            if let place = gate.feedbackPlace { checkFeedback(place, draft) }
        }
        let slots = LatencyReference.slotsNeeded(by: all.map(\.value.spec), gates: gates.map(\.spec))
        if slots > ArmCounts.fastSlots, let last = all.last {
            reading.report(
                last.place, "the sequential latency guardrails need \(slots) thresholds",
                expected: "at most \(ArmCounts.fastSlots): two per relative rule, one per absolute one")
        }
        let shared = GuardrailSpec.share(
            alpha: draft.alpha, among: all.filter { !$0.value.hasOwnAlpha }.map(\.value.spec))
        var rest = shared.makeIterator()
        func spec(_ draft: Marked<GuardrailDraft>) -> GuardrailSpec {
            draft.value.hasOwnAlpha ? draft.value.spec : rest.next() ?? draft.value.spec
        }
        return (own.map(spec), stages.map { $0.map(spec) })
    }

    /// The guardrail for this model's traffic and servers. Under sticky keys the key is the coin: a key's bad
    /// requests count once. Where a version has few endpoints, one of them may pause.
    private func fitted(_ guardrail: Marked<GuardrailDraft>, _ draft: ModelDraft) -> Marked<GuardrailDraft> {
        var fitted = guardrail
        if !draft.sticky.keys.isEmpty, guardrail.value.spec.isRequestBet {
            fitted.value.spec.countsKeysOnce = true
        }
        // Values are counted by request, so a few heavy keys decide them: that is no reason to cut by itself.
        if !draft.sticky.keys.isEmpty, !guardrail.value.hasOwnAction,
            guardrail.value.spec.measure.valueName != nil
        {
            fitted.value.spec.action = .alert
        }
        if let fewest = fewestEndpoints(draft) {
            fitted.value.spec = fitted.value.spec.comparing(endpoints: fewest)
        }
        return fitted
    }

    /// The endpoints of the smallest version that is compared; nil where none can be read.
    private func fewestEndpoints(_ draft: ModelDraft) -> Int? {
        var compared = Set(draft.candidates.map(\.value) + draft.sourced)
        if let stable = draft.stable { compared.insert(stable.value) }
        let counts = (draft.versions ?? []).compactMap(\.value).filter { compared.contains($0.name) }
            .map(\.endpoints.count)
        return (counts + [draft.rollout?.control?.endpoints?.count].compactMap { $0 }).min()
    }

    private func checkNames(of guardrails: [Marked<GuardrailDraft>]) {
        var seen: Set<String> = []
        for guardrail in guardrails where !seen.insert(guardrail.value.spec.name).inserted {
            reading.report(
                guardrail.place, "another guardrail has the name", value: guardrail.value.spec.name,
                expected: "a `name` of its own")
        }
    }

    /// The rollout of the candidate it names, or of the only one.
    func checkedRollout(_ draft: ModelDraft, _ stages: [[GuardrailSpec]]) -> RolloutConfig? {
        guard let rollout = draft.rollout, !draft.isCandidateUnreadable else { return nil }
        if draft.source != nil {
            if let named = rollout.candidate {
                reading.report(
                    named.place, "the registry says who walks, not the file:", value: named.value,
                    expected: "no `candidate` in the rollout")
            }
            return checkedRollout(rollout, of: "", draft, stages)
        }
        let candidates = draft.candidates.map(\.value)
        if let named = rollout.candidate, !candidates.contains(named.value) {
            reading.report(
                named.place, "is no candidate:", value: named.value,
                expected: "one of " + candidates.joined(separator: ", "),
                suggestion: Nearest.to(named.value, among: candidates))
            return nil
        }
        guard let candidate = rollout.candidate?.value ?? (candidates.count == 1 ? candidates[0] : nil) else {
            reading.report(
                rollout.place,
                candidates.isEmpty
                    ? "has no candidate to roll out" : "does not say which candidate it is for",
                expected: candidates.isEmpty ? "`candidate` in the model" : "`candidate` in the rollout")
            return nil
        }
        return checkedRollout(rollout, of: candidate, draft, stages)
    }

    private func checkedRollout(
        _ rollout: RolloutDraft, of candidate: String, _ draft: ModelDraft, _ stages: [[GuardrailSpec]]
    ) -> RolloutConfig {
        var program = rollout.program
        program.candidate = candidate
        for (i, guardrails) in stages.enumerated() { program.stages[i].guardrails = guardrails }
        for (i, stage) in program.stages.enumerated() where stage.weightPPM == 0 {
            checkCopies(stage, number: i + 1, rollout.place)
        }
        if program.stages.contains(where: { $0.minKeys > 0 }), draft.sticky.keys.isEmpty {
            reading.report(
                rollout.place, "min_keys counts sticky keys, and the model has none",
                expected: "`sticky` in the model, or min_requests")
        }
        if program.stages.contains(where: { $0.shadowPPM > 0 }), draft.shadow != nil {
            reading.report(
                rollout.place, "has a shadow stage beside the model's own shadow", expected: "one of the two")
        }
        return RolloutConfig(program: program, blackouts: rollout.blackouts)
    }

    /// Reports what a stage without users cannot show: copies are timed and their status is looked at, but
    /// their answers are discarded unread.
    private func checkCopies(_ stage: RolloutStage, number: Int, _ place: Place) {
        for gate in stage.gates {
            switch gate.metric {
            case .errorRate, .non2xx, .latency, .errorRateBelow: break
            case .feedback, .missing, .drift:
                reading.report(
                    place,
                    "stage \(number) has copies only, whose answers are not looked into: the gate"
                        + " \(gate.name) would never pass",
                    expected: "gates of kind error_rate, non_2xx and latency, or a weight")
            }
        }
        for guardrail in stage.guardrails where !guardrail.judgesCopies {
            reading.report(
                place,
                "stage \(number) has copies only, which the guardrail \(guardrail.name) does not see",
                expected: "sequential rules over error_rate, non_2xx, empty and latency, health, or a weight")
        }
    }
}
