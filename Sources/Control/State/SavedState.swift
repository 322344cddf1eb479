// What a restart must know: per model the rollout's state and the evidence spent so far, and the requests
// that were answered, so that a verb repeated after a crash is not obeyed twice.
//
// The file carries the SHA-256 of its own content: a flipped bit must not un-quarantine a version.

import Config
import FoundationEssentials
import Payload
import Rollout

/// The content of `rollouts.json`.
package struct SavedState: Codable, Equatable, Sendable {
    /// One model's share.
    package struct Model: Codable, Equatable, Sendable {
        package var rollout: RolloutState
        /// Per candidate: the wealth of its guardrails, so that a restart does not spend a second alpha.
        package var watches: [String: CandidateWatch.Saved]
        /// The latency thresholds that the evidence was taken with.
        package var reference: LatencyReference?
        /// Which clock the watches' ticks are of; nil in files of earlier releases.
        var clock: ClockAnchor?
        /// What was seen of the stage in force.
        var stage: StageFigures.Saved?
        /// Evidence against the split, by version; nil in files of earlier releases.
        var splits: [String: SplitCheck.Saved]?

        package init(
            rollout: RolloutState, watches: [String: CandidateWatch.Saved] = [:],
            reference: LatencyReference? = nil
        ) {
            self.init(rollout: rollout, watches: watches, reference: reference, clock: nil)
        }

        init(
            rollout: RolloutState, watches: [String: CandidateWatch.Saved],
            reference: LatencyReference?, clock: ClockAnchor?, stage: StageFigures.Saved? = nil,
            splits: [String: SplitCheck.Saved]? = nil
        ) {
            self.splits = splits
            self.clock = clock
            self.stage = stage
            self.rollout = rollout
            self.watches = watches
            self.reference = reference
        }

        /// What was counted of another stable says nothing of the one that is stable now.
        mutating func forgetStable() {
            for version in watches.keys { watches[version]?.forgetStable() }
            stage = nil
        }
    }

    package var models: [String: Model]
    /// The last verbs that carried a request id, oldest first.
    package var answered: [AnsweredVerb]
    /// Reports of cuts, and the ledger over rollouts; nil in states saved before there were any.
    var reports: ReportDesk.Saved?
    /// Groups of which not every member is cut.
    var groupTrips: [GroupTrip] = []
    /// The newest journal line that is included; nil in files of earlier releases.
    package var journal: JournalMark?

    package init(models: [String: Model] = [:], answered: [AnsweredVerb] = []) {
        self.models = models
        self.answered = answered
    }

    /// Members that came later have defaults, so that an older file is still read.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        models = try values.decode([String: Model].self, forKey: .models)
        answered = try values.decode([AnsweredVerb].self, forKey: .answered)
        groupTrips = try values.decodeIfPresent([GroupTrip].self, forKey: .groupTrips) ?? []
        reports = try values.decodeIfPresent(ReportDesk.Saved.self, forKey: .reports)
        journal = try values.decodeIfPresent(JournalMark.self, forKey: .journal)
    }

    /// Request ids remembered.
    static let answeredMax = 256
}

/// A verb that was answered, kept so that its repetition gets the same answer.
package struct AnsweredVerb: Codable, Hashable, Sendable {
    package var requestID: String
    /// The verb and its arguments: the same id with another request is refused.
    package var request: String
    package var status: Int
    package var body: String

    package init(requestID: String, request: String, status: Int, body: String) {
        self.requestID = requestID
        self.request = request
        self.status = status
        self.body = body
    }
}

extension SavedState.Model {
    /// The model with its durations under way by the clock of another process.
    func moved(to clocks: ClockAnchor) -> SavedState.Model {
        var model = self
        let now = clocks.steadyMicros ?? clocks.wallMicros
        model.rollout.move(fromSteadyMicros: clock?.steadyMicros(at: clocks) ?? now, to: now)
        return model
    }
}

extension SavedState {
    static let format = 1

    /// The file's bytes: a header line with format and digest, then the state.
    func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        // Strings, integers and doubles in arrays and dictionaries: encoding them cannot fail.
        guard let data = try? encoder.encode(self) else { preconditionFailure("a saved state encodes") }
        let body = [UInt8](data)
        let header: JSON = [
            "weir_rollouts": .integer(Int64(Self.format)), "sha256": .string(Digest.sha256(Array(body))),
        ]
        return Array((header.text + "\n").utf8) + body + [UInt8(ascii: "\n")]
    }

    /// - Throws: `StateProblem` when the bytes are not exactly what `encoded` wrote.
    static func decoded(_ bytes: [UInt8], path: String) throws(StateProblem) -> SavedState {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), bytes.last == UInt8(ascii: "\n"),
            end + 1 < bytes.count, let header = try? JSON(parsing: bytes[..<end]),
            let format = header["weir_rollouts"]?.integer, let digest = header["sha256"]?.string
        else { throw .corrupt(path: path, what: "it does not begin with a weir_rollouts line") }
        guard format == Int64(Self.format) else {
            throw .corrupt(path: path, what: "its format is \(format), this build reads \(Self.format)")
        }
        let body = bytes[(end + 1)..<(bytes.count - 1)]
        guard Digest.sha256(Array(body)) == digest else {
            throw .corrupt(
                path: path, what: "its content does not have the SHA-256 that its first line names")
        }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let state: SavedState
        do {
            state = try decoder.decode(SavedState.self, from: Data(body))
        } catch {
            throw .corrupt(path: path, what: "a field is missing or has another type (\(error))")
        }
        guard let mark = state.journal, mark.line > JournalNumber.rememberedMax else { return state }
        throw .corrupt(
            path: path,
            what: "it names journal line \(mark.line), and a journal has "
                + "\(JournalNumber.rememberedMax) at most")
    }
}

/// Why a state directory cannot be used; the description says what to do.
package enum StateProblem: Error, Sendable, Equatable, CustomStringConvertible {
    case corrupt(path: String, what: String)
    case locked(directory: String, by: String)
    case unusable(directory: String, what: String)
    /// Somebody else can change what is in it.
    case untrusted(directory: String, what: String)
    /// There is no state, and the journal does not say all that it would.
    case lost(directory: String, what: String)

    package var description: String {
        switch self {
        case .corrupt(let path, let what):
            "\(path) is damaged: \(what). Weir does not start without it, because it says which versions are "
                + "quarantined. Restore it from a backup; or move it away, and the next start rebuilds it "
                + "from the journal where that says all that was decided."
        case .locked(let directory, let owner):
            "state_dir \(directory) is in use by \(owner). Two processes must not share one: stop the other "
                + "one, or give this one its own state_dir."
        case .untrusted(let directory, let what): "state_dir \(directory) is not used: \(what)."
        case .lost(let directory, let what):
            "rollouts.json is missing in \(directory), and it cannot be rebuilt from the journal: \(what). "
                + "Weir does not start, because a version that was cut could get traffic again. Restore "
                + "rollouts.json or the journal files from a backup; or set the weight of the versions that "
                + "must stay off to 0 in the config and move journal.jsonl, journal-*.jsonl and journal.head "
                + "away, to begin anew."
        case .unusable(let directory, let what):
            "state_dir \(directory) cannot be used: \(what). Create it, writable for the user of weir, "
                + "or name another one under state_dir."
        }
    }

    /// 65 damaged or lost state, 73 the directory cannot be made or is not trusted, 75 it is in use.
    package var exitCode: Int32 {
        switch self {
        case .corrupt, .lost: 65
        case .unusable, .untrusted: 73
        case .locked: 75
        }
    }
}
