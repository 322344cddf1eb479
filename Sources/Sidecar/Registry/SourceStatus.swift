// What a source has done and what it stands at: values for the status page, the metrics and the readiness
// page, and the sentences in which people are told.
// Invariant: no text here holds a secret, a token or a URL's path; label values come from the config.

import Config
import Control
import Payload

/// How a poll of a registry can end.
enum SourcePoll: String, Sendable, CaseIterable {
    /// The alias names a version that the config maps.
    case mapped
    /// The alias names a version that the config does not map.
    case unmapped
    /// There is no such alias.
    case missing
    /// There is the alias, and the version that it names is gone.
    case gone
    /// No answer that can be used.
    case failed
    /// An answer that was not taken over: the disk did not take it, or the controller was busy.
    case refused
}

/// A source at one moment.
struct SourceStatus: Sendable, Hashable {
    /// Weir's model.
    package var model: String
    package var pointer: SourcePointer
    /// The registry's version that is in force, and ours; nil: none, so there is no candidate.
    var number: String?
    var candidate: String?
    /// Where the candidate comes from, as a sentence.
    var sentence: String
    /// What is wrong, as a sentence.
    var trouble: String?
    var polls: [SourcePoll: UInt64] = [:]
    /// Of the last answer that could be used; microseconds since 1970.
    var answeredMicros: UInt64?
}

extension SourceStatus {
    var json: JSON {
        [
            "kind": "mlflow", "registry": .string(pointer.registry), "model": .string(pointer.model),
            "alias": .string(pointer.alias), "version": .optional(number), "candidate": .optional(candidate),
            "sentence": .string(sentence), "trouble": .optional(trouble),
            "polls": .object(SourcePoll.allCases.map { .init($0.rawValue, .count(polls[$0] ?? 0)) }),
            "answered_at": answeredMicros.map { .string(Timestamp.text(wallMicros: $0)) } ?? .null,
        ]
    }
}

extension CandidateSource {
    /// What the alias says now, and what follows from it: "mlflow alias challenger -> version 4 (v1.14)".
    func sentence(_ answer: SourceAnswer?, stable: String) -> String {
        let (choice, unmapped) = choice(answer, stable: stable)
        if let unmapped {
            return "mlflow alias \(alias) -> version \(unmapped), which `versions` does not map: "
                + "\(standing(choice))"
        }
        switch choice {
        case .unknown: return "mlflow alias \(alias): not heard of yet, there is no candidate"
        case .noAlias: return "mlflow alias \(alias) -> none: there is no candidate"
        case .stable(let number, let version):
            return "mlflow alias \(alias) -> version \(number) (\(version)), which is stable: "
                + "there is no candidate"
        case .candidate(let number, let version):
            return "mlflow alias \(alias) -> version \(number) (\(version))"
        }
    }

    /// What goes on while nothing new can be had.
    func standing(_ choice: SourceChoice) -> String {
        switch choice {
        case .unknown, .noAlias, .stable: "there is no candidate"
        case .candidate(let number, let version): "version \(number) (\(version)) stays the candidate"
        }
    }
}
