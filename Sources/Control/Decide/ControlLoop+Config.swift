// A config taken over: at the start and by a reload. Names keep their slots, models that did not change keep
// their evidence, and what was decided outlives what is written: a quarantined version stays dark.
// Invariant: a config that cannot be taken over as a whole changes nothing.

import Config
import Logging
import Metrics
import Payload
import Platform
import Proxy
import Rollout

extension ControlLoop {
    /// The loop over a fresh plan: the one that the data plane is to be started with.
    /// - Throws: `PlanProblem` when the config makes a quarantined version stable.
    package static func firstPlan(
        _ config: Config, saved: SavedState, slots: inout SlotTable
    ) throws(PlanProblem) -> Plan {
        let overrides = PlanOverrides(saved.models.mapValues(\.rollout), config) { _, _ in false }
        return try PlanBuilder.plan(from: config, slots: &slots, overrides: overrides, epoch: 1)
    }

    /// Starts watching: every model in its saved state, or in its first.
    /// - Parameter started: the journal line of the start.
    package func begin(_ started: JournalEvent) {
        if let recovery, recovery.isToBeSaved {
            // The state first of all: what was applied is in the file before anything follows.
            let events = recovery.events(at: wallMicros)
            record(events + [started])
            _ = announce(events)
        } else {
            note([started])
        }
        // Of an earlier process: what its cuts have not reached is shown again until they have.
        partialCuts = saved.groupTrips.map(\.group)
        take(config, plan)
        replayFeedback(feedback.restored)
        feedback.restored = []
        hooks.onConfig(config, plan)
    }

    /// Takes a validated config over while traffic flows; answered when every core obeys it.
    package func reconfigure(_ change: Reconfiguration) {
        guard canReconfigure else {
            guard deferred.count < Self.deferredMax else {
                change.reply?(
                    .refusal(503, "too many reloads wait for the plan under way; nothing was changed"))
                return
            }
            deferred.append(change)
            return
        }
        var change = change
        change.config = change.config.resolved(by: sources)
        let diff = ConfigDiff(from: config, to: change.config)
        guard diff.refusals.isEmpty else { return refuse(change, diff.refusals) }
        let objections = objections(to: change.config)
        guard objections.isEmpty else { return refuse(change, objections) }
        var trial = slots
        do throws(PlanProblem) {
            _ = try PlanBuilder.plan(
                from: change.config, slots: &trial, overrides: overrides(change.config), epoch: plan.epoch + 1
            )
        } catch {
            return refuse(change, ["\(error)"])
        }
        note([
            JournalEvent(
                at: wallMicros, .configLoaded, actor: change.actor,
                reason: change.reason.isEmpty ? "the config was reloaded" : change.reason,
                details: [
                    .init("digest", .string(change.config.digest)),
                    .init("changes", .array(diff.changes.map(JSON.string))),
                ])
        ])
        log.notice(
            "config reloaded: \(diff.changes.isEmpty ? "no changes" : diff.changes.joined(separator: "; "))",
            metadata: ["actor": "\(change.actor)", "digest": "\(change.config.digest.prefix(12))"])
        for absent in change.config.absentFiles { log.warning("\(absent)") }
        adopt(change, diff)
    }

    private func adopt(_ change: Reconfiguration, _ diff: ConfigDiff) {
        var next = slots
        guard
            let fresh = try? PlanBuilder.plan(
                from: change.config, slots: &next, overrides: overrides(change.config), epoch: plan.epoch + 1)
        else { return refuse(change, ["the plan could not be built"]) }
        reloadsApplied += 1
        settleModels()
        slots = next
        config = change.config
        groups = Self.groups(of: config)
        plan = fresh
        take(change.config, fresh)
        hooks.onConfig(change.config, fresh)
        plane.publish(fresh)
        isPlanWanted = true
        guard let reply = change.reply else { return }
        var verb = WaitingVerb(
            verb: AdminVerb(.reload, reason: change.reason), actor: change.actor, replies: [reply],
            deadline: now + Self.obeyedWithin)
        let absent = change.config.absentFiles.map(\.description)
        let body: JSON = [
            "ok": true, "verb": "reload", "digest": .string(change.config.digest),
            "changes": .array(diff.changes.map(JSON.string)),
        ]
        verb.response = .json(
            200, absent.isEmpty ? body : body.with("warning", .string(absent.joined(separator: "; "))))
        verb.epoch = fresh.epoch
        waiting.append(verb)
    }

    /// What the rollouts have against a config, one sentence each.
    private func objections(to config: Config) -> [String] {
        config.models.compactMap { model in
            let state =
                indexByName[model.name].map { models[$0].decided } ?? saved.models[model.name]?.rollout
            return state.flatMap { RolloutMachine.objection($0, to: RolloutSetup(model)) }
                .map { "model \(model.name): \($0)" }
        }
    }

    /// Says in journal and log why a config changed nothing.
    func refuse(_ change: Reconfiguration, _ problems: [String]) {
        refuseConfig(problems, actor: change.actor, reply: change.reply)
    }

    /// Says in journal and log that a config was refused before it came to a plan.
    package func refuseConfig(
        _ problems: [String], actor: String, reply: (@Sendable (AdminResponse) -> Void)?
    ) {
        reloadsRefused += 1
        log.error(
            "config refused, nothing changed: \(problems.prefix(20).joined(separator: "; "))",
            metadata: ["actor": "\(actor)"])
        note([
            JournalEvent(
                at: wallMicros, .configRefused, actor: actor,
                reason: "the config was refused and nothing changed",
                details: [.init("problems", .array(problems.prefix(100).map(JSON.string)))])
        ])
        reply?(
            .json(
                422,
                [
                    "error": "the config was refused and nothing changed",
                    "problems": .array(problems.map(JSON.string)),
                ]))
    }

    /// A reload that waited for the bars of a cut.
    func takeDeferred() {
        guard !deferred.isEmpty, canReconfigure, !isPlanWanted else { return }
        reconfigure(deferred.removeFirst())
    }

    /// Reloads that may wait.
    private static let deferredMax = 16

    /// A config waits for the plan under way, and for bars, whose bits are indices of the plan they came
    /// with.
    var canReconfigure: Bool {
        plane.obeyedEpoch >= plan.epoch && barredModels.isEmpty
    }

    /// Rebuilds the watched models over a config and its plan; models that stay as they are keep their
    /// watches and windows.
    private func take(_ config: Config, _ plan: Plan) {
        let isStart = models.isEmpty
        var next: [WatchedModel] = []
        var setups: [(index: Int, setup: RolloutSetup)] = []
        for (model, planned) in zip(config.models, plan.models) {
            let setup = RolloutSetup(model)
            if let i = indexByName[model.name], models[i].isKept(by: model, planned) {
                next.append(models[i])
                if models[i].decided.setup != setup { setups.append((next.count - 1, setup)) }
                continue
            }
            var kept =
                indexByName[model.name].map { models[$0].saved(at: clocks) }
                ?? saved.models[model.name].map { $0.moved(to: clocks) }
            let isNew = kept == nil
            if let old = kept?.rollout.setup.stable, old != model.stable { kept?.forgetStable() }
            next.append(
                WatchedModel(
                    config: model, plan: planned, meters: planned.versions.map { plane.meters($0.slot) },
                    state: kept?.rollout ?? RolloutMachine.start(setup, wallMicros: wallMicros),
                    saved: kept, now: lastTick,
                    clock: clocks,
                    graceTicks: feedback.graceTicks,
                    values: indexByName[model.name].flatMap { models[$0].values(for: model) }))
            if let i = indexByName[model.name] {
                next[next.count - 1].service = models[i].service
                next[next.count - 1].service.forgetCounts()
            }
            if isNew || kept?.rollout.setup != setup { setups.append((next.count - 1, setup)) }
        }
        for model in next {
            if case .cut(let record) = model.decided.phase { lastCuts[model.config.name] = record }
        }
        models = next
        indexByName = Dictionary(uniqueKeysWithValues: next.enumerated().map { ($1.config.name, $0) })
        feedback.adopt(config.models)
        // A slot that is free now may be another endpoint's in the next plan.
        let slots = Set(plan.models.flatMap(\.versions).flatMap(\.endpoints).map(\.slot))
        health = health.filter { slots.contains($0.key) }
        for i in models.indices {
            alignTrials(i, isResumed: isStart && saved.models[models[i].config.name] != nil)
        }
        for (i, setup) in setups { apply(i, .configured(setup), verb: nil) }
        alignPreflights()
    }
}

extension WatchedModel {
    /// The values under the places that versions have in another config.
    func values(for new: ModelConfig) -> ValueRegistry {
        values.mapped(versions: new.versions.count) { new.index(of: name($0)) }
    }

    /// Whether a new config leaves everything that evidence depends on as it is.
    func isKept(by new: ModelConfig, _ plan: ModelPlan) -> Bool {
        plan.slot == slot && plan.versions.map(\.slot) == versionSlots && plan.stable == stable
            && new == config
    }
}

extension RolloutSetup {
    init(_ model: ModelConfig) {
        self.init(
            stable: model.stable, candidates: model.candidates, weights: model.weights ?? [:],
            coolDownMicros: model.coolDown.micros, program: model.rollout?.program)
    }
}
