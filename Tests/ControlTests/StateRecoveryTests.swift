// The start's comparison of `rollouts.json` with the journal: newer lines are applied, a missing state is
// rebuilt or refused, a journal that is shorter or another one is said and never believed blindly.

import ConfigSamples
import Payload
import Platform
import Rollout
import Testing

@testable import Control

private let state = "/s/rollouts.json"
private let journal = "/s/journal.jsonl"
private let head = "/s/journal.head"

/// A directory in which v2 was cut and v3 was not.
private func cutOnce(_ id: String = "a") throws -> MemoryFiles {
    let files = MemoryFiles()
    let world = try CrashWorld(files, rotateBytes: .max)
    try world.obey(.rollback(version: "v2"), id: id)
    return files
}

private func barred(_ world: CrashWorld) -> Set<String> { Set((world.rollout?.quarantined ?? [:]).keys) }

private func audit(_ files: MemoryFiles) throws -> AuditReport { try CrashWorld.audit(files) }

private func lines(_ files: MemoryFiles, _ path: String = journal) -> [String] {
    String(decoding: files.bytes(path) ?? [], as: UTF8.self).split(separator: "\n").map(String.init)
}

private func put(_ files: MemoryFiles, _ lines: some Sequence<String>) {
    files.put(journal, Array(lines.map { $0 + "\n" }.joined().utf8))
}

/// A journal of a release whose lines carried no state: a cut, and nothing after it.
private func writeOld(_ files: MemoryFiles) {
    files.put(journal, nil)
    files.put(head, nil)
    var old = try? Journal(opening: FileStorage(directory: "/s", files: files), wallMicros: 0)
    try? old?.append([
        JournalEvent(at: 0, .configured, model: "m", reason: "configured"),
        JournalEvent(
            at: 5, .cut, model: "m", reason: "bad",
            details: [.init("cut", "cut-1"), .init("versions", ["v2"])]),
    ])
}

@Suite struct StateRecoveryTests {
    @Test("Lines that the state does not include are applied, said in the journal, and saved at once")
    func older() throws {
        let files = MemoryFiles()
        let first = try CrashWorld(files)
        let before = files.bytes(state)
        try first.obey(.rollback(version: "v2"), id: "cut")
        try first.obey(.rollback(version: "v3"), id: "verb")
        files.put(state, before)
        let found = try audit(files)
        #expect(found.isIntact && found.state.verdict == .older && found.exitCode == 3)
        #expect(found.state.sentence.contains("applies cut-1 of m (line 3), cut-2 of m (line 5)"))
        let second = try CrashWorld(files)
        #expect(barred(second) == ["v2", "v3"] && second.rollout == first.rollout)
        #expect(second.saved.answered.map(\.requestID) == ["cut", "verb"])
        #expect(second.saved.reports?.open["m"]?.cut.id == "cut-2")
        #expect(second.recovery.loss == nil && second.recovery.linesReplayed == 4)
        #expect(
            lines(files).contains { $0.contains("state_recovered") && $0.contains("cut-1 of m (line 3)") })
        let after = try audit(files)
        #expect(after.exitCode == 0, "\(after)")
        #expect(try CrashWorld(files).recovery.gain == nil)
    }

    @Test("A missing state is rebuilt from the journal, also from rotated and pruned files")
    func rebuilt() throws {
        for rounds in [1, 8] {
            let files = MemoryFiles()
            let world = try CrashWorld(files, rotateBytes: 3_000, keep: 1)
            for i in 0..<rounds {
                try world.obey(.unquarantine(version: "v2"), id: "u\(i)")
                try world.obey(.rollback(version: "v2"), id: "r\(i)")
            }
            let names = JournalFiles.inOrder(try files.list("/s"))
            if rounds == 8 { #expect(JournalFiles.firstLine(of: names.first ?? "") ?? 0 > 1) }
            files.put(state, nil)
            let found = try audit(files)
            #expect(found.isIntact && found.state.verdict == .missing && found.exitCode == 4, "\(found)")
            let next = try CrashWorld(files)
            #expect(next.rollout == world.rollout)
            #expect(next.recovery.loss?.contains("rebuilt from") == true)
            #expect(next.saved.answered.last?.requestID == "r\(rounds - 1)")
            #expect(try audit(files).exitCode == 0)
        }
    }

    @Test("A missing state beside a journal that does not say everything stops the start with what to do")
    func lost() throws {
        /// The journal's lines changed, and a word of the refusal.
        let table: [(change: (MemoryFiles) -> Void, word: String)] = [
            ({ put($0, lines($0).dropLast()) }, "journal.head remembers 4 lines"),
            ({ put($0, lines($0).dropFirst(2)) }, "it begins with line 3"),
            ({ $0.put(journal, nil) }, "journal.head remembers 4 lines"),
            (
                { put($0, lines($0).map { $0.replacing("because a", with: "because b") }) },
                "does not go on from"
            ),
            ({ writeOld($0) }, "lines of an earlier release do not say"),
        ]
        for row in table {
            let files = try cutOnce()
            files.put(state, nil)
            row.change(files)
            let problem = #expect(throws: StateProblem.self) { try CrashWorld(files) }
            guard case .lost(_, let what) = problem else {
                Issue.record("\(row.word): \(String(describing: problem))")
                continue
            }
            #expect(what.contains(row.word), "\(what)")
            #expect("\(problem!)".contains("set the weight of the versions"))
            #expect(try audit(files).exitCode != 0)
        }
    }

    @Test(
        "A state of an earlier release loads; a cut of its journal that it has not counted bars its version")
    func unmarked() throws {
        let files = MemoryFiles()
        writeOld(files)
        var saved = SavedState(models: ["m": .init(rollout: RolloutMachine.start(CrashWorld.setup))])
        files.put(state, saved.encoded())
        #expect(try audit(files).state.verdict == .unmarked)
        let world = try CrashWorld(files)
        #expect(barred(world) == ["v2"] && world.rollout?.weights["v2"] == 0)
        #expect(world.recovery.gain?.contains("cut-1 of m (line 2)") == true)
        #expect(world.saved.journal != nil || world.recovery.isToBeSaved)
        #expect(try audit(files).exitCode == 0)
        // One that it has counted, and that an operator has lifted since, stays lifted.
        saved.models["m"]?.rollout.cutCount = 1
        files.put(state, saved.encoded())
        writeOld(files)
        #expect(barred(try CrashWorld(files)).isEmpty)
    }

    @Test("A journal that is missing or shorter than the state is said, and its numbers are not given again")
    func behind() throws {
        for keep in 0..<4 {
            let files = try cutOnce()
            put(files, lines(files)[..<keep])
            if keep == 0 { files.put(journal, nil) }
            for hasHead in [true, false] {
                let copy = files.after(.kill)
                if !hasHead { copy.put(head, nil) }
                let found = try audit(copy)
                #expect(found.state.verdict == .newer && found.exitCode != 0, "\(keep): \(found)")
                let world = try CrashWorld(copy)
                #expect(barred(world) == ["v2"])
                #expect(
                    world.recovery.loss?.contains(keep == 3 ? "line 4 is gone" : "lines \(keep + 1) to 4 are")
                        == true)
                try world.obey(.rollback(version: "v3"), id: "later")
                #expect(lines(copy).contains { $0.contains("\"seq\":5,") && $0.contains("journal_gap") })
                let later = try audit(copy)
                #expect(!later.isIntact && later.state.isWhole, "\(later)")
                // And a state that is lost now is rebuilt all the same: the gap's lines say all there is.
                copy.put(state, nil)
                let last = try CrashWorld(copy)
                #expect(barred(last) == ["v2", "v3"] && last.rollout == world.rollout)
            }
        }
    }

    @Test("Lines after the state that decide nothing, as those of a clean stop, are no news")
    func notes() throws {
        let files = try cutOnce()
        let count = lines(files).count
        for i in 1...2 {
            let world = try CrashWorld(files, rotateBytes: .max)
            _ = world.post([JournalEvent(at: 0, .stopped, reason: "stopped")], state: nil)
            #expect(lines(files).count == count + 2 * i)
            #expect(!world.recovery.isToBeSaved && world.recovery.linesReplayed == 0)
        }
        #expect(try audit(files).state.verdict == .current)
    }

    @Test("A cut after a gap is not forgotten, although the state was saved before the gap")
    func cutAfterGap() throws {
        let files = try cutOnce()
        let before = files.bytes(state)
        put(files, lines(files)[..<1])
        let world = try CrashWorld(files)
        try world.obey(.rollback(version: "v3"), id: "later")
        files.put(state, before)
        let next = try CrashWorld(files)
        #expect(barred(next) == ["v2", "v3"])
    }

    @Test(
        "Lines that the head remembers, and that neither journal nor state has, are said to be unknown",
        arguments: [true, false])
    func forgotten(hasJournal: Bool) throws {
        let files = MemoryFiles()
        let first = try CrashWorld(files, rotateBytes: .max)
        let before = files.bytes(state)
        let kept = files.bytes(journal)
        try first.obey(.rollback(version: "v2"), id: "cut")
        files.put(state, before)
        files.put(journal, hasJournal ? kept : nil)
        let found = try audit(files)
        #expect(found.exitCode != 0, "\(found)")
        #expect(found.state.sentence.contains("withholds all weight at stable until a verb"))
        let next = try CrashWorld(files)
        #expect(next.recovery.loss?.contains("what was decided there is not known") == true)
        try expectWithheld(next, files)
    }

    /// All weight is stable's, also after another crash, until an operator's verb.
    private func expectWithheld(
        _ first: CrashWorld, _ files: MemoryFiles,
        after weights: [String: UInt32] = ["v1": 850_000, "v2": 100_000, "v3": 50_000]
    ) throws {
        let rollout = try #require(first.rollout)
        #expect(rollout.isWithheld && rollout.weights == ["v1": 1_000_000, "v2": 0, "v3": 0])
        #expect(rollout.quarantined.isEmpty && rollout.cutsByVersion.isEmpty && rollout.coolDownUntil == nil)
        #expect(first.recovery.withheld.keys.sorted() == ["m"])
        #expect(lines(files).contains { $0.contains("\"held\"") && $0.contains("decisions_lost") })
        let again = try CrashWorld(files.after(.kill))
        #expect(again.rollout == rollout && again.recovery.loss == nil && again.recovery.withheld.isEmpty)
        let copy = files.after(.power)
        let later = try CrashWorld(copy)
        try later.obey(.resume, id: "resume")
        #expect(later.rollout?.weights == weights)
        #expect(try CrashWorld(copy).rollout == later.rollout)
    }

    @Test("A journal that ends before the state withholds weight, unless the head says that nothing followed")
    func behindWithoutHead() throws {
        for hasHead in [true, false] {
            let files = MemoryFiles()
            let world = try CrashWorld(files, rotateBytes: .max)
            try world.obey(.weights(["v2": 300_000]), id: "weights")
            files.put(journal, nil)
            if !hasHead { files.put(head, nil) }
            let next = try CrashWorld(files)
            #expect(next.recovery.loss?.contains("the journal is missing") == true)
            if hasHead {
                #expect(next.rollout == world.rollout && next.recovery.withheld.isEmpty)
            } else {
                // Weights that a verb had set are in force again, not the configured ones.
                try expectWithheld(next, files, after: ["v1": 700_000, "v2": 300_000, "v3": 0])
            }
        }
    }

    @Test("A gap that a checkpoint has covered since withholds nothing; one that none has covered does")
    func coveredGap() throws {
        for isCovered in [true, false] {
            let files = MemoryFiles()
            let world = try CrashWorld(files, rotateBytes: .max)
            let before = files.bytes(state)
            try world.obey(.weights(["v2": 200_000]), id: "lost")
            if isCovered {
                _ = world.post(world.saved.checkpoint(at: world.wall), state: world.saved)
            } else {
                _ = world.post([JournalEvent(at: 0, .health, model: "m", reason: "later")], state: nil)
            }
            files.put(state, before)
            let all = lines(files)
            let first = try #require(all.firstIndex { $0.contains("because lost") })
            let last = try #require(all.lastIndex { $0.contains("because lost") })
            // The line that the state names is gone as well, or the rest would not go on from it.
            put(files, Array(all[..<(first - 1)] + all[(last + 1)...]))
            let next = try CrashWorld(files)
            #expect(next.recovery.loss?.contains("did not include that") == true, "\(next.recovery)")
            #expect(next.rollout?.isWithheld == !isCovered)
            if isCovered { #expect(next.rollout?.weights["v2"] == 200_000) }
        }
    }

    @Test("Models that only the config knows are withheld too where what was decided is not known")
    func configOnly() throws {
        let files = MemoryFiles()
        let first = try CrashWorld(files, rotateBytes: .max)
        let (before, kept) = (files.bytes(state), files.bytes(journal))
        try first.obey(.pause, id: "pause")
        files.put(state, before)
        files.put(journal, kept)
        var recovery = try CrashWorld(files.after(.kill)).recovery
        let config = try ConfigSample.model("weights: { v2: 5% }").config()
        var model = config.models[0]
        model.name = "other"
        recovery.withhold([model], at: 7)
        #expect(recovery.state.models["other"]?.rollout.isWithheld == true)
        #expect(recovery.withheld.keys.sorted() == ["m", "other"])
        var whole = try CrashWorld(try cutOnce()).recovery
        whole.withhold([model], at: 7)
        #expect(whole.state.models["other"] == nil && whole.withheld.isEmpty)
    }

    @Test("A state of another life of the directory lifts nothing that the whole journal has quarantined")
    func stateOfAnotherLife() throws {
        for later in [1, 8] {
            let other = MemoryFiles()
            let world = try CrashWorld(other, rotateBytes: .max)
            for i in 0..<later { try world.obey(.pause, id: "pause \(i)") }
            let files = try cutOnce()
            files.put(state, other.bytes(state))
            #expect(try audit(files).state.verdict == .otherHistory)
            let next = try CrashWorld(files)
            #expect(barred(next) == ["v2"], "\(later)")
            #expect(next.recovery.loss?.contains("not the one") == true)
        }
    }

    @Test("Of another journal only bars are believed: what it cut is barred, what it lifted is not")
    func forked() throws {
        let other = MemoryFiles()
        let world = try CrashWorld(other, rotateBytes: .max)
        try world.obey(.rollback(version: "v3"), id: "x")
        try world.obey(.weights(["v2": 900_000]), id: "y")
        try world.obey(.promote(version: "v2"), id: "z")
        let files = try cutOnce()
        files.put(journal, other.bytes(journal))
        files.put(head, other.bytes(head))
        #expect(try audit(files).state.verdict == .otherHistory)
        let next = try CrashWorld(files)
        #expect(barred(next) == ["v2", "v3"])
        #expect(next.rollout?.weights["v2"] == 0 && next.recovery.loss?.contains("not the one") == true)
        #expect(try CrashWorld(files.after(.kill)).recovery.loss == nil)
    }

    @Test(
        "A line after the state's that was altered lifts no bar, and one that bars still does",
        arguments: [0, 1])
    func alteredTail(_ more: Int) throws {
        let files = try cutOnce()
        let before = files.bytes(state)
        let world = try CrashWorld(files, rotateBytes: .max)
        try world.obey(.unquarantine(version: "v2"), id: "later")
        for i in 0..<more { try world.obey(.rollback(version: "v3"), id: "more \(i)") }
        files.put(state, before)
        put(files, lines(files).map { $0.replacing("because later", with: "because LATER") })
        let next = try CrashWorld(files)
        #expect(barred(next) == (more == 0 ? ["v2"] : ["v2", "v3"]))
        #expect(next.recovery.loss?.contains("not the one") == true)
    }

    @Test("A state that says something else than the line it includes is found")
    func differs() throws {
        let files = try cutOnce()
        var saved = try #require(try StateFile(directory: "/s", files: files).load())
        saved.models["m"]?.rollout.quarantined = [:]
        files.put(state, saved.encoded())
        let found = try audit(files)
        #expect(found.state.verdict == .differs && found.exitCode == 4)
        #expect(found.state.sentence.contains("quarantined: none; line 3, which it includes, says"))
        files.put(state, (files.bytes(state) ?? []).dropLast(9))
        #expect(try audit(files).state.verdict == .damaged)
    }

    @Test("What a line carries is read back exactly, whatever was in it, on one ASCII line")
    func exact() throws {
        var rollout = RolloutMachine.start(CrashWorld.setup)
        let reason = "a\u{2028}b\u{85}c\u{1B}[31md\u{202E}é😀\u{7F}\n\"\\ /"
        rollout =
            RolloutMachine.step(
                rollout, .verb(VerbRequest(verb: .rollback(version: "v2"), actor: reason, reason: reason)),
                wallMicros: 5
            ).state
        rollout.coolDownUntil = .max
        var event = JournalEvent(at: 0, .cut, model: "m", reason: "r")
        let answer = AnsweredVerb(requestID: reason, request: "r", status: 200, body: reason)
        let trip = GroupTrip(group: "g", model: "m", cutID: "cut-1", reason: reason, rest: ["n"])
        event.change = StateChange(models: ["m": rollout], answered: [answer], groups: [trip])
        let line = event.line(sequence: 1, previous: .origin)
        #expect(line.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(try StateChange.read(line[...]) == event.change)
        #expect(try JSON(parsing: line)["prev"]?.string == ChainHash.origin.hex)
    }
}
