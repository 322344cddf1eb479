// The one verb that must work where Weir does not run: a config that makes a quarantined version stable does
// not start, and what keeps it from starting can only be lifted in the state directory.
// Place: `weir unquarantine --state-dir`. Takes the directory's lock, so a running Weir is never overtaken.
// Invariant: the journal line is durable before the state is.

import Config
import Platform
import Rollout

/// Why files were not read, or an offline verb changed nothing; the description says what to do.
package enum OfflineProblem: Error, Sendable, CustomStringConvertible {
    case state(StateProblem)
    case system(SystemFailure)
    case refused(String)
    /// Files that were only to be read.
    case unreadable(SystemFailure)

    package var description: String {
        switch self {
        case .state(let problem): problem.description
        case .system(let failure): "nothing was changed: \(failure)"
        case .refused(let sentence): "nothing was changed: \(sentence)"
        case .unreadable(let failure):
            "the state directory cannot be read: \(failure); --state-dir names it, and --admin a running weir"
        }
    }

    /// As `StateProblem.exitCode`; 1 for a refusal.
    package var exitCode: Int32 {
        switch self {
        case .state(let problem): problem.exitCode
        case .system, .unreadable: 71
        case .refused: 1
        }
    }
}

/// Lifts a quarantine in a state directory that no Weir uses.
package enum OfflineUnquarantine {
    /// - Returns: the machine's answer.
    package static func run(
        stateDir: String, model: String, version: String, actor: String, reason: String
    ) throws(OfflineProblem) -> String {
        do throws(SystemFailure) {
            // The lock would make a directory where a name was misspelt.
            let known = try File.list(stateDir).map(\.name)
            guard known.contains("rollouts.json") || known.contains(JournalFiles.active) else {
                throw SystemFailure(
                    operation: "open \(StateDirectory.statePath(in: stateDir))", errno: .noSuchFile)
            }
        } catch {
            throw .system(error)
        }
        let directory: StateDirectory
        let recovery: StateRecovery
        do throws(StateProblem) {
            directory = try StateDirectory(path: stateDir)
            recovery = try directory.recover()
        } catch {
            throw .state(error)
        }
        var saved = recovery.state
        guard let before = saved.models[model]?.rollout else {
            let known = saved.models.keys.sorted().joined(separator: ", ")
            throw .refused("\(stateDir) knows no model \(model); it knows \(known.isEmpty ? "none" : known)")
        }
        let now = Clock.wallMicros()
        let request = VerbRequest(verb: .unquarantine(version: version), actor: actor, reason: reason)
        let (state, actions) = RolloutMachine.step(before, .verb(request), wallMicros: now)
        var events: [JournalEvent] = []
        var sentence = ""
        saved.models[model]?.rollout = state
        for case .journal(let event) in actions {
            events.append(JournalEvent(event, model: model, at: now))
            guard case .verb(_, let answer) = event else { continue }
            guard answer.said.isAccepted else { throw .refused(answer.said.sentence) }
            sentence = answer.said.sentence
        }
        events[0].change = StateChange(models: [model: state], groups: saved.groupTrips)
        do throws(SystemFailure) {
            var rules = JournalConfig()
            // Whether a file is old is the running Weir's business.
            (rules.rotateBytes, rules.rotateAge) = (.max, .seconds(.max / 1_000_000_000))
            var journal = try Journal(
                opening: FileStorage(directory.files), rules: rules, after: saved.journal, wallMicros: now)
            try journal.appendNoting(recovery.events(at: now) + events, at: now)
            saved.journal = JournalMark(line: journal.lines, hash: journal.hash.hex)
            try directory.save(saved)
        } catch {
            throw .system(error)
        }
        return sentence
    }
}
