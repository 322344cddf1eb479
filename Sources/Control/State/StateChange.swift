// What a step changed of the state that a restart must know, as the journal carries it: the member `state` of
// the step's first line. So the journal is the one truth, and `rollouts.json` a copy that names the line it
// includes (`JournalMark`); what is newer in the journal is applied at the start (`StateRecovery`).
//
// All models of a step are in one line, because a crash may leave the first lines of a step and not the last.
// Invariant: the member is ASCII on one line; a line that has it is never shortened by leaving it out.

import FoundationEssentials
import Rollout

/// The newest line of the journal that a state includes.
package struct JournalMark: Codable, Hashable, Sendable {
    var line: UInt64
    /// Of that line, as the next one carries it.
    var hash: String
}

/// The state of what a step changed, after it.
struct StateChange: Codable, Hashable, Sendable {
    /// By model name.
    var models: [String: RolloutState]
    /// Verbs with a request id that the step answers; nil: none.
    var answered: [AnsweredVerb]?
    /// Cuts that have to reach the rest of a group; nil: none at all.
    var groups: [GroupTrip]?

    init(models: [String: RolloutState], answered: [AnsweredVerb] = [], groups: [GroupTrip] = []) {
        self.models = models
        self.answered = answered.isEmpty ? nil : answered
        self.groups = groups.isEmpty ? nil : groups
    }

    /// Above this, cuts go without their evidence, which stands in the line itself.
    private static let bytesMax = 128 << 10

    /// JSON in ASCII.
    var bytes: [UInt8] {
        let whole = Self.encoded(self)
        return whole.count <= Self.bytesMax ? whole : Self.encoded(withoutEvidence)
    }

    private var withoutEvidence: StateChange {
        var change = self
        for (name, state) in models {
            guard case .cut(var record) = state.phase else { continue }
            record.evidence = []
            change.models[name]?.phase = .cut(record)
        }
        return change
    }

    private static func encoded(_ change: StateChange) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        // Strings, integers and doubles in arrays and dictionaries: encoding them cannot fail.
        guard let data = try? encoder.encode(change) else { preconditionFailure("a state change encodes") }
        var ascii: [UInt8] = []
        ascii.reserveCapacity(data.count)
        for unit in String(decoding: data, as: UTF8.self).utf16 {
            if unit < 0x7F {
                ascii.append(UInt8(unit))
            } else {
                let digits = String(unit, radix: 16)
                ascii += Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
            }
        }
        return ascii
    }

    /// The change that a journal line carries; nil when it carries none.
    /// - Throws: when it carries one that this build cannot read.
    static func read(_ line: ArraySlice<UInt8>) throws -> StateChange? {
        struct Line: Decodable { var state: StateChange? }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try decoder.decode(Line.self, from: Data(line)).state
    }
}

extension SavedState {
    /// Models in one line of a checkpoint.
    private static let checkpointModels = 16

    /// All that is decided, so that a start without a state file needs no earlier line to know it.
    func checkpoint(at wallMicros: UInt64) -> [JournalEvent] {
        let names = models.keys.sorted()
        let parts = max(1, (names.count + Self.checkpointModels - 1) / Self.checkpointModels)
        return (0..<parts).map { part in
            let mine = names.dropFirst(part * Self.checkpointModels).prefix(Self.checkpointModels)
            var event = JournalEvent(
                at: wallMicros, .checkpoint,
                reason: "what is decided for \(mine.count) of \(names.count) models",
                details: [
                    .init("part", .integer(Int64(part + 1))), .init("parts", .integer(Int64(parts))),
                ])
            event.change = StateChange(
                models: models.filter { mine.contains($0.key) }.mapValues(\.rollout),
                answered: part == 0 ? answered : [], groups: groupTrips)
            return event
        }
    }
}
