// A process over `MemoryFiles` as far as durability goes: the start's recovery, the journal, the ledger, and
// the machine of one model, whose verbs and cuts it makes durable as the control loop does.

import Platform
import Rollout
import Testing

@testable import Config
@testable import Control

/// One life of a process.
final class CrashWorld {
    static let directory = "/s"

    let files: MemoryFiles
    let recovery: StateRecovery
    var saved: SavedState
    var ledger: LedgerWriter
    private(set) var reports: [LedgerReport] = []
    private var nextID: UInt64 = 1
    var wall: UInt64 = 1_700_000_000_000_000

    /// Every state that was decided, in order, and the last of them that was acknowledged.
    private var decided: [RolloutState?]
    private var acknowledged = 0
    /// What a start after this process may find: what was acknowledged last, or something newer, whole.
    var possible: ArraySlice<RolloutState?> { decided[acknowledged...] }

    static let setup = RolloutSetup(
        stable: "v1", candidates: ["v2", "v3"], weights: ["v2": 100_000, "v3": 50_000])

    /// Starts; what the start found is written at once, as the control loop does.
    init(_ files: MemoryFiles, rotateBytes: Int = 6_000, keep: Int = 2) throws {
        self.files = files
        let file = StateFile(directory: Self.directory, files: files)
        let storage = FileStorage(directory: Self.directory, files: files)
        recovery = try StateRecovery(try file.load(), storage, directory: Self.directory)
        saved = recovery.state
        decided = [saved.models["m"]?.rollout]
        var rules = JournalConfig()
        (rules.rotateBytes, rules.keep) = (rotateBytes, keep)
        let journal = try Journal(opening: storage, rules: rules, after: saved.journal, wallMicros: wall)
        file.makeSpare()
        ledger = LedgerWriter(journal: journal, state: saved, spareTrouble: { file.retrySpare() }) {
            state throws(SystemFailure) in
            try file.save(state)
        }
        reports = ledger.prepare(now: Instant(nanos: 0), wallMicros: wall)
        let started = JournalEvent(at: wall, .started, reason: "started")
        if recovery.isToBeSaved {
            _ = post(recovery.events(at: wall) + [started], state: saved)
        } else {
            _ = post([started], state: nil)
        }
        if saved.models["m"] == nil {
            saved.models["m"] = SavedState.Model(rollout: RolloutMachine.start(Self.setup))
            var event = JournalEvent(at: wall, .configured, model: "m", reason: "configured")
            event.change = StateChange(models: saved.models.mapValues(\.rollout))
            decide([event])
        }
    }

    /// Makes the model's state durable.
    @discardableResult
    private func decide(_ events: [JournalEvent], isKept: Bool = true) -> Bool {
        decided.append(rollout)
        let isDurable = post(events, state: saved, isKept: isKept)
        if isDurable { acknowledged = decided.count - 1 }
        return isDurable
    }

    var rollout: RolloutState? { saved.models["m"]?.rollout }

    /// - Returns: whether the step is durable.
    func post(_ events: [JournalEvent], state: SavedState?, isKept: Bool = true) -> Bool {
        let id = nextID
        nextID += 1
        wall += 1_000_000
        let entry = LedgerEntry(id: id, events: events, state: state, isKeptOnFailure: isKept)
        let said = ledger.write([entry], now: Instant(nanos: 0), wallMicros: wall)
        reports += said
        return said.contains(.durable(id: id))
    }

    /// A second later, the ledger tries again.
    func retry() {
        wall += 1_000_000
        let said = ledger.retry(now: Instant(nanos: wall * 1_000), wallMicros: wall)
        if said.contains(.restored) { acknowledged = decided.count - 1 }
        reports += said
    }

    /// Obeys a verb as the control loop does.
    /// - Returns: whether it was acknowledged as durable.
    @discardableResult
    func obey(_ verb: RolloutVerb, id: String) throws -> Bool {
        let before = try #require(rollout)
        let request = VerbRequest(verb: verb, actor: "ann", reason: "because \(id)", force: true)
        let (after, actions) = RolloutMachine.step(before, .verb(request), wallMicros: wall)
        saved.models["m"]?.rollout = after
        let answer = AnsweredVerb(requestID: id, request: id, status: 200, body: "{}")
        saved.answered.append(answer)
        var events: [JournalEvent] = []
        for case .journal(let event) in actions { events.append(JournalEvent(event, model: "m", at: wall)) }
        events[0].change = StateChange(models: ["m": after], answered: [answer])
        let isRaising =
            after.weights.contains { $0.key != "v1" && $0.value > before.weights[$0.key] ?? 0 }
            || after.quarantined.count < before.quarantined.count
        let isDurable = decide(events, isKept: !isRaising)
        if !isDurable, isRaising {
            saved.models["m"]?.rollout = before
            saved.answered.removeLast()
            var event = JournalEvent(at: wall, .overruled, model: "m", reason: "taken back")
            event.change = StateChange(models: ["m": before])
            decide([event])
        }
        return isDurable
    }

    /// What `weir audit verify` says of a directory.
    static func audit(_ files: MemoryFiles) throws -> AuditReport {
        let storage = FileStorage(directory: directory, files: files)
        let names = try storage.rotated() + [JournalFiles.active]
        let all = names.compactMap { name in
            files.bytes(directory + "/" + name).map { AuditFile(name: name, bytes: $0) }
        }
        var report = AuditVerify.check(files: all, try HeadReading(storage), isWhole: true)
        report.state = AuditState(files.bytes(StateDirectory.statePath(in: directory)), all, storage)
        return report
    }

    /// What an automatic cut and everything after it looks like, with notes and evidence in between.
    static let script: [(verb: RolloutVerb, id: String)] = [
        (.rollback(version: "v2"), "a"), (.unquarantine(version: "v2"), "b"),
        (.weights(["v2": 200_000]), "c"),
        (.rollback(version: "v3"), "d"), (.resume, "e"), (.promote(version: "v2"), "f"),
        (.rollback(version: nil), "g"),
    ]

    /// Goes through the script until the process is dead.
    func play() throws {
        for (i, step) in Self.script.enumerated() where !files.isDead {
            _ = post([JournalEvent(at: wall, .health, model: "m", reason: "note \(i)")], state: nil)
            if i % 2 == 0 { _ = post([], state: saved) }
            try obey(step.verb, id: step.id)
            retry()
        }
    }
}
