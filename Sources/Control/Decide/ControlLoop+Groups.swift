// Models that must move together: when one is cut, the others are, in the order of the config. What is still
// to be cut is part of the saved state, written with the cut that caused it, so a crash between two members
// leaves no half-cut group.
// Invariant: a member is asked again every tick until it is cut or has nothing to cut.

import Logging
import Rollout

/// A cut that has to reach the rest of a group.
struct GroupTrip: Codable, Equatable, Sendable {
    var group: String
    /// Model and cut that began it.
    var model: String
    var cutID: String
    var reason: String
    /// Members that are not cut yet, in order.
    var rest: [String]
}

extension ControlLoop {
    /// Notes that a cut has to reach the other members; called before the cut's step is posted.
    func spread(_ record: CutRecord, of model: String) {
        guard let group = config.groups.first(where: { $0.models.contains(model) }),
            !saved.groupTrips.contains(where: { $0.group == group.name })
        else { return }
        saved.groupTrips.append(
            GroupTrip(
                group: group.name, model: model, cutID: record.id, reason: record.reason,
                rest: group.models.filter { $0 != model }))
    }

    /// Cuts the members that are due.
    func settleGroups() {
        guard !saved.groupTrips.isEmpty else { return }
        for trip in saved.groupTrips {
            var left: [String] = []
            for member in trip.rest where !isCut(member, by: trip) { left.append(member) }
            guard left != trip.rest, let t = saved.groupTrips.firstIndex(where: { $0.group == trip.group })
            else { continue }
            if left.isEmpty { saved.groupTrips.remove(at: t) } else { saved.groupTrips[t].rest = left }
            note([
                JournalEvent(
                    at: wallMicros, .group, model: trip.model,
                    reason: left.isEmpty
                        ? "every model of group \(trip.group) is cut"
                        : "group \(trip.group) is cut in part: " + left.joined(separator: ", ") + " left",
                    details: [
                        .init("group", .string(trip.group)), .init("cut", .string(trip.cutID)),
                        .init("left", .array(left.map(JSON.string))),
                    ])
            ])
            saveState()
        }
    }

    /// Whether nothing of the member is left to cut.
    private func isCut(_ member: String, by trip: GroupTrip) -> Bool {
        guard let i = indexByName[member] else { return true }
        let state = models[i].decided
        let open = state.setup.candidates.filter { state.quarantined[$0] == nil }
        guard !open.isEmpty else { return true }
        apply(
            i,
            .verb(
                VerbRequest(
                    verb: .rollback(version: nil), actor: "weir",
                    reason: "group \(trip.group): \(trip.model) was cut (\(trip.cutID)): \(trip.reason)")),
            verb: nil)
        let after = models[i].decided
        return after.setup.candidates.allSatisfy { after.quarantined[$0] != nil }
    }
}
