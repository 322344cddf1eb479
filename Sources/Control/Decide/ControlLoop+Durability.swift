// Steps 2 to 4 of the control loop: what the machine ordered goes to the ledger, and what the ledger reports
// becomes visible.
// Invariant: a plan is built from durable states, and from refused ones only where they take traffic away.

import Config
import Logging
import Platform
import Proxy
import Rollout

extension ControlLoop {
    /// Step 2: journal lines and state, in one entry.
    func post(
        _ i: Int, _ events: [JournalEvent], before: RolloutState, answer: VerbAnswer?, verb: WaitingVerb?,
        passed: GroupTrip? = nil
    ) {
        let name = models[i].config.name
        saved.models[name] = models[i].saved(at: clocks)
        var verb = verb
        if verb != nil, let answer { prepare(&verb, answer, model: name, leftOutOf: passed?.group) }
        let step = PendingStep(
            model: name, before: before, after: models[i].decided, verb: verb, passed: passed,
            notices: announce(events))
        if openEntry != nil {
            openEntry?.steps.append(step)
            openEntry?.events += events
        } else {
            hand(over: [step], events)
        }
    }

    /// Makes the steps that `work` takes durable as one: all of them or, when the disk refuses, none that
    /// raises exposure.
    func together(_ work: () -> Void) {
        precondition(openEntry == nil, "entries do not nest")
        openEntry = OpenEntry()
        work()
        let entry = openEntry
        openEntry = nil
        if let entry, !entry.steps.isEmpty { hand(over: entry.steps, entry.events) }
    }

    private func hand(over steps: [PendingStep], _ events: [JournalEvent]) {
        let id = nextEntryID
        nextEntryID += 1
        pending[id] = steps
        let isRaising = steps.contains(where: \.isRaising)
        let told = carrying(events, steps)
        let entry = LedgerEntry(id: id, events: told, state: saved, isKeptOnFailure: !isRaising)
        if !give(entry) { finish(id, failure: Self.diskTooSlow) }
    }

    /// The lines of some steps, the first with what they changed: all of it in one line, because a crash may
    /// leave the first lines of an entry and not the last.
    private func carrying(_ events: [JournalEvent], _ steps: [PendingStep]) -> [JournalEvent] {
        guard !events.isEmpty else { return [] }
        let ids = Set(steps.compactMap { $0.verb?.verb.requestID })
        var events = events
        events[0].change = StateChange(
            models: Dictionary(steps.map { ($0.model, $0.after) }) { $1 },
            answered: saved.answered.filter { ids.contains($0.requestID) }, groups: saved.groupTrips)
        return events
    }

    static let diskTooSlow = "the disk is too slow: \(LedgerEntry.waitingMax) steps wait for it"
    /// Entries that are kept for a ledger without room; beyond, their lines are lost and counted as failures.
    private static let unpostedMax = 4_096

    /// Posts an entry; what the ledger has no room for is kept, unless it must not appear later.
    private func give(_ entry: LedgerEntry) -> Bool {
        if unposted.isEmpty, ledger.post(entry) { return true }
        if !entry.isKeptOnFailure { return false }
        if unposted.count < Self.unpostedMax { unposted.append(entry) } else { ledgerFailures += 1 }
        return false
    }

    /// Posts what was kept, in order; the newest state wins, so each goes with the state of now.
    func postAgain() {
        var posted = 0
        for entry in unposted {
            let again = LedgerEntry(
                id: nextEntryID, events: entry.events, state: entry.state == nil ? nil : saved,
                isKeptOnFailure: true)
            guard ledger.post(again) else { break }
            nextEntryID += 1
            posted += 1
        }
        unposted.removeFirst(posted)
    }

    /// Journal lines of a change that is no step of a model, with the state after it.
    func record(_ events: [JournalEvent]) {
        let id = nextEntryID
        nextEntryID += 1
        _ = give(LedgerEntry(id: id, events: events, state: saved, isKeptOnFailure: true))
    }

    /// Journal lines that belong to no model's state.
    package func note(_ events: [JournalEvent]) {
        let id = nextEntryID
        nextEntryID += 1
        _ = give(LedgerEntry(id: id, events: events, state: nil, isKeptOnFailure: true))
    }

    func takeReports() {
        while let report = ledger.take() {
            switch report {
            case .durable(let id): finish(id, failure: nil)
            case .failed(let id, let reason): finish(id, failure: reason)
            case .degraded(let reason):
                isLedgerDegraded = reason
                log.critical(
                    "no journal: \(reason); cuts go on, verbs that give a version traffic are refused"
                )
            case .restored:
                isLedgerDegraded = nil
                log.notice("the journal can be written again")
            case .reserve(let reserve): take(reserve)
            case .stateOwed(let reason):
                stateOwed = reason
                let sentence =
                    "rollouts.json cannot be written: \(reason); what is decided is in the journal, and a "
                    + "start reads it there; verbs that give a version traffic are refused"
                log.critical("\(sentence)")
            case .stateSaved:
                stateOwed = nil
                log.notice("rollouts.json is written again")
            case .rotated:
                journalRotations += 1
                rotationTrouble = nil
            case .rotationFailed(let reason):
                rotationTrouble = reason
                journalRotationFailures += 1
                log.error("the journal is not rotated: \(reason); lines go on into the same file")
            }
        }
    }

    private func take(_ reserve: JournalReserve) {
        switch reserve {
        case .filled: log.notice("there is space again: the reserve for decisions is whole")
        case .inUse(let bytes, let reason):
            if !journalReserve.isInUse {
                let sentence =
                    "the disk is full: \(reason); cuts go on and are durable in a reserve of \(bytes) bytes, "
                    + "other lines wait, verbs that give a version traffic are refused"
                log.critical("\(sentence)")
            }
        case .none(let reason):
            log.warning("no space is kept in reserve for decisions on a full disk: \(reason)")
        }
        journalReserve = reserve
    }

    /// Why nothing that gives a version traffic is obeyed; nil when it is.
    var whyNoRaise: String? {
        if let reason = isLedgerDegraded { return "the journal cannot be written (\(reason))" }
        if case .inUse(_, let reason) = journalReserve { return "the disk is full (\(reason))" }
        return stateOwed.map { "rollouts.json cannot be written (\($0))" }
    }

    /// Step 3: a durable state may be shown; one that the disk refused is shown unless it raised exposure.
    private func finish(_ id: UInt64, failure: String?) {
        if failure != nil { ledgerFailures += 1 }
        guard let steps = pending.removeValue(forKey: id) else { return }
        let isRaising = steps.contains(where: \.isRaising)
        for step in steps { finish(step, failure: failure, isRaising: isRaising) }
    }

    private func finish(_ step: PendingStep, failure: String?, isRaising: Bool) {
        guard let i = indexByName[step.model] else { return }
        if let failure, isRaising {
            if let verb = step.verb { refuse(verb, failure) }
            return takeBack(step, i)
        }
        for notice in step.notices { hooks.notices?.post(notice) }
        models[i].durable = step.after
        isPlanWanted = true
        guard var verb = step.verb else { return }
        if let failure { warn(&verb, failure) }
        verb.isDurable = failure == nil
        verb.epoch = nil
        waiting.append(verb)
    }

    /// Undoes a raise that could not be made durable. Where a cut or another verb has overtaken it, only the
    /// quarantine that it lifted comes back.
    private func takeBack(_ step: PendingStep, _ i: Int) {
        var state = models[i].decided
        if state.epoch == step.after.epoch {
            let alerts = state.alerts
            state = step.before
            state.alerts = alerts
        } else {
            state.bar(again: step.before.quarantined)
            for (id, steps) in pending {
                for s in steps.indices where steps[s].model == step.model {
                    pending[id]?[s].after.bar(again: step.before.quarantined)
                }
            }
        }
        models[i].decided = state
        if let trip = step.passed { takeBack(trip, step.model) }
        models[i].alignWatches(now: lastTick)
        models[i].alignStage(now: lastTick)
        saved.models[step.model] = models[i].saved(at: clocks)
        // With a line, because one that came in between may have said otherwise.
        var event = JournalEvent(
            at: wallMicros, .overruled, model: step.model,
            reason: "\(step.verb?.verb.word.rawValue ?? "the step") could not be made durable: taken back")
        event.change = StateChange(models: [step.model: models[i].decided], groups: saved.groupTrips)
        record([event])
    }

    /// Hands the state over without any line; kept when the disk refuses.
    func saveState() {
        let id = nextEntryID
        nextEntryID += 1
        _ = give(LedgerEntry(id: id, events: [], state: saved, isKeptOnFailure: true))
    }

    /// Steps 3 and 4: publishes when something changed and no plan is under way; lifts bars and answers
    /// verbs when the plan is obeyed.
    func settlePlan() {
        answerLate()
        let obeyed = plane.obeyedEpoch
        guard obeyed >= plan.epoch else { return }
        settleModels()
        if obeyedPlan != plan.epoch {
            obeyedPlan = plan.epoch
            for i in models.indices { models[i].obeyedKeyRound = plan.models[i].keyRound }
        }
        slots.obeyed(epoch: obeyed)
        answerObeyed(obeyed)
        takeDeferred()
        takeMoves()
        if isPlanWanted { publish() }
    }

    /// The plan under way is obeyed: its weights hold from the next tick on, and bars may go.
    func settleModels() {
        for i in changingModels {
            models[i].history.settle(at: lastTick, SplitInForce(plan.models[i]))
        }
        changingModels = []
        guard !isPlanWanted, !barredModels.isEmpty else { return }
        // The plan that is obeyed says everything that was decided: the bars have done their work.
        let underWay = Set(pending.values.flatMap { $0.map(\.model) })
        for i in barredModels where !underWay.contains(models[i].config.name) {
            models[i].barred = 0
            barredModels.remove(i)
            plane.clearCut(models[i].slot)
        }
    }

    /// Builds the plan of the durable states and hands it to the cores.
    private func publish() {
        isPlanWanted = false
        let next: Plan
        do throws(PlanProblem) {
            next = try PlanBuilder.plan(
                from: config, slots: &slots, overrides: overrides(config), epoch: plan.epoch + 1)
        } catch {
            // Bars stay up for as long as a plan is wanted.
            isPlanWanted = true
            planFailures += 1
            if planTrouble != "\(error)" {
                planTrouble = "\(error)"
                log.critical("no new plan: \(error); the plan in force stays, and bars do")
            }
            return
        }
        planTrouble = nil
        let before = plan
        var same = next
        same.epoch = before.epoch
        guard same != before else {
            for v in waiting.indices where waiting[v].epoch == nil { waiting[v].epoch = before.epoch }
            return
        }
        plan = next
        // Models stand in the order of the config in every plan made from it.
        for i in models.indices where SplitInForce(before.models[i]) != SplitInForce(next.models[i]) {
            models[i].history.change(at: lastTick)
            changingModels.insert(i)
        }
        for v in waiting.indices where waiting[v].epoch == nil { waiting[v].epoch = next.epoch }
        plane.publish(next)
    }

    /// What has been decided since the config was written, durable parts only.
    func overrides(_ config: Config) -> PlanOverrides {
        var states: [String: RolloutState] = [:]
        for model in config.models {
            states[model.name] =
                indexByName[model.name].map { models[$0].durable } ?? saved.models[model.name]?.rollout
        }
        return PlanOverrides(states, config) { proven.contains(PreflightKey(model: $0, candidate: $1)) }
    }

    /// Keeps the evidence of running rollouts, so that a restart does not spend a second alpha, and how
    /// much of a cool-down is over.
    func saveEvidence() {
        guard now - lastSaved >= Self.saveEvery, whyNoRaise == nil, pending.isEmpty else { return }
        lastSaved = now
        var isChanged = false
        for i in models.indices {
            let isCoolingDown = models[i].decided.isCoolingDown(steadyMicros: steadyMicros)
            guard isCoolingDown || !models[i].watches.isEmpty && !models[i].isResting else { continue }
            let name = models[i].config.name
            let fresh = models[i].saved(at: clocks)
            // The clocks alone are worth a write while they say how much of a cool-down is over.
            var old = saved.models[name]
            if !isCoolingDown { old?.clock = fresh.clock }
            if old != fresh {
                saved.models[name] = fresh
                isChanged = true
            }
        }
        if isChanged { saveState() }
    }
}

extension RolloutState {
    /// Puts records back for versions that have no weight.
    fileprivate mutating func bar(again records: [String: QuarantineRecord]) {
        for (version, record) in records where weights[version] ?? 0 == 0 && quarantined[version] == nil {
            quarantined[version] = record
        }
    }
}
