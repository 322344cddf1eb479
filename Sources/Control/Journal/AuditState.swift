// `weir audit verify`'s comparison of `rollouts.json` with the journal: what the next start would do with the
// two, and whether the state says what the journal's lines say.
// Place: the second half of `AuditReport`; the rules are those of the start itself (`StateRecovery`).
// Invariant: nothing is changed.

import Config
import Payload
import Platform
import Rollout

/// How state file and journal stand to each other.
package struct AuditState: Sendable, Equatable {
    /// What was found.
    package enum Verdict: String, Sendable {
        /// The files were given by name, or there is neither.
        case notCompared = "not_compared"
        /// The state includes every line that decides something.
        case current
        /// The state was saved by a release that named no line.
        case unmarked
        /// The next start applies newer lines.
        case older
        /// The journal lacks lines that the state includes.
        case newer
        /// The journal is another one, or lines after the state's are gone or altered.
        case otherHistory = "other_history"
        /// There is no state, and the next start rebuilds it from the journal.
        case missing
        /// There is no state, and the next start is refused.
        case lost
        /// The state's bytes are not what was written.
        case damaged
        /// The state says something else than the line that it includes.
        case differs
    }

    package internal(set) var verdict: Verdict
    /// What it means.
    package internal(set) var sentence: String

    /// Whether nothing has to be done, by a start or by a person.
    package var isWhole: Bool {
        switch verdict {
        case .notCompared, .current, .unmarked: true
        case .older, .newer, .otherHistory, .missing, .lost, .damaged, .differs: false
        }
    }

    /// Whether lines that the state includes are not in the journal, or are other ones there.
    var contradictsJournal: Bool {
        switch verdict {
        case .newer, .otherHistory: true
        case .notCompared, .current, .unmarked, .older, .missing, .lost, .damaged, .differs: false
        }
    }

    /// The command's exit code: 0 nothing to do, 3 the next start applies lines, 4 something is missing.
    package var exitCode: Int32 { isWhole ? 0 : verdict == .older ? 3 : 4 }

    static let notCompared = AuditState(verdict: .notCompared, sentence: "rollouts.json was not compared")

    init(verdict: Verdict, sentence: String) {
        self.verdict = verdict
        // Names and reasons in it are whatever the files say.
        self.sentence = ForeignText.line(sentence)
    }

    /// - Parameters:
    ///   - bytes: of `rollouts.json`, nil when there is none; read before the journal.
    ///   - files: the journal's, in their order.
    init(_ bytes: [UInt8]?, _ files: [AuditFile], _ storage: any JournalStorage) {
        do throws(StateProblem) {
            let saved = try bytes.map { bytes throws(StateProblem) in
                try SavedState.decoded(bytes, path: "rollouts.json")
            }
            let recovery: StateRecovery
            do throws(StateProblem) {
                recovery = try StateRecovery(saved, storage, directory: "the state directory")
            } catch {
                self.init(verdict: saved == nil ? .lost : .otherHistory, sentence: Self.short(error))
                return
            }
            self.init(recovery, saved)
            if verdict == .current, let saved, let other = Self.difference(saved, files) {
                self.init(verdict: .differs, sentence: other)
            }
        } catch {
            self.init(verdict: .damaged, sentence: Self.short(error))
        }
    }

    private init(_ recovery: StateRecovery, _ saved: SavedState?) {
        let line = saved?.journal.map { "rollouts.json includes line \($0.line)" } ?? "there is no state yet"
        guard let finding = recovery.findings.first(where: \.isLoss) ?? recovery.findings.first else {
            self.init(
                verdict: saved == nil ? .notCompared : .current,
                sentence: saved == nil ? line : line + ", the journal's last")
            return
        }
        let next = "; the next start "
        let withholds = recovery.withheld.isEmpty ? nil : "withholds all weight at stable until a verb"
        switch finding {
        case .replayed(_, _, let what) where what.isEmpty:
            self.init(verdict: .current, sentence: line + ", and no later one decides anything")
        case .replayed(_, let lines, let what):
            let list = what.map { "\($0.what) (line \($0.line))" }.joined(separator: ", ")
            let last = (saved?.journal?.line ?? 0) + lines
            let sentence = "\(line), the journal goes on to line \(last)\(next)applies \(list)"
            self.init(verdict: .older, sentence: sentence)
        case .unmarked:
            self.init(
                verdict: .unmarked, sentence: "rollouts.json names no line: an earlier release saved it")
        case .rebuilt(let lines, let models):
            self.init(
                verdict: .missing,
                sentence: "rollouts.json is missing\(next)rebuilds it from "
                    + "\(Plural.text(lines, "line")): \(Plural.text(models, "model"))")
        case .behind:
            let does = "goes on with it" + (withholds.map { ", and " + $0 } ?? "")
            self.init(verdict: .newer, sentence: finding.sentence + next + does)
        case .gap, .forked, .forgotten, .headless, .otherHead:
            let does = withholds.map { next + $0 } ?? ""
            self.init(verdict: .otherHistory, sentence: finding.sentence + does)
        }
    }

    /// The first words of a problem: what to do about it is the start's to say.
    private static func short(_ problem: StateProblem) -> String {
        switch problem {
        case .corrupt(let path, let what): "\(path) is damaged: \(what); the next start is refused"
        case .lost(_, let what):
            "rollouts.json is missing and cannot be rebuilt: \(what); the next start is refused"
        case .locked, .unusable, .untrusted: "\(problem)"
        }
    }

    // MARK: What it says

    /// Where the state says something else than the last line about a model that it includes; nil: nowhere.
    private static func difference(_ saved: SavedState, _ files: [AuditFile]) -> String? {
        var last: [String: (line: UInt64, state: RolloutState)] = [:]
        for file in files {
            for bytes in file.bytes.split(separator: UInt8(ascii: "\n")) {
                let line = JournalHistory.Line(bytes)
                guard let number = line.number, number <= saved.journal?.line ?? 0,
                    line.value?["state"] != nil, let change = try? StateChange.read(line.bytes)
                else { continue }
                for (name, state) in change.models { last[name] = (number, state) }
            }
        }
        for (name, said) in last.sorted(by: { $0.key < $1.key }) {
            let state = saved.models[name]?.rollout
            guard
                state?.weights != said.state.weights || state?.phase.word != said.state.phase.word
                    || state.map({ Set($0.quarantined.keys) }) != Set(said.state.quarantined.keys)
            else { continue }
            return
                "rollouts.json says of \(name): \(words(state)); line \(said.line), which it includes, says: "
                + words(said.state)
        }
        return nil
    }

    private static func words(_ state: RolloutState?) -> String {
        guard let state else { return "nothing" }
        let barred = state.quarantined.keys.sorted().joined(separator: ", ")
        let weights = state.weights.sorted { $0.key < $1.key }
            .map { "\($0.key) \(Notation.text(ppm: $0.value))" }.joined(separator: ", ")
        return "\(state.phase.word), \(weights), quarantined: \(barred.isEmpty ? "none" : barred)"
    }
}
