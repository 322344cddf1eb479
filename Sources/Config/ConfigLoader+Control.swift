// The section of a rollout's control arm, and what must hold between it and the versions of its model.
// Invariant: an arm is made of stable's own settings, so that but for its size and age nothing tells the two
// apart; what answers for it is stable's release, never another version's server. Whether it does well is
// watched while it has requests (`ControlWatch`).

import Platform
import Proxy
import Rollout

/// A control arm as read, before it is held against its model.
struct ControlDraft {
    var place: Place
    var sharePPM: UInt32
    /// nil: stable's.
    var endpoints: [SocketAddress]?
}

/// An arm takes at most as much as it leaves to the candidate.
private let shareMax: UInt32 = 500_000

extension Kind where Value == ControlDraft {
    static var control: Kind {
        .section("a control arm: a mapping with share or endpoints") { section in
            let share = section.value("share", .percentage(1...shareMax), or: shareMax)
            let endpoints = section.optional("endpoints", .endpoints)
            if !section.has("share"), !section.has("endpoints") {
                section.lacks(
                    ["share", "endpoints"], "says neither share nor endpoints",
                    expected: "share, such as 50%, for a part of stable, or endpoints that run it")
            }
            return ControlDraft(place: section.place, sharePPM: share, endpoints: endpoints)
        }
    }
}

extension ModelChecks {
    /// The control arm of the model's rollout, with its entry among the versions.
    /// - Parameter guardrails: the model's, and those of its stages.
    func checkedControl(
        _ draft: ModelDraft, _ stable: String?, _ guardrails: [GuardrailSpec]
    ) -> (arm: ControlArm, version: VersionConfig)? {
        guard let rollout = draft.rollout, let control = rollout.control else { return nil }
        if rollout.program.stages.allSatisfy({ $0.weightPPM == 0 }) {
            reading.report(
                control.place, "no stage has a weight, and copies are compared with stable's own answers",
                expected: "a stage with `weight`, or no control arm")
        }
        let compares =
            guardrails.contains(where: \.rule.isRelative)
            || rollout.gates.contains(where: \.spec.metric.isRelative)
        if !compares {
            reading.report(
                control.place, "no guardrail and no gate compares with stable, so nothing uses the arm",
                expected: "a rule or a gate against stable, or no control arm")
        }
        if draft.versions?.count ?? 0 >= Limits.versionsPerModelMax {
            reading.report(
                control.place, "the model has \(Limits.versionsPerModelMax) versions, and this is one more",
                expected: "at most \(Limits.versionsPerModelMax - 1) versions beside a control arm")
        }
        checkEndpoints(control, draft, stable)
        guard let stable, var version = draft.versions?.first(where: { $0.name.value == stable })?.value
        else { return nil }
        if control.endpoints == nil, version.inFlightMax < 2 {
            reading.report(
                control.place,
                "shares stable's servers, and stable's max_in_flight of \(version.inFlightMax) cannot be"
                    + " divided",
                expected: "a max_in_flight of at least 2 at \(stable), or endpoints")
        }
        version.name = ControlArm.name(of: stable)
        if let endpoints = control.endpoints { version.endpoints = endpoints }
        let arm = ControlArm(
            version: version.name, sharePPM: control.sharePPM, hasOwnEndpoints: control.endpoints != nil)
        return (arm, version)
    }

    /// A server of stable or of another version would be compared with itself, or with what it is not.
    private func checkEndpoints(_ control: ControlDraft, _ draft: ModelDraft, _ stable: String?) {
        var place = control.place
        place.path += ".endpoints"
        for address in control.endpoints ?? [] {
            let owner = draft.versions?.first { $0.value?.endpoints.contains(address) == true }
            if let owner {
                reading.report(
                    place, "is an endpoint of \(owner.name.value) already:", value: address.description,
                    expected: "a server that runs \(stable ?? "stable") and serves nothing else")
            }
            if own.contains(where: address.isServed) {
                reading.report(
                    place, "Weir itself listens on", value: address.description,
                    expected: "the address of a model server")
            }
        }
    }
}

extension ModelDraft {
    /// Endpoints of its control arm, which count beside those of its versions.
    var controlEndpoints: Int {
        guard let control = rollout?.control else { return 0 }
        let own = versions?.first { $0.name.value == stable?.value }?.value?.endpoints.count
        return control.endpoints?.count ?? own ?? 0
    }
}
