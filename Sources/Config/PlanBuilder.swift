// From what is configured and what has been decided to the plan that cores obey. The config says who exists
// and the split as written; `PlanOverrides` carries what the rollout machine decided since. Invariants: a
// model's weights sum to exactly 1,000,000; a quarantined version has none, whoever asked for it; what
// nobody is given is stable's.

import Platform
import Proxy
import Rollout

/// What has been decided since the config was written, by model name.
package struct PlanOverrides: Sendable, Equatable {
    /// Weights in force, parts per million by version name, in place of the config's. Names that are not
    /// candidates (any more) are skipped, stable's too: it gets what is left.
    package var weights: [String: [String: UInt32]]
    /// Versions that get no traffic by any rule.
    package var quarantined: [String: Set<String>]
    /// Candidates whose weight waits until their checks have passed once.
    package var held: [String: Set<String>] = [:]
    /// How far rollouts have come.
    package var climbs: [String: PlanClimb] = [:]

    package init(weights: [String: [String: UInt32]] = [:], quarantined: [String: Set<String>] = [:]) {
        self.weights = weights
        self.quarantined = quarantined
    }

    /// What the states of rollouts say, by model name.
    package init(_ states: [String: RolloutState]) {
        self.init(
            weights: states.mapValues(\.weights),
            quarantined: states.mapValues { Set($0.quarantined.keys) })
        climbs = states.mapValues(PlanClimb.init)
    }

    /// The same, with the candidates of fixed splits held that have something to prove.
    /// - Parameter proven: whether a candidate of a model has.
    package init(
        _ states: [String: RolloutState], _ config: Config, proven: (_ model: String, String) -> Bool
    ) {
        self.init(states)
        for model in config.models {
            if case .promoted? = states[model.name]?.phase { continue }
            let held = model.candidatesToProve.filter { !proven(model.name, $0) }
            if !held.isEmpty { self.held[model.name] = Set(held) }
        }
    }
}

/// What a model's plan takes from its rollout besides weights.
package struct PlanClimb: Sendable, Hashable {
    /// Sent as `x-weir-epoch`.
    package var epoch: UInt32
    /// 1, or more after a `retry`: every attempt deals the sticky keys anew.
    package var attempt: Int
    /// Another number counts different sticky keys anew; 0 counts none.
    package var keyRound: UInt64
    /// The version that a shadow stage copies requests to, and their share.
    package var shadow: VersionWeight?
    /// Whether the control arm gave its traffic back to the rest of stable.
    package var isControlWithdrawn = false

    package init(_ state: RolloutState) {
        epoch = UInt32(truncatingIfNeeded: state.epoch)
        attempt = state.climb?.attempt ?? 1
        shadow = state.shadow
        isControlWithdrawn = state.climb?.controlWithdrawn != nil
        let counts = state.setup.program?.stages.contains { $0.minKeys > 0 || !$0.gates.isEmpty } ?? false
        keyRound = counts ? state.climb.map { Salt.of("\($0.id)/\($0.visit)") | 1 } ?? 0 : 0
    }

    /// The seed of the sticky hash in this attempt.
    func salt(_ configured: UInt64) -> UInt64 {
        attempt > 1 ? configured ^ Salt.of("attempt \(attempt)") : configured
    }
}

/// Why there is no plan; the plan in force stays.
package enum PlanProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The config makes a quarantined version stable.
    case stableIsQuarantined(model: String, version: String)
    /// Removed names still hold their slots; they are free when every core obeys the plan without them.
    case slotsInUse(String)

    package var description: String {
        switch self {
        case .stableIsQuarantined(let model, let version):
            "model \(model): \(version) was cut and is quarantined, so it cannot be stable; "
                + "lift that first (weir unquarantine \(model) \(version); with --state-dir where Weir does "
                + "not run), or name another stable version"
        case .slotsInUse(let kind):
            "too many \(kind) at once while removed ones still serve their last requests; reload again"
        }
    }
}

/// Builds plans.
package enum PlanBuilder {
    /// The plan `epoch` for a config. `slots` learns the names that are new; it is unchanged on failure.
    package static func plan(
        from config: Config, slots: inout SlotTable, overrides: PlanOverrides = PlanOverrides(),
        epoch: UInt64
    ) throws(PlanProblem) -> Plan {
        for model in config.models where overrides.quarantined[model.name]?.contains(model.stable) == true {
            throw .stableIsQuarantined(model: model.name, version: model.stable)
        }
        try slots.assign(config, epoch: epoch)
        var models: [ModelPlan] = []
        for model in config.models {
            models.append(
                plan(
                    model, slots, weights: overrides.weights[model.name],
                    quarantined: overrides.quarantined[model.name] ?? [],
                    held: overrides.held[model.name] ?? [],
                    climb: overrides.climbs[model.name]))
        }
        return Plan(
            epoch: epoch, models: models, trusted: config.trusted,
            accessLogPPM: config.accessLog.destination == .none ? nil : config.accessLog.samplePPM)
    }

    /// The weights of a model's versions, in their order, parts per million: what is `asked` for candidates
    /// that are not quarantined, scaled down in proportion should it exceed the whole; the rest is stable's,
    /// and of that its control arm has as much as the candidate that walks, at most half. Sum 1,000,000.
    package static func weights(
        of model: ModelConfig, asked: [String: UInt32], quarantined: Set<String>,
        isControlWithdrawn: Bool = false
    ) -> [UInt32] {
        let whole: UInt64 = 1_000_000
        var shares = model.versions.map { version -> UInt64 in
            guard model.candidates.contains(version.name), !quarantined.contains(version.name) else {
                return 0
            }
            return min(UInt64(asked[version.name] ?? 0), whole)
        }
        // At most 32 versions of at most 1,000,000: far from overflow.
        let total = shares.reduce(0, +)
        if total > whole { shares = shares.map { $0 * whole / total } }
        var rest = UInt32(whole - shares.reduce(0, +))
        var part: UInt32 = 0
        if !isControlWithdrawn, let control = model.control, let candidate = model.rollout?.program.candidate,
            let index = model.index(of: candidate)
        {
            part = control.weight(beside: UInt32(shares[index]), of: rest)
            rest -= part
        }
        return zip(model.versions, shares).map { version, share in
            if version.name == model.stable { return rest }
            return version.name == model.control?.version ? part : UInt32(share)
        }
    }

    private static func plan(
        _ model: ModelConfig, _ slots: SlotTable, weights asked: [String: UInt32]?, quarantined: Set<String>,
        held: Set<String>, climb: PlanClimb?
    ) -> ModelPlan {
        let weights = weights(
            of: model, asked: asked ?? model.weights ?? [:], quarantined: quarantined.union(held),
            isControlWithdrawn: climb?.isControlWithdrawn ?? false)
        precondition(weights.reduce(0, +) == 1_000_000)
        var versions = zip(model.versions, weights).map { version, weight in
            plan(version, of: model, slots, weight: weight, isQuarantined: quarantined.contains(version.name))
        }
        divideBounds(of: model, &versions)
        return ModelPlan(
            slot: known(slots.slot(model: model.name)), name: model.name, matches: model.matches,
            versions: versions, stable: known(model.index(of: model.stable)),
            control: model.control.flatMap { model.index(of: $0.version) },
            cohorts: model.cohorts.map {
                CohortPlan(
                    name: $0.name, conditions: $0.conditions, version: known(model.index(of: $0.version)))
            },
            stickyKeys: model.stickyKeys, salt: climb?.salt(model.salt) ?? model.salt,
            shadow: shadow(of: model, climb?.shadow), tap: model.tap,
            timeouts: model.timeouts, retries: model.retries, shield: model.shield,
            clientHalfClose: model.clientHalfClose, clientErrors: model.clientErrors,
            sendsVersion: model.sendsVersion, sendsID: model.sendsID,
            epochHeader: model.sendsEpoch ? climb?.epoch ?? 1 : nil, keyRound: climb?.keyRound ?? 0)
    }

    /// Stable's bounds hold for its servers, so a control arm that they serve too has a part of them.
    private static func divideBounds(of model: ModelConfig, _ versions: inout [VersionPlan]) {
        guard let control = model.control, !control.hasOwnEndpoints else { return }
        let (a, b) = (known(model.index(of: model.stable)), known(model.index(of: control.version)))
        guard versions[b].weightPPM > 0 else { return }
        let ppm = versions[a].weightPPM
        (versions[a].inFlightMax, versions[b].inFlightMax) = ControlArm.divided(
            versions[a].inFlightMax, stablePPM: ppm)
        (versions[a].queueMax, versions[b].queueMax) = ControlArm.divided(
            versions[a].queueMax, stablePPM: ppm)
    }

    /// A copy that is compared lives until its evidence is decided, 30 s: a hang is a failure then, as
    /// stable's is.
    private static let copyAgeMax = Interval.seconds(31)

    /// A shadow stage's copies, or those that the file asks for.
    private static func shadow(of model: ModelConfig, _ stage: VersionWeight?) -> ShadowPlan? {
        let config =
            stage.flatMap { stage in
                model.index(of: stage.version).map { _ in
                    ShadowConfig(version: stage.version, ppm: stage.ppm, ageMax: Self.copyAgeMax)
                }
            } ?? model.shadow
        return config.map { shadow in
            ShadowPlan(
                version: known(model.index(of: shadow.version)), ppm: shadow.ppm,
                conditions: shadow.conditions, bodyBytesMax: shadow.bodyBytesMax,
                inFlightMax: shadow.inFlightMax, ageMax: shadow.ageMax,
                isCompared: model.candidates.contains(shadow.version))
        }
    }

    private static func plan(
        _ version: VersionConfig, of model: ModelConfig, _ slots: SlotTable, weight: UInt32,
        isQuarantined: Bool
    ) -> VersionPlan {
        let endpoints = version.endpoints.map { address in
            EndpointPlan(
                slot: known(slots.slot(model: model.name, version: version.name, endpoint: address)),
                address: address, isChecked: version.healthCheck != nil)
        }
        return VersionPlan(
            slot: known(slots.slot(model: model.name, version: version.name)), name: version.name,
            weightPPM: weight, isQuarantined: isQuarantined, endpoints: endpoints, rewrite: version.rewrite,
            inFlightMax: version.inFlightMax, queueMax: version.queueMax, queueTimeout: version.queueTimeout,
            ejection: version.ejection, slowStart: version.slowStart)
    }

    /// What the checks of the config and the table of slots have made sure of.
    private static func known(_ index: Int?) -> Int {
        guard let index else { preconditionFailure("a validated config refers to a name it does not have") }
        return index
    }
}
