// Models that must move together. Up: after all have judged their tick, the members that may go take their
// step in the order of the config, in one entry of the ledger, so that a crash or a full disk leaves none of
// them ahead. Down: when one is cut, the others are, in the same tick. Who may go: Rollout's `RolloutGroup`.
//
// A cut of a group is over when each member's is durable and every core obeys a plan with it; until then it
// is cut in part, which status, metrics and the log say. Disk and plan are tried again until they work.
// Invariant: what is still to be cut is part of the saved state, written with the cut that caused it; a
// member is asked again every tick until it is cut, has nothing to cut, or is left out
// (`ControlLoop+GroupCuts.swift`). One whose stable cannot take its users waits for that.

import Config
import Logging
import Payload
import Rollout

/// A cut that has to reach the rest of a group.
struct GroupTrip: Codable, Hashable, Sendable {
    var group: String
    /// Model and cut that began it.
    var model: String
    var cutID: String
    var reason: String
    /// Members that are not cut yet, in order.
    var rest: [String]
    /// By member the candidates that were open when it began; nil in states of earlier releases: all.
    var due: [String: [String]]?
    /// By member why it is not cut.
    var leftOut: [String: String]?
}

/// A cut that waits for stable, and who ordered it.
struct WithheldKey: Hashable, Sendable {
    var model: String
    var version: String
    /// "preflight", or the group.
    var cause: String
}

/// A group as status and metrics show it.
package struct GroupStatus: Sendable {
    /// A member that a cut has not fully reached.
    package struct Uncut: Sendable, Equatable {
        package var model: String
        /// A sentence.
        package var reason: String
    }

    package var name: String
    package var models: [String]
    package var uncut: [Uncut]
}

// MARK: Up

extension ControlLoop {
    /// The group of each model that is in one.
    static func groups(of config: Config) -> [String: GroupConfig] {
        var all: [String: GroupConfig] = [:]
        for group in config.groups {
            for model in group.models { all[model] = group }
        }
        return all
    }

    /// The conditions of a model's own tick: one in a group takes no step before the others have judged.
    func ownConditions(_ i: Int) -> RolloutConditions {
        var own = conditions(i)
        if let group = groups[models[i].config.name] { own.others = [.groupStep(group.name)] }
        return own
    }

    /// The conditions as they stand, with what the other members of a group wait for.
    func sharedConditions(_ i: Int) -> RolloutConditions {
        var shared = conditions(i)
        let name = models[i].config.name
        if let group = groups[name], models[i].isClimbing, let m = group.models.firstIndex(of: name) {
            shared.others = RolloutGroup.waits(of: m, in: members(of: group), group: group.name)
        }
        return shared
    }

    /// Moves the groups whose members may all go.
    func stepGroups() {
        for group in config.groups {
            guard group.models.contains(where: { indexByName[$0].map { models[$0].isClimbing } ?? false })
            else { continue }
            let ready = RolloutGroup.ready(members(of: group)).compactMap { indexByName[group.models[$0]] }
            guard !ready.isEmpty else { continue }
            together {
                for i in ready {
                    let input = RolloutInput.tick(
                        models[i].versionReadings, recovery: nil, stage: models[i].stage?.reading,
                        conditions: conditions(i))
                    apply(i, input, verb: nil)
                }
            }
        }
    }

    /// The members in the group's order.
    private func members(of group: GroupConfig) -> [GroupMember] {
        group.models.compactMap { indexByName[$0] }.map { i in
            GroupMember(
                model: models[i].config.name, models[i].decided, models[i].versionReadings,
                stage: models[i].stage?.reading, conditions: conditions(i), wallMicros: wallMicros)
        }
    }
}

// MARK: Down

extension ControlLoop {
    /// Notes that a cut has to reach the other members; called before the cut's step is posted. A member's
    /// own cut replaces one that is pending: it has evidence of its own, after what was decided meanwhile.
    func spread(_ record: CutRecord, of model: String) {
        guard let group = groups[model], !isSpreading else { return }
        if !partialCuts.contains(group.name) { partialCuts.append(group.name) }
        var trip = GroupTrip(
            group: group.name, model: model, cutID: record.id, reason: record.reason,
            rest: group.models.filter { $0 != model })
        trip.due = Dictionary(uniqueKeysWithValues: trip.rest.map { ($0, openCandidates($0)) })
        saved.groupTrips.removeAll { $0.group == group.name }
        saved.groupTrips.append(trip)
    }

    /// Cuts the members that are due, and says when a group's cut is over.
    func settleGroups() {
        for trip in saved.groupTrips { carryOut(trip) }
        for name in partialCuts where groupStatus(name)?.uncut.isEmpty ?? true {
            partialCuts.removeAll { $0 == name }
            if toldPartial.remove(name) != nil { log.notice("the cut of group \(name) is over") }
        }
        for name in partialCuts where !toldPartial.contains(name) && (hasTrouble || isHeldUp(name)) {
            toldPartial.insert(name)
            let uncut = (groupStatus(name)?.uncut ?? []).map { "\($0.model): \($0.reason)" }
            log.critical("group \(name) is cut in part: \(uncut.joined(separator: "; "))")
        }
    }

    /// Whether something that is tried again is in the way, rather than the moment that a disk takes.
    private var hasTrouble: Bool { isLedgerDegraded != nil || planTrouble != nil || !unposted.isEmpty }

    /// Whether a member of the group is not cut because its stable is down.
    private func isHeldUp(_ group: String) -> Bool {
        let rest = saved.groupTrips.first { $0.group == group }?.rest ?? []
        return rest.compactMap { indexByName[$0] }.contains {
            models[$0].stableUse.isGone && obstacle($0, toCut: models[$0].decided.setup.candidates) != nil
        }
    }

    /// Every group, with what a cut has not fully reached.
    var groupStatuses: [GroupStatus] { config.groups.compactMap { groupStatus($0.name) } }

    private func groupStatus(_ name: String) -> GroupStatus? {
        guard let group = config.groups.first(where: { $0.name == name }) else { return nil }
        var status = GroupStatus(name: name, models: group.models, uncut: [])
        guard partialCuts.contains(name) else { return status }
        let due = saved.groupTrips.first { $0.group == name }?.rest ?? []
        for model in group.models {
            if let reason = whyUncut(model, isDue: due.contains(model)) {
                status.uncut.append(GroupStatus.Uncut(model: model, reason: reason))
            }
        }
        return status
    }

    /// What a member's cut lacks; nil when it is durable and obeyed.
    private func whyUncut(_ model: String, isDue: Bool) -> String? {
        guard let i = indexByName[model] else { return nil }
        if isDue {
            let obstacle = obstacle(i, toCut: models[i].decided.setup.candidates)
            return "it is not cut yet" + (obstacle.map { ": \($0)" } ?? "")
        }
        // Who is left out is not cut.
        guard openCandidates(model).isEmpty else { return nil }
        if let trouble = isLedgerDegraded {
            return "cut, but the journal cannot be written (\(trouble)); it is retried"
        }
        if !unposted.isEmpty { return "cut, but \(Self.diskTooSlow); it is retried" }
        if pending.values.contains(where: { $0.contains { $0.model == model } }) {
            return "cut, and not durable yet"
        }
        guard models[i].barred != 0 else { return nil }
        return planTrouble.map { "cut, but there is no plan with it (\($0)); it is retried" }
            ?? "cut, and not every core has the plan with it yet"
    }
}
