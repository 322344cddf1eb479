// What the controller knows at one moment, as values: taken in microseconds on its thread, rendered to a
// status page or to metrics on another.
// Invariant: taking one copies values that are shared until written; it reads no histogram.

import Config
import Metrics
import Payload
import Platform
import Proxy
import Rollout

/// The control loop at one moment.
package struct StatusSnapshot: Sendable {
    /// One model at that moment.
    package struct Model: Sendable {
        package var config: ModelConfig
        var slot: ModelSlot
        package var versionSlots: [VersionSlot]
        package var endpoints: [[EndpointPlan]]
        package var state: RolloutState
        var isBarred: Bool
        /// By version; empty where nothing is watched.
        package var readings: [[GuardrailReading]]
        package var recovery: RecoveryReading?
        package var lastCut: CutRecord?
        /// Evidence against the split, by version; nil where it is not checked.
        package var splitLogE: [Double?]
        /// What was seen of the stage in force.
        package var stage: StageReading?
        package var conditions: RolloutConditions
        /// The checks before the first percent, in a sentence.
        package var preflight: String
        /// Candidates whose weight waits for their checks, with the reason.
        package var held: [(version: String, reason: String)] = []
        /// Cuts that wait for stable to have a usable endpoint.
        package var withheldCuts: [CutWithheld] = []
        /// That requests which a candidate fails do not reach stable either; nil: they do, or there are none.
        package var unreached: String?
        /// What users got while nobody served them; nil while they are served.
        package var unserved: ServiceWatch.Run?
        package var unservedReason: String?
        /// The live windows, by version.
        package var live: [Window?]
        /// Posted metrics, by name.
        package var feedback: [FeedbackFigures]
    }

    package var models: [Model]
    /// Of endpoints that have a check and were checked.
    package var health: [EndpointSlot: Bool]
    package var cuts: [CutCount]
    package var feedback: [FeedbackCount]
    package var epoch: UInt64
    package var obeyedEpoch: UInt64
    package var digest: String
    package var journalTrouble: String?
    /// What the start found, what is owed, and what is left for decisions on a full disk.
    package var durability = Durability()
    package var counts: ControlCounts
    package var reports: [RollbackReport]
    var tallies: [String: Tally]
    package var groups: [GroupStatus]
    /// Why there is no plan of what was decided.
    package var planTrouble: String?
    /// The clocks of the snapshot.
    package var clocks: ClockAnchor

    /// The ledger over all rollouts, the sum first.
    package var ledger: JSON { Tally.ledger(tallies) }

    /// The state directory beside the journal's own trouble.
    package struct Durability: Sendable {
        /// Journal lines or a state file that were lost at the start; and what was applied.
        package var loss: String?
        package var gain: String?
        var linesReplayed: UInt64 = 0
        package var stateOwed: String?
        package var reserve = JournalReserve.filled
    }

    /// Cuts of a model since the start, by guardrail.
    package struct CutCount: Sendable, Hashable {
        package var model: String
        /// `CutRecord.cause`.
        package var guardrail: String
        package var count: UInt64
    }
}

extension ControlLoop {
    /// What is wrong with the journal, as a sentence.
    var journalTrouble: String? {
        isLedgerDegraded.map { "the journal cannot be written: \($0)" }
            ?? rotationTrouble.map { "the journal cannot be rotated: \($0)" }
    }

    /// All that the readiness page says of the state directory, of users that nobody serves, and of cuts
    /// that wait for stable.
    package var troubles: [String] {
        let withheld = StateRecovery.withheld(
            models.filter(\.decided.isWithheld).map(\.config.name))
        var all = [journalTrouble, recovery?.loss, withheld].compactMap { $0 }
        if case .inUse(let bytes, let reason) = journalReserve {
            all.append("the disk is full: \(reason); \(bytes) bytes are left for cuts")
        }
        if let stateOwed { all.append("rollouts.json cannot be written: \(stateOwed)") }
        for i in models.indices {
            let name = models[i].config.name
            if let run = models[i].service.run {
                all.append("\(name): users are not served: \(models[i].sentence(run))")
            }
            if let unreached = models[i].unreachedSentence { all.append("\(name): \(unreached)") }
            all += withheldCuts(i).map { "\(name): \($0.version) is not cut: \($0.guardrail) \($0.because)" }
        }
        return all
    }

    private var durability: StatusSnapshot.Durability {
        StatusSnapshot.Durability(
            loss: recovery?.loss, gain: recovery?.gain, linesReplayed: recovery?.linesReplayed ?? 0,
            stateOwed: stateOwed, reserve: journalReserve)
    }

    /// What the checks of the plan's endpoints have said, as the cores know it.
    private var checkedHealth: [EndpointSlot: Bool] {
        var known: [EndpointSlot: Bool] = [:]
        for (model, planned) in zip(models, plan.models) {
            for (version, plannedVersion) in zip(model.config.versions, planned.versions)
            where version.healthCheck != nil {
                for slot in plannedVersion.endpoints.map(\.slot) { known[slot] = plane.health(slot) }
            }
        }
        return known
    }

    /// Everything that the status page and the metrics say of decisions.
    package var snapshot: StatusSnapshot {
        var counts = ControlCounts()
        counts.reloadsApplied = reloadsApplied
        counts.reloadsRefused = reloadsRefused
        counts.journalFailures = ledgerFailures
        counts.stateIsDamaged = recovery?.loss != nil
        counts.linesReplayed = recovery?.linesReplayed ?? 0
        counts.stateIsOwed = stateOwed != nil
        counts.reserveBytes = journalReserve.bytesLeft
        counts.reserveIsInUse = journalReserve.isInUse
        counts.planFailures = planFailures
        counts.journalRotations = journalRotations
        counts.journalRotationFailures = journalRotationFailures
        counts.obeyedEpoch = plane.obeyedEpoch
        counts.cutTimes = desk.cutTimes
        for i in models.indices { countReport(i) }
        return StatusSnapshot(
            models: zip(models.indices, plan.models).map { i, planned in
                let model = models[i]
                let candidate = model.decided.climb?.candidate
                return StatusSnapshot.Model(
                    config: model.config, slot: model.slot, versionSlots: model.versionSlots,
                    endpoints: planned.versions.map(\.endpoints), state: model.decided,
                    isBarred: model.barred != 0,
                    readings: model.versionSlots.indices.map { model.readings[$0] ?? [] },
                    recovery: model.recoveryReading, lastCut: lastCuts[model.config.name],
                    splitLogE: model.versionSlots.indices.map { model.splitCheck.logE($0) },
                    stage: model.stage?.reading, conditions: sharedConditions(i),
                    preflight: candidate.map { preflight(i, candidate: $0).reason } ?? "",
                    held: heldCandidates(i),
                    withheldCuts: withheldCuts(i),
                    unreached: model.unreachedSentence, unserved: model.service.run,
                    unservedReason: model.service.run.map { model.sentence($0) },
                    live: model.versionSlots.indices.map { model.figures.liveWindow($0) },
                    feedback: model.values.figures)
            },
            health: checkedHealth, cuts: cuts.map { $0.key.with($0.value) }.sorted { $0.model < $1.model },
            feedback: feedback.figures,
            epoch: plan.epoch, obeyedEpoch: counts.obeyedEpoch, digest: config.digest,
            journalTrouble: isLedgerDegraded, durability: durability, counts: counts, reports: desk.reports,
            tallies: desk.saved.tallies, groups: groupStatuses,
            planTrouble: planTrouble, clocks: clocks)
    }
}

/// Which guardrail cut which model.
struct CutKey: Hashable, Sendable {
    var model: String
    var guardrail: String

    fileprivate func with(_ count: UInt64) -> StatusSnapshot.CutCount {
        StatusSnapshot.CutCount(model: model, guardrail: guardrail, count: count)
    }
}
