// `journal.head` is a stranger's bytes to whoever reads it after a crash: the start and `weir audit verify`
// judge it by one function, and numbers that come from it leave room for the lines to come.

import Glibc
import Platform
import Rollout
import Testing

@testable import Control

private let head = "/s/journal.head"

/// A directory in which v2 was cut, with rotated files or one.
private func directory(rotateBytes: Int) throws -> MemoryFiles {
    let files = MemoryFiles()
    let world = try CrashWorld(files, rotateBytes: rotateBytes, keep: 2)
    for i in 0..<3 {
        try world.obey(.unquarantine(version: "v2"), id: "u\(i)")
        try world.obey(.rollback(version: "v2"), id: "r\(i)")
    }
    return files
}

/// The hashes of the journal's lines, by number.
private func hashes(_ files: MemoryFiles) throws -> [UInt64: ChainHash] {
    var found: [UInt64: ChainHash] = [:]
    try JournalHistory(FileStorage(directory: "/s", files: files)).each(from: 1) {
        line throws(StateProblem) in
        if let number = line.number { found[number] = line.hash }
    }
    return found
}

@Suite struct JournalHeadTests {
    /// One change of a head.
    private func mutate(_ bytes: [UInt8], _ known: [UInt64: ChainHash], _ random: inout Random64) -> [UInt8]?
    {
        let last = known.keys.max() ?? 0
        let numbers: [String] = [
            "0", "1", "\(last - 1)", "\(last)", "\(last + 1)", "\(last + 1_000)", "-1", "1e3", "1.5", "\"7\"",
            "\(JournalNumber.aheadMax)", "\(JournalNumber.aheadMax + 1)",
            "\(JournalNumber.rememberedMax)", "\(JournalNumber.rememberedMax + 1)",
            "\(JournalNumber.lineMax)", "\(Int64.max)", "\(Int64.max - 1)", "\(UInt64.max)", "1e300", "null",
        ]
        switch random.below(8) {
        case 0: return nil
        case 1: return []
        case 2: return Array(bytes.prefix(Int(random.below(UInt64(bytes.count)))))
        case 3:
            var bytes = bytes
            bytes[Int(random.below(UInt64(bytes.count)))] ^= UInt8(1 << random.below(8))
            return bytes
        case 4: return bytes + [UInt8](repeating: 0x20, count: 5_000)
        default:
            let number = numbers[Int(random.below(UInt64(numbers.count)))]
            let line = random.below(2) == 0 ? UInt64(number) ?? last : 1 + random.below(last)
            let hash =
                switch random.below(3) {
                case 0: known[line]?.hex ?? ChainHash.origin.hex
                case 1: known[last]?.hex ?? ""
                default: String(repeating: "0123456789abcdef", count: 4)
                }
            return Array("{\"lines\":\(number),\"hash\":\"\(hash)\"}\n".utf8)
        }
    }

    @Test(
        "Whatever is in journal.head, verify finds nothing exactly where a start finds nothing",
        arguments: [Int.max, 3_000])
    func agreement(rotateBytes: Int) throws {
        let files = try directory(rotateBytes: rotateBytes)
        let known = try hashes(files)
        let bytes = try #require(files.bytes(head))
        let seed = Entropy.word()
        var random = Random64(seed: seed)
        var accepted = 0
        for round in 0..<400 {
            let copy = files.after(.kill)
            let mutated = mutate(bytes, known, &random)
            copy.put(head, mutated)
            let text = String(decoding: mutated ?? [], as: UTF8.self).prefix(200)
            let told = "seed \(seed), round \(round): \(text)"
            let found = try CrashWorld.audit(copy)
            let world = try CrashWorld(copy)
            let isAccepted = world.recovery.loss == nil
            #expect(isAccepted == (found.exitCode == 0), "\(told): \(found) \(world.recovery)")
            if isAccepted { accepted += 1 }
            // What is written then is read back by both.
            try world.obey(.rollback(version: "v3"), id: "later")
            let later = try CrashWorld.audit(copy)
            #expect(later.findings.allSatisfy { $0.problem == .gap }, "\(told): \(later)")
            #expect(later.state.isWhole, "\(told): \(later)")
            let next = try CrashWorld(copy.after(.kill))
            #expect(next.recovery.loss == nil, "\(told): \(next.recovery.loss ?? "")")
            #expect(Set((next.rollout?.quarantined ?? [:]).keys) == ["v2", "v3"], "\(told)")
        }
        #expect(accepted > 20 && accepted < 380)
    }

    @Test(
        "A head that says nothing withholds weight, unless the state includes the journal's last line",
        arguments: ["{}", "", "garbage\n"])
    func unreadable(text: String) throws {
        let files = MemoryFiles()
        let world = try CrashWorld(files)
        try world.obey(.weights(["v2": 200_000]), id: "a")
        let state = try #require(files.bytes("/s/rollouts.json"))
        try world.obey(.weights(["v2": 300_000]), id: "b")
        for isBehind in [false, true] {
            let copy = files.after(.kill)
            copy.put(head, Array(text.utf8))
            if isBehind { copy.put("/s/rollouts.json", state) }
            let found = try CrashWorld.audit(copy)
            let next = try CrashWorld(copy)
            #expect(next.rollout?.isWithheld == isBehind)
            #expect(
                next.recovery.loss?.contains(isBehind ? "is not known" : "nothing is missing there") == true)
            #expect(found.exitCode == 1)
            // An honest head of a state that is behind is no reason to withhold anything.
            let twin = files.after(.kill)
            if isBehind { twin.put("/s/rollouts.json", state) }
            let whole = try CrashWorld(twin)
            #expect(whole.rollout?.isWithheld == false && whole.rollout?.weights["v2"] == 300_000)
        }
    }

    @Test("Beside a missing state a head that says nothing, or something else, stops the start")
    func missingState() throws {
        let files = try directory(rotateBytes: .max)
        let known = try hashes(files)
        let last = try #require(known.keys.max())
        let other = String(repeating: "0", count: 64)
        for (text, word) in [
            ("{}", "says nothing of the journal's end"),
            ("{\"lines\":\(Int64.max),\"hash\":\"\(other)\"}", "says nothing of the journal's end"),
            ("{\"lines\":\(last),\"hash\":\"\(other)\"}", "another line \(last)"),
            ("{\"lines\":2,\"hash\":\"\(other)\"}", "another line 2"),
        ] {
            let copy = files.after(.kill)
            copy.put("/s/rollouts.json", nil)
            copy.put(head, Array(text.utf8))
            let problem = #expect(throws: StateProblem.self) { try CrashWorld(copy) }
            #expect("\(try #require(problem))".contains(word))
            let found = try CrashWorld.audit(copy)
            #expect(found.exitCode != 0 && found.state.verdict == .lost, "\(found)")
        }
    }

    @Test("A state that names a line beyond all journals is damaged, and no file name overflows a number")
    func numbers() throws {
        for line in [JournalNumber.rememberedMax + 1, UInt64(Int64.max), .max] {
            var saved = SavedState()
            saved.journal = JournalMark(line: line, hash: ChainHash.origin.hex)
            #expect(throws: StateProblem.self) { try SavedState.decoded(saved.encoded(), path: "x") }
        }
        for number in ["0", "18446744073709551615", "9007199254740993"] {
            #expect(JournalFiles.firstLine(of: "journal-\(number)-x.jsonl") == nil)
            let files = try directory(rotateBytes: .max)
            files.put("/s/journal-\(number)-20260101T000000Z.jsonl", Array("{}\n".utf8))
            #expect(try CrashWorld(files).recovery.loss == nil)
            #expect(try CrashWorld.audit(files).exitCode == 0)
        }
        // A last line with such a number is none, for a start as for verify.
        let files = try directory(rotateBytes: .max)
        let line = "{\"seq\":\(Int64.max),\"prev\":\"\(ChainHash.origin.hex)\"}\n"
        files.put("/s/journal.jsonl", (files.bytes("/s/journal.jsonl") ?? []) + Array(line.utf8))
        #expect(try CrashWorld.audit(files).exitCode != 0)
        #expect(try CrashWorld(files).recovery.loss != nil)
    }
}

/// A real state directory with a journal and a state that belong together.
private func realDirectory(_ scratch: Scratch) throws -> String {
    let path = scratch.path + "/s"
    let directory = try StateDirectory(path: path)
    var journal = try Journal(opening: FileStorage(directory.files), wallMicros: 1)
    try journal.append([JournalEvent(at: 1, .started, reason: "started")])
    var saved = SavedState()
    saved.journal = JournalMark(line: journal.lines, hash: journal.hash.hex)
    try directory.save(saved)
    return path
}

@Suite struct OfflineFilesTests {
    @Test("A directory or a link in the place of journal.head is refused by the start and by verify alike")
    func head() throws {
        let scratch = try Scratch()
        let path = try realDirectory(scratch)
        #expect(try AuditVerify.check(directory: path).exitCode == 0)
        for isLink in [false, true] {
            try File.rename(path + "/journal.head", to: path + "/kept")
            if isLink {
                symlink(path + "/kept", path + "/journal.head")
            } else {
                try File.makeDirectory(path + "/journal.head")
            }
            #expect(throws: StateProblem.self) { try StateDirectory(path: path).recover() }
            let found = try AuditVerify.check(directory: path)
            #expect(found.exitCode != 0)
            let word = isLink ? "a symbolic link" : "not a regular file"
            #expect(found.findings.contains { $0.sentence.contains(word) }, "\(found)")
            #expect(found.state.sentence.contains(word), "\(found.state)")
            #expect((isLink ? unlink(path + "/journal.head") : rmdir(path + "/journal.head")) == 0)
            try File.rename(path + "/kept", to: path + "/journal.head")
            #expect(try AuditVerify.check(directory: path).exitCode == 0)
        }
    }

    @Test("Without head and state nobody knows where the journal ends; one of the two says it")
    func openEnd() throws {
        for (isHeadGone, isStateGone) in [(false, false), (true, false), (false, true), (true, true)] {
            let scratch = try Scratch()
            let path = try realDirectory(scratch)
            if isHeadGone { #expect(try File.remove(path + "/journal.head")) }
            if isStateGone { #expect(try File.remove(path + "/rollouts.json")) }
            let found = try AuditVerify.check(directory: path)
            #expect(found.isIntact && (found.openEnd != nil) == (isHeadGone && isStateGone), "\(found)")
            #expect(found.verdict.hasPrefix("intact as far as can be told") == (isHeadGone && isStateGone))
            if isHeadGone, isStateGone {
                // Nobody knows, which is neither yes nor no.
                #expect(found.exitCode == 4 && found.json["intact"] == .null)
            }
            if !isStateGone { #expect(found.exitCode == 0 && found.verdict == "intact") }
        }
    }

    @Test(
        "Where the state's line alone says that the journal's end or all of it is gone, it is not intact",
        arguments: [false, true])
    func stateIsAhead(isJournalGone: Bool) throws {
        let scratch = try Scratch()
        let path = scratch.path + "/s"
        let directory = try StateDirectory(path: path)
        var journal = try Journal(opening: FileStorage(directory.files), wallMicros: 1)
        try journal.append([JournalEvent(at: 1, .started, reason: "started")])
        let first = try File.readAll(path + "/journal.jsonl", bytesMax: 1 << 20)
        try journal.append([JournalEvent(at: 2, .started, reason: "again")])
        var saved = SavedState()
        saved.journal = JournalMark(line: journal.lines, hash: journal.hash.hex)
        try directory.save(saved)
        #expect(try AuditVerify.check(directory: path).json["intact"]?.bool == true)
        try File.remove(path + "/journal.head")
        if isJournalGone {
            try File.remove(path + "/journal.jsonl")
        } else {
            try File.replace(path + "/journal.jsonl", with: first)
        }
        let found = try AuditVerify.check(directory: path)
        #expect(found.findings.isEmpty && !found.isIntact && found.exitCode == 4, "\(found)")
        #expect(found.verdict.hasPrefix("NOT intact: lines that rollouts.json includes"), "\(found)")
        #expect(found.json["intact"]?.bool == false && found.state.verdict == .newer)
    }

    @Test("A state that includes an earlier line does not say where the journal ends")
    func earlierState() throws {
        let scratch = try Scratch()
        let path = try realDirectory(scratch)
        var journal = try Journal(opening: FileStorage(directory: path), wallMicros: 2)
        try journal.append([JournalEvent(at: 2, .started, reason: "again")])
        #expect(try AuditVerify.check(directory: path).openEnd == nil)
        #expect(try File.remove(path + "/journal.head"))
        let found = try AuditVerify.check(directory: path)
        #expect(found.isIntact && found.exitCode == 4)
        #expect(found.openEnd?.contains("rollouts.json includes line 1 only") == true, "\(found)")
    }

    @Test(
        "What reads a state directory offline follows no link in it either",
        arguments: ["journal.jsonl", "rollouts.json"])
    func links(name: String) throws {
        let scratch = try Scratch()
        let path = try realDirectory(scratch)
        var before: [String] = []
        var reader = AuditReader(directory: path)
        try reader.read(AuditFilter()) { before.append($0.text) }
        #expect(before.count == 1)
        try File.rename(path + "/\(name)", to: scratch.path + "/elsewhere")
        symlink(scratch.path + "/elsewhere", path + "/\(name)")
        #expect(throws: SystemFailure.self) { try AuditVerify.check(directory: path) }
        #expect(throws: OfflineProblem.self) {
            _ = try OfflineReports.reports(stateDir: path, model: nil, cut: nil)
        }
        if name == "journal.jsonl" {
            #expect(throws: SystemFailure.self) {
                var reader = AuditReader(directory: path)
                try reader.read(AuditFilter()) { _ in }
            }
        } else {
            #expect(throws: OfflineProblem.self) { _ = try OfflineReports.ledger(stateDir: path) }
        }
    }
}
