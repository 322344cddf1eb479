// The state directory: exactly what was saved is read back, anything else is refused with a sentence, and two
// processes never share one.

import Glibc
import Metrics
import Platform
import Rollout
import Testing

@testable import Control
@testable import Sidecar

/// A directory of its own for a test, removed with the value.
final class Scratch {
    let path: String

    init() throws {
        path = "/tmp/weir-test-\(String(Entropy.word(), radix: 36))"
        try File.makeDirectory(path)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        for entry in (try? File.list(path)) ?? [] { _ = try? File.remove(path + "/" + entry.name) }
        rmdir(path)
    }
}

@Suite struct StateTests {
    private var sample: SavedState {
        let setup = RolloutSetup(stable: "v1", candidates: ["v2"], weights: ["v2": 100_000])
        var state = RolloutMachine.start(setup)
        let request = Rollout.VerbRequest(verb: .rollback(version: nil), actor: "ann", reason: "because é\n")
        state = RolloutMachine.step(state, .verb(request), wallMicros: 5).state
        let watch = CandidateWatch(specs: GuardrailSpec.defaults(alpha: 0.01), from: Tick(number: 1))
        return SavedState(
            models: ["m": .init(rollout: state, watches: ["v2": watch.saved])],
            answered: [AnsweredVerb(requestID: "r", request: "{}", status: 200, body: "{}")])
    }

    @Test("What is saved is what is loaded, doubles that are not finite included")
    func roundTrip() throws {
        let scratch = try Scratch()
        let directory = try StateDirectory(path: scratch.path + "/state")
        #expect(try directory.load() == SavedState())
        try directory.save(sample)
        #expect(try directory.load() == sample)
    }

    @Test("A state file that is cut anywhere is refused")
    func truncated() {
        let bytes = sample.encoded()
        for length in 0..<bytes.count {
            #expect(throws: StateProblem.self) {
                try SavedState.decoded(Array(bytes[..<length]), path: "rollouts.json")
            }
        }
    }

    @Test("A state file with any byte changed is refused")
    func flipped() {
        let bytes = sample.encoded()
        for i in bytes.indices {
            var changed = bytes
            changed[i] ^= 0x10
            #expect(throws: StateProblem.self) { try SavedState.decoded(changed, path: "rollouts.json") }
        }
    }

    @Test("The refusal of a damaged file names it and says what to do")
    func sentence() throws {
        let scratch = try Scratch()
        let directory = try StateDirectory(path: scratch.path)
        try File.replace(scratch.path + "/rollouts.json", with: Array("{}".utf8))
        let problem = #expect(throws: StateProblem.self) { try directory.load() }
        let text = try #require(problem.map { "\($0)" })
        #expect(text.contains("rollouts.json is damaged") && text.contains("backup"))
    }

    @Test("A directory that is in use is refused by the name of its user, and free once that one is gone")
    func locked() throws {
        let scratch = try Scratch()
        do {
            let first = try StateDirectory(path: scratch.path)
            let problem = #expect(throws: StateProblem.self) { try StateDirectory(path: scratch.path) }
            guard case .locked(_, let owner) = problem else {
                Issue.record("\(String(describing: problem))")
                return
            }
            #expect(owner == "process \(getpid())")
            _ = first
        }
        _ = try StateDirectory(path: scratch.path)
    }

    @Test("Removing the lock file does not let a second Weir in")
    func lockFileRemoved() throws {
        let scratch = try Scratch()
        let first = try StateDirectory(path: scratch.path)
        try File.remove(scratch.path + "/lock")
        let problem = #expect(throws: StateProblem.self) { try StateDirectory(path: scratch.path) }
        guard case .locked = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
        _ = first
    }

    @Test("A directory whose lock file an earlier release holds is in use")
    func lockFileHeld() throws {
        let scratch = try Scratch()
        let file = try File.openAppend(scratch.path + "/lock")
        #expect(try File.lock(file, path: "lock"))
        let problem = #expect(throws: StateProblem.self) { try StateDirectory(path: scratch.path) }
        guard case .locked = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
        _ = consume file
    }

    static let durableFiles = ["lock", "rollouts.json", "journal.jsonl", "journal.head", "sources.json"]

    @Test(
        "A link in the place of a durable file is never followed, for reading or writing",
        arguments: durableFiles)
    func links(name: String) throws {
        let (scratch, elsewhere) = (try Scratch(), try Scratch())
        let target = elsewhere.path + "/target"
        let original = name == "rollouts.json" ? sample.encoded() : Array("original".utf8)
        try File.replace(target, with: original)
        #expect(symlink(target, scratch.path + "/" + name) == 0)
        defer { unlink(scratch.path + "/" + name) }
        #expect(throws: (any Error).self) {
            let directory = try StateDirectory(path: scratch.path)
            if try directory.load() != SavedState() { Issue.record("the state was read through a link") }
            _ = try SourceFile.load(scratch.path).get()
            var journal = try Journal(opening: FileStorage(directory.files), wallMicros: 0)
            try journal.append([JournalEvent(at: 1, .started, reason: "")])
        }
        #expect(try File.readAll(target, bytesMax: 1 << 20) == original)
    }

    @Test("Links in the place of captures/ and feedback/ are not followed")
    func linkedFolders() throws {
        let (scratch, elsewhere) = (try Scratch(), try Scratch())
        for name in ["captures", "feedback"] {
            #expect(symlink(elsewhere.path, scratch.path + "/" + name) == 0)
        }
        defer { for name in ["captures", "feedback"] { unlink(scratch.path + "/" + name) } }
        let disk = FolderDisk(folder: scratch.path + "/captures")
        #expect(throws: SystemFailure.self) { try disk.append([1], to: "m.20261129.1.jsonl") }
        #expect(throws: SystemFailure.self) {
            var files = FeedbackFiles(directory: scratch.path + "/feedback")
            try files.append([1], head: [], expiresAt: 1)
        }
        #expect(throws: SystemFailure.self) {
            var files = FeedbackFiles(directory: scratch.path + "/elsewhere")
            try files.adopt(from: scratch.path + "/feedback")
        }
        #expect(try File.list(elsewhere.path).isEmpty)
    }

    @Test("A directory is used by its owner, by root, and where root owns it; nobody else's is trusted")
    func owners() {
        #expect(StateDirectory.distrust(owner: 7, user: 7) == nil)
        #expect(StateDirectory.distrust(owner: 0, user: 7) == nil)
        #expect(StateDirectory.distrust(owner: 7, user: 0) == nil)
        let problem = StateProblem.untrusted(
            directory: "/s", what: StateDirectory.distrust(owner: 8, user: 7) ?? "")
        #expect("\(problem)".contains("uid 8") && "\(problem)".contains("uid 7"))
        #expect(SidecarProblem.state(problem).exitCode == 73)
    }

    static let modes: [(UInt32, UInt32, [String])] = [
        (7, 0o700, []), (7, 0o755, []), (0, 0o700, []), (7, 0o770, ["its group"]), (0, 0o2775, ["its group"]),
        (7, 0o777, ["everybody"]), (7, 0o1777, ["everybody"]),
    ]

    @Test("A directory that others can write is warned about, by whom", arguments: modes)
    func doubts(owner: UInt32, mode: UInt32, who: [String]) {
        let doubts = StateDirectory.doubts(owner: owner, mode: mode, user: 7, path: "/s")
        #expect(doubts.count == who.count)
        for (doubt, who) in zip(doubts, who) { #expect(doubt.contains(who) && doubt.contains("chmod 700")) }
        #expect(StateDirectory.doubts(owner: 7, mode: 0o700, user: 0, path: "/s").count == 1)
    }

    @Test("A path that cannot be a directory is refused")
    func unusable() throws {
        let scratch = try Scratch()
        try File.replace(scratch.path + "/file", with: [1])
        let problem = #expect(throws: StateProblem.self) {
            try StateDirectory(path: scratch.path + "/file/state")
        }
        guard case .unusable = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
    }

    @Test("The journal on a disk is the journal in memory: append, reopen, verify")
    func fileStorage() throws {
        let scratch = try Scratch()
        for round in 1...3 {
            var journal = try Journal(opening: FileStorage(directory: scratch.path), wallMicros: 0)
            #expect(journal.lines == UInt64(round - 1) * 2)
            let event = JournalEvent(at: 1, .started, reason: "round \(round)")
            try journal.append([event, event])
        }
        let report = try AuditVerify.check(directory: scratch.path)
        #expect(report.isIntact && report.lines == 6)
    }

    @Test("The ledger's thread reports in order and writes what was posted before it stops")
    func ledgerThread() throws {
        let scratch = try Scratch()
        let directory = try StateDirectory(path: scratch.path)
        let ledger = try LedgerThread()
        try ledger.start(directory)
        for id in 1...20 as ClosedRange<UInt64> {
            let event = JournalEvent(at: id, .verb, reason: "\(id)")
            let entry = LedgerEntry(id: id, events: [event], state: sample, isKeptOnFailure: true)
            #expect(ledger.post(entry))
        }
        ledger.stop()
        var reports: [LedgerReport] = []
        while let report = ledger.take() { reports.append(report) }
        #expect(reports == (1...20).map { .durable(id: $0) })
        #expect(try AuditVerify.check(directory: scratch.path).lines == 20)
        var saved = try directory.load()
        #expect(saved.journal?.line == 20)
        saved.journal = nil
        #expect(saved == sample)
    }

    @Test("The key of exchange ids outlives restarts")
    func idKey() throws {
        let scratch = try Scratch()
        let first = IDKey.load(scratch.path)
        #expect(IDKey.load(scratch.path) == first)
    }
}
