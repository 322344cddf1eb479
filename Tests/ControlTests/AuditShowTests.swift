// Showing the journal: filters, times, and following it through rotations.

import Payload
import Platform
import Proxy
import Testing

@testable import Config
@testable import Control

private let wall: UInt64 = 1_700_000_000_000_000

private func event(_ i: Int) -> JournalEvent {
    let kinds: [JournalEvent.Kind] = [.verb, .cut, .alert]
    return JournalEvent(
        at: wall + UInt64(i) * 1_000_000, kinds[i % 3], model: i % 2 == 0 ? "even" : "odd",
        actor: i % 5 == 0 ? "ann (uid 1000)" : "weir", reason: "number \(i)",
        details: [.init("i", .integer(Int64(i))), .init("cut", .string("cut-\(i % 4)"))])
}

private func small(keep: Int = 1_000) -> JournalConfig {
    var rules = JournalConfig()
    (rules.rotateBytes, rules.keep) = (2_000, keep)
    return rules
}

@Suite struct AuditNamesTests {
    @Test(
        "A model, a version or a cut that no line speaks of is unknown, and the sentence has those there are"
    )
    func unknown() throws {
        let scratch = try Scratch()
        var journal = try Journal(opening: FileStorage(directory: scratch.path), wallMicros: 0)
        try journal.append([
            JournalEvent(
                at: 1, .configured, model: "m", reason: "",
                details: [.init("stable", "v1"), .init("candidates", .array(["v2"]))]),
            JournalEvent(
                at: 2, .cut, model: "m", reason: "",
                details: [.init("cut", "cut-1"), .init("versions", .array(["v2"]))]),
            JournalEvent(at: 3, .configured, model: "n", reason: "", details: [.init("stable", "w1")]),
        ])
        let names = try AuditNames(directory: scratch.path)
        for (model, cut) in [(nil, nil), ("m", nil), ("n", nil), (nil, "cut-1"), ("m", "cut-1")] {
            #expect(names.unknown(model: model, cut: cut) == nil)
        }
        #expect(names.unknown(model: nil, version: "v2", cut: nil) == nil)
        #expect(names.unknown(model: nil, version: "v3", cut: nil) != nil)
        #expect(names.unknown(model: "o", cut: nil) == "there is no model o: the models are m, n")
        #expect(names.unknown(model: nil, cut: "cut-2") == "there is no cut cut-2: the cuts are cut-1 of m")
        #expect(names.unknown(model: "n", cut: "cut-1") == "there is no cut cut-1 of n: nothing was cut")
        var more = AuditNames()
        #expect(more.unknown(model: nil, cut: "alert-1") == "there is no cut alert-1: nothing was cut")
        more.add([CaptureSet(model: "m", version: "v2", kept: "alert", cut: "alert-1")])
        #expect(more.unknown(model: "m", version: "v2", cut: "alert-1") == nil)
    }
}

@Suite struct AuditSummaryTests {
    private func summary(_ text: String) throws -> String {
        AuditLine(text: text, value: try JSON(parsing: Array(text.utf8))).summary
    }

    @Test(
        "A line says what a verb asked for and whether it was refused, weights that were set, what was wrong"
    )
    func details() throws {
        let refused = try summary(
            #"{"seq":1,"kind":"verb","actor":"ann","verb":"weights","weights":{"v2":"10%"},"#
                + #""force":true,"accepted":false,"answer":"no"}"#)
        #expect(refused.hasSuffix("weights  v2=10%  by force  -> refused: no"), "\(refused)")
        let obeyed = try summary(
            #"{"seq":1,"kind":"verb","actor":"ann","verb":"pause","force":false,"#
                + #""accepted":true,"answer":"yes"}"#)
        #expect(obeyed.hasSuffix("pause  -> yes"), "\(obeyed)")
        let weights = try summary(
            #"{"seq":2,"kind":"weights","actor":"weir","weights":{"v1":"90%","v2":"10%"}}"#)
        #expect(weights.hasSuffix("v1 90%, v2 10%"), "\(weights)")
        let config = try summary(
            #"{"seq":3,"kind":"config_refused","actor":"ann","reason":"refused","#
                + #""problems":["a","b","c","d"]}"#)
        #expect(config.hasSuffix("refused  a; b; c; and 1 more"), "\(config)")
    }
}

@Suite struct AuditShowTests {
    private func shown(
        _ reader: inout AuditReader, _ filter: AuditFilter = AuditFilter()
    ) throws -> [Int64] {
        var found: [Int64] = []
        try reader.read(filter) { if let i = $0.value["i"]?.integer { found.append(i) } }
        return found
    }

    @Test("Filters hold all at once, each over all files of the journal")
    func filters() throws {
        let scratch = try Scratch()
        var journal = try Journal(
            opening: FileStorage(directory: scratch.path), rules: small(), wallMicros: wall)
        for i in 0..<60 { try journal.appendNoting([event(i)], at: wall + UInt64(i)) }
        #expect(try FileStorage(directory: scratch.path).rotated().count > 4)
        func found(_ change: (inout AuditFilter) -> Void) throws -> [Int64] {
            var filter = AuditFilter()
            change(&filter)
            var reader = AuditReader(directory: scratch.path)
            return try shown(&reader, filter)
        }
        let all = Array(0..<60) as [Int64]
        #expect(try found { _ in } == all)
        #expect(try found { $0.model = "even" } == all.filter { $0 % 2 == 0 })
        #expect(try found { $0.kinds = ["cut", "alert"] } == all.filter { $0 % 3 != 0 })
        #expect(try found { $0.actor = "ann" } == all.filter { $0 % 5 == 0 })
        #expect(try found { $0.cut = "cut-3" } == all.filter { $0 % 4 == 3 })
        #expect(try found { ($0.since, $0.until) = (wall + 10_000_000, wall + 12_000_000) } == [10, 11])
        #expect(
            try found { ($0.model, $0.kinds, $0.since) = ("odd", ["verb"], wall + 30_000_000) }
                == all.filter { $0 % 2 == 1 && $0 % 3 == 0 && $0 >= 30 })
    }

    @Test(
        "Following a journal gives every line once, in order, through rotation and pruning",
        arguments: [1, 2, 7])
    func follows(step: Int) throws {
        let scratch = try Scratch()
        var journal = try Journal(
            opening: FileStorage(directory: scratch.path), rules: small(keep: 3), wallMicros: wall)
        var reader = AuditReader(directory: scratch.path)
        var found: [Int64] = []
        try journal.appendNoting([event(0)], at: wall)
        for i in 1..<50 {
            if i % step == 0 { found += try shown(&reader) }
            try journal.appendNoting([event(i)], at: wall + UInt64(i))
        }
        found += try shown(&reader)
        found += try shown(&reader)
        #expect(found == Array(0..<50))
    }

    @Test("A directory without a journal is an error, not an empty answer")
    func missing() throws {
        let scratch = try Scratch()
        var reader = AuditReader(directory: scratch.path)
        #expect(throws: SystemFailure.self) { try reader.read(AuditFilter()) { _ in } }
    }

    @Test(
        "A time is RFC 3339, a date, or a duration ago",
        arguments: [
            ("2023-11-14T22:13:20Z", 1_700_000_000), ("2023-11-14", 1_699_920_000), ("1h", 1_699_996_400),
            ("2d", 1_699_827_200), ("yesterday", nil), ("2023-13-01", nil), ("", nil),
        ] as [(String, UInt64?)])
    func times(_ text: String, _ seconds: UInt64?) {
        #expect(AuditFilter.time(text, now: wall) == seconds.map { $0 * 1_000_000 })
    }

    @Test("A real directory with closed files verifies, and does not when one of them is touched")
    func verifiesDirectory() throws {
        let scratch = try Scratch()
        let storage = FileStorage(directory: scratch.path)
        var journal = try Journal(opening: storage, rules: small(keep: 3), wallMicros: wall)
        for i in 0..<80 { try journal.appendNoting([event(i)], at: wall + UInt64(i)) }
        let report = try AuditVerify.check(directory: scratch.path)
        #expect(report.isIntact && report.files == 4 && report.pruned > 0)
        let names = try storage.rotated()
        let path = scratch.path + "/" + names[1]
        var bytes = try File.readAll(path, bytesMax: 1 << 20)
        bytes[bytes.count / 2] ^= 4
        try File.replace(path, with: bytes)
        #expect(try AuditVerify.check(directory: scratch.path).findings.map(\.file) == [names[1]])
        try File.rename(path, to: scratch.path + "/elsewhere")
        #expect(try AuditVerify.check(directory: scratch.path).findings.first?.file == names[2])
    }
}

@Suite struct OfflineUnquarantineTests {
    /// A directory in which v2 of model m was cut.
    private func quarantined() throws -> Scratch {
        let world = try World()
        let replies = Replies()
        world.loop.obey(
            AdminVerb(.rollback, model: "m", reason: "bad", version: "v2"), actor: "test", reply: replies.take
        )
        world.settle()
        let scratch = try Scratch()
        try StateDirectory(path: scratch.path).save(try #require(world.ledger.lastState))
        return scratch
    }

    @Test("A config that makes a quarantined version stable starts after the quarantine was lifted offline")
    func lifts() throws {
        let scratch = try quarantined()
        let config = try World.config(
            World.yaml.replacing("stable: v1", with: "stable: v2")
                .replacing("candidates: [v2, v3]", with: "candidates: [v1, v3]")
                .replacing("v2: 20%, v3: 10%", with: "v3: 10%"))
        func plan() throws -> Plan {
            var slots = SlotTable()
            let saved = try StateDirectory(path: scratch.path).load()
            return try ControlLoop.firstPlan(config, saved: saved, slots: &slots)
        }
        let refusal = #expect(throws: PlanProblem.self) { try plan() }
        #expect("\(try #require(refusal))".contains("weir unquarantine m v2"))
        let answer = try OfflineUnquarantine.run(
            stateDir: scratch.path, model: "m", version: "v2", actor: "ann", reason: "fixed")
        #expect(answer.contains("no longer quarantined"))
        #expect(try plan().models[0].versions[1].isQuarantined == false)
        let report = try AuditVerify.check(directory: scratch.path)
        // The state was saved without the number of a line: what it says is put on record before the verb.
        #expect(report.isIntact && report.lines == 3 && report.state.verdict == .current)
    }

    @Test("It changes nothing beside a running Weir, for an unknown name, or without a state")
    func refuses() throws {
        let scratch = try quarantined()
        func run(_ model: String, _ version: String, _ folder: String) throws {
            _ = try OfflineUnquarantine.run(
                stateDir: folder, model: model, version: version, actor: "ann", reason: "")
        }
        #expect(throws: OfflineProblem.self) { try run("x", "v2", scratch.path) }
        #expect(throws: OfflineProblem.self) { try run("m", "v9", scratch.path) }
        #expect(throws: OfflineProblem.self) { try run("m", "v2", scratch.path + "/misspelt") }
        let running = try StateDirectory(path: scratch.path)
        let problem = #expect(throws: OfflineProblem.self) { try run("m", "v2", scratch.path) }
        #expect(problem?.exitCode == 75)
        #expect(try running.load().models["m"]?.rollout.quarantined["v2"] != nil)
    }
}
