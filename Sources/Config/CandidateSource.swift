// A candidate that a registry names: which alias is asked, and which of our versions each of the registry's
// versions stands for. What a config with such a candidate amounts to is a function of the file and of what
// the registries have said, and of nothing else: `Config.resolved(by:)`.
// Invariant: every version that `versions` maps to is one of the model's; resolving twice is resolving once.

import Platform
import Rollout

/// How a tracking server of MLflow is reached.
package struct MLflowAccess: Sendable, Hashable {
    /// `/api/2.0/mlflow` is added.
    package var url: HTTPURL
    /// For HTTP's basic authentication, with `passwordFile`; no colon in it.
    package var username: String?
    package var passwordFile: String?
    /// Sent as a bearer token, in place of a name and a password.
    package var tokenFile: String?
    package var caFile: String?
    /// Each call.
    package var timeout = Interval.seconds(10)
}

/// An alias of a registered model in MLflow that names the candidate.
package struct CandidateSource: Sendable, Equatable {
    package var access: MLflowAccess
    /// The name in the registry.
    package var model: String
    package var alias: String
    /// Between the end of one poll and the beginning of the next, give or take a tenth.
    package var every: Interval
    /// Our version by the registry's version; not empty. Several may stand for one of ours.
    package var versions: [String: String]
    /// The weights as written, for whichever version becomes the candidate; nil: the file names none.
    package var weights: [String: UInt32]?
    /// The rollout of whichever version becomes the candidate, which it does not name.
    package var rollout: RolloutConfig?

    /// What becomes of the candidate when there is no version behind the alias.
    package var missing = MissingAlias.stop(after: .seconds(60))

    /// Sources have a thread each.
    static let sourcesMax = 64

    /// What answers are about: the answer about another pointer says nothing about this one.
    package var pointer: SourcePointer {
        SourcePointer(registry: access.url.origin, model: model, alias: alias)
    }

    /// In words, without anything that may be secret.
    package var text: String { "mlflow alias \(alias) of \(model) at \(access.url.origin)" }

    /// Our versions that may become the candidate.
    package func targets(stable: String) -> Set<String> { Set(versions.values).subtracting([stable]) }
}

/// What follows when the registry has no version for an alias: there is no such alias, or the version that
/// it names was deleted.
package enum MissingAlias: Sendable, Hashable {
    /// The candidate stays, and readiness and status say so.
    case keep
    /// The candidate's traffic goes back to stable: at once when there is no such alias, and after this
    /// time when the alias is there without its version.
    case stop(after: Interval)
}

/// An alias in a registry.
package struct SourcePointer: Sendable, Hashable {
    /// Scheme, host and port.
    package var registry: String
    package var model: String
    package var alias: String

    package init(
        registry: String, model: String, alias: String
    ) {
        self.registry = registry
        self.model = model
        self.alias = alias
    }
}

/// What a registry says of an alias.
package enum AliasTarget: Sendable, Hashable {
    /// There is no such alias.
    case missing
    /// A version of the registered model, by its number.
    case version(String)
}

/// What a registry answers.
package enum AliasReading: Sendable, Hashable {
    case target(AliasTarget)
    /// There is the alias, and the version that it names is gone.
    case gone
}

/// What is known of an alias: all that must survive a restart.
package struct SourceAnswer: Sendable, Hashable {
    package var pointer: SourcePointer
    package var latest: AliasTarget
    /// The last answer before, of those that named a version of ours or none; in force while `latest` names a
    /// version that the config does not map. nil: there was none.
    package var before: AliasTarget?
    /// When `latest` was first heard; wall clock, microseconds since 1970.
    package var sinceMicros: UInt64

    package init(
        pointer: SourcePointer, latest: AliasTarget, before: AliasTarget? = nil, sinceMicros: UInt64
    ) {
        self.pointer = pointer
        self.latest = latest
        self.before = before
        self.sinceMicros = sinceMicros
    }
}

/// What an answer means under a config.
package enum SourceChoice: Sendable, Hashable {
    /// The registry has not been heard yet.
    case unknown
    case noAlias
    /// The registry's version, and ours.
    case candidate(String, version: String)
    case stable(String, version: String)

    /// Our version that is under trial by it.
    package var candidate: String? {
        if case .candidate(_, let version) = self { version } else { nil }
    }
}

extension CandidateSource {
    /// What is in force, and the registry's version that is not, because the config does not map it.
    package func choice(_ answer: SourceAnswer?, stable: String) -> (inForce: SourceChoice, unmapped: String?)
    {
        guard let answer, answer.pointer == pointer else { return (.unknown, nil) }
        if let choice = choice(answer.latest, stable: stable) { return (choice, nil) }
        guard case .version(let number) = answer.latest else { return (.unknown, nil) }
        return (answer.before.flatMap { choice($0, stable: stable) } ?? .unknown, number)
    }

    /// nil where the config does not map the version.
    private func choice(_ target: AliasTarget, stable: String) -> SourceChoice? {
        guard case .version(let number) = target else { return .noAlias }
        return versions[number].map {
            $0 == stable ? .stable(number, version: $0) : .candidate(number, version: $0)
        }
    }

    /// The answer that follows on another one.
    package func answer(_ target: AliasTarget, after old: SourceAnswer?, wallMicros: UInt64) -> SourceAnswer {
        guard let old, old.pointer == pointer else {
            return SourceAnswer(pointer: pointer, latest: target, before: nil, sinceMicros: wallMicros)
        }
        guard old.latest != target else { return old }
        // Which of ours is stable does not matter for whether the config knows it.
        let isKnown = choice(old.latest, stable: "") != nil
        return SourceAnswer(
            pointer: pointer, latest: target, before: isKnown ? old.latest : old.before,
            sinceMicros: wallMicros)
    }
}

extension Config {
    /// The config under what registries have said, by model name.
    package func resolved(by answers: [String: SourceAnswer]) -> Config {
        var config = self
        config.models = models.map { $0.resolved(by: answers[$0.name]) }
        return config
    }
}

extension ModelConfig {
    /// The rollout as the file has it, whoever a registry names.
    var writtenRollout: RolloutConfig? { source.map(\.rollout) ?? rollout }

    /// The model with the candidate that its source names; itself where the file names the candidates.
    package func resolved(by answer: SourceAnswer?) -> ModelConfig {
        guard let source else { return self }
        var model = self
        let candidate = source.choice(answer, stable: stable).inForce.candidate
        model.candidates = candidate.map { [$0] } ?? []
        model.weights = source.weights.map { weights in weights.filter { $0.key == candidate } }
        model.rollout = nil
        if let candidate, var rollout = source.rollout {
            rollout.program.candidate = candidate
            model.rollout = rollout
        }
        return model
    }
}
