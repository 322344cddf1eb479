// The section of a rollout's control arm, and what must hold between it and the versions of its model.
// Invariant: an arm is made of stable's own settings and servers, so that but for its size and age nothing
// tells the two apart. Servers of its own would have to be watched themselves: where the arm alone is ill, a
// candidate that is as ill looks well beside it.

import Proxy

/// A control arm as read, before it is held against its model.
struct ControlDraft {
    var place: Place
    var sharePPM: UInt32
}

/// An arm takes at most as much as it leaves to the candidate.
private let shareMax: UInt32 = 500_000

extension Kind where Value == ControlDraft {
    static var control: Kind {
        .section("a control arm: a mapping with share") { section in
            let share = section.value("share", .percentage(1...shareMax), or: shareMax)
            if !section.has("share") {
                section.lacks(
                    ["share"], "says no share", expected: "share, such as 50%, for a part of stable")
            }
            return ControlDraft(place: section.place, sharePPM: share)
        }
    }
}

extension ModelChecks {
    /// The control arm of the model's rollout, with its entry among the versions.
    func checkedControl(
        _ draft: ModelDraft, _ stable: String?
    ) -> (arm: ControlArm, version: VersionConfig)? {
        guard let rollout = draft.rollout, let control = rollout.control else { return nil }
        if rollout.program.stages.allSatisfy({ $0.weightPPM == 0 }) {
            reading.report(
                control.place, "no stage has a weight, and copies are compared with stable's own answers",
                expected: "a stage with `weight`, or no control arm")
        }
        if draft.versions?.count ?? 0 >= Limits.versionsPerModelMax {
            reading.report(
                control.place, "the model has \(Limits.versionsPerModelMax) versions, and this is one more",
                expected: "at most \(Limits.versionsPerModelMax - 1) versions beside a control arm")
        }
        guard let stable, var version = draft.versions?.first(where: { $0.name.value == stable })?.value
        else { return nil }
        if version.inFlightMax < 2 {
            reading.report(
                control.place,
                "shares stable's servers, and stable's max_in_flight of \(version.inFlightMax) cannot be"
                    + " divided",
                expected: "a max_in_flight of at least 2 at \(stable)")
        }
        version.name = ControlArm.name(of: stable)
        let arm = ControlArm(version: version.name, sharePPM: control.sharePPM)
        return (arm, version)
    }
}

extension ModelDraft {
    /// Endpoints of its control arm, which count beside those of its versions.
    var controlEndpoints: Int {
        guard rollout?.control != nil else { return 0 }
        return versions?.first { $0.name.value == stable?.value }?.value?.endpoints.count ?? 0
    }
}
