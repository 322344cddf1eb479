// Rotation: the chain runs through all files, a crash at any step loses nothing acknowledged, and nothing can
// be changed, removed or cut off in any file unseen.

import Payload
import Platform
import Testing

@testable import Config
@testable import Control

private func event(_ i: Int) -> JournalEvent {
    JournalEvent(
        at: 1_700_000_000_000_000 + UInt64(i) * 1_000_000, .verb, model: "recommender", actor: "uid 1000",
        reason: "event number \(i)", details: [.init("i", .integer(Int64(i)))])
}

private func rules(bytes: Int = 900, age: Interval = .seconds(86_400), keep: Int = 100) -> JournalConfig {
    var rules = JournalConfig()
    (rules.rotateBytes, rules.rotateAge, rules.keep) = (bytes, age, keep)
    return rules
}

private func written(_ count: Int, _ rules: JournalConfig) throws -> FaultyDisk {
    let disk = FaultyDisk()
    var journal = try Journal(opening: disk, rules: rules, wallMicros: 0)
    for i in 1...count { try journal.appendNoting([event(i)], at: event(i).wallMicros) }
    return disk
}

/// The numbers in the events that a disk holds, in order.
private func events(_ disk: FaultyDisk) throws -> [Int64] {
    var found: [Int64] = []
    for file in disk.journal {
        for line in file.bytes.split(separator: UInt8(ascii: "\n")) {
            if let i = (try? JSON(parsing: line))?["i"]?.integer { found.append(i) }
        }
    }
    return found
}

private func audit(_ disk: FaultyDisk) -> AuditReport {
    AuditVerify.check(files: disk.journal, head: disk.head)
}

@Suite struct JournalRotationTests {
    @Test("A full file is closed under the number of its first line, and the next one names it and its hash")
    func bySize() throws {
        let disk = try written(20, rules())
        let names = try disk.rotated()
        #expect(names.count > 3)
        #expect(names[0].hasPrefix("journal-000000000001-20231114T2213"))
        let first = try JSON(parsing: disk.lines[0])
        #expect(first["kind"]?.string == "journal_rotated")
        #expect(first["previous"]?.string == names.last)
        let last = try #require(disk.files[names[names.count - 1]]).dropLast().split(separator: 0x0A).last
        #expect(first["previous_hash"]?.string == ChainHash(of: Array(try #require(last))).hex)
        #expect(first["prev"]?.string == first["previous_hash"]?.string)
        #expect(try events(disk) == Array(1...20))
        #expect(audit(disk).findings == [])
    }

    @Test("A file is closed by the age of its first line, also over a restart, and never while it is empty")
    func byAge() throws {
        let disk = FaultyDisk()
        let old = rules(bytes: .max, age: .seconds(100))
        var journal = try Journal(opening: disk, rules: old, wallMicros: 0)
        for i in [1, 50, 99] { try journal.appendNoting([event(i)], at: event(i).wallMicros) }
        #expect(try disk.rotated().isEmpty)
        journal = try Journal(opening: disk, rules: old, wallMicros: event(100).wallMicros)
        try journal.appendNoting([event(101)], at: event(101).wallMicros)
        #expect(try disk.rotated().count == 1)
        try journal.appendNoting([event(150)], at: event(150).wallMicros)
        #expect(try disk.rotated().count == 1)
        #expect(audit(disk).isIntact)
    }

    @Test("Killed before any call of a rotation, every acknowledged event stands and the chain goes on")
    func killAnywhere() throws {
        for keep in [1, 2, 100] {
            for calls in 0..<120 {
                let disk = FaultyDisk()
                var journal = try Journal(opening: disk, rules: rules(keep: keep), wallMicros: 0)
                disk.callsLeft = calls
                var acknowledged: Int64 = 0
                for i in 1...12 {
                    guard (try? journal.appendNoting([event(i)], at: event(i).wallMicros)) != nil else {
                        break
                    }
                    acknowledged = Int64(i)
                }
                let next = disk.reopened()
                var second = try Journal(opening: next, rules: rules(keep: keep), wallMicros: 7)
                #expect(!second.findings.contains { if case .tornLine = $0 { false } else { true } })
                try second.appendNoting([event(100)], at: event(100).wallMicros)
                let report = audit(next)
                #expect(report.isIntact, "keep \(keep), \(calls) calls: \(report.findings)")
                let found = try events(next)
                #expect(found.last == 100)
                // Written but not acknowledged may stand as well; pruned ones are gone from the front.
                let kept = found.dropLast()
                #expect(Array(kept) == Array((kept.first ?? 1)..<((kept.first ?? 1) + Int64(kept.count))))
                #expect((kept.last ?? 0) >= acknowledged)
                if keep == 100 { #expect(kept.first ?? 1 == 1) }
            }
        }
    }

    @Test("A rotation that fails stops no append, is said once, and is tried again a minute later")
    func renameFails() throws {
        let disk = FaultyDisk()
        var ledger = LedgerWriter(
            journal: try Journal(opening: disk, rules: rules(), wallMicros: 0), saveState: { _ in })
        disk.renameFails = true
        var reports: [LedgerReport] = []
        func write(_ i: Int) {
            reports += ledger.write(
                [LedgerEntry(id: UInt64(i), events: [event(i)], state: nil, isKeptOnFailure: true)],
                now: Instant(nanos: 0), wallMicros: event(i).wallMicros)
        }
        for i in 1...20 { write(i) }
        #expect(reports.filter { if case .durable = $0 { true } else { false } }.count == 20)
        #expect(reports.filter { if case .rotationFailed = $0 { true } else { false } }.count == 1)
        disk.renameFails = false
        write(21)
        #expect(try disk.rotated().isEmpty)
        write(100)
        #expect(reports.suffix(2) == [.rotated, .durable(id: 100)])
        #expect(try events(disk) == Array(1...21) + [100])
        #expect(audit(disk).isIntact)
    }

    @Test("Beyond `keep` the oldest files go, on record: verification counts them and finds nothing")
    func prunes() throws {
        let disk = try written(60, rules(keep: 2))
        #expect(try disk.rotated().count == 2)
        let report = audit(disk)
        #expect(report.isIntact, "\(report.findings)")
        #expect(report.pruned > 30)
        var last = try JSON(parsing: disk.lines[0])["seq"]?.integer ?? 0
        last += Int64(disk.lines.count) - 1
        #expect(report.pruned + report.lines == Int(last))
    }

    @Test("A closed file that was removed without a record is found, wherever it stood")
    func removedFile() throws {
        let whole = try written(60, rules(keep: 4))
        let names = try whole.rotated()
        for (i, name) in names.enumerated() {
            let disk = whole.reopened()
            disk.files[name] = nil
            let finding = try #require(audit(disk).findings.first)
            #expect(finding.problem == .removed)
            #expect(finding.file == (i + 1 < names.count ? names[i + 1] : JournalFiles.active))
            #expect(finding.line == 1)
        }
        let disk = whole.reopened()
        disk.files[JournalFiles.active] = nil
        #expect(audit(disk).findings.contains { $0.file == names[3] && $0.problem == .removed })
    }

    @Test(
        "Where the file after a rotation is lost, the next one says the gap first, then what it goes on from",
        arguments: [nil, [], Array("{\"seq\":".utf8)] as [[UInt8]?])
    func lostBehindRotation(rest: [UInt8]?) throws {
        let active = "/s/" + JournalFiles.active
        for (hasHead, isLost) in [(true, true), (false, true), (true, false)] {
            let files = MemoryFiles()
            try CrashWorld(files, rotateBytes: 3_000, keep: 2).play()
            let storage = FileStorage(directory: CrashWorld.directory, files: files)
            let closed = try #require(try storage.rotated().last)
            let last = try #require(try JournalTail(storage, closed)?.sequence)
            let lost = try #require(try JournalTail(storage, JournalFiles.active)?.sequence)
            if isLost { files.put(active, rest) }
            if !hasHead { files.put("/s/journal.head", nil) }

            let copy = files.after(.kill)
            #expect((try CrashWorld(copy, rotateBytes: 3_000, keep: 9).recovery.loss != nil) == isLost)
            let found = try CrashWorld.audit(copy)
            guard isLost else {
                #expect(found.findings == [])
                continue
            }
            #expect(!found.findings.isEmpty)
            #expect(found.findings.allSatisfy { $0.problem == .gap }, "\(found.findings)")
            #expect(found.findings.first?.file == JournalFiles.active && found.findings.first?.line == 1)
            let lines = try #require(copy.bytes(active)).split(separator: 0x0A).map { try JSON(parsing: $0) }
            #expect(lines[0]["kind"]?.string == "journal_gap")
            #expect(lines[0]["seq"]?.integer == Int64(lost + 1))
            let rotated = try #require(lines.first { $0["kind"]?.string == "journal_rotated" })
            #expect(rotated["previous"]?.string == closed)
            #expect(rotated["previous_last"]?.integer == Int64(last))
            let next = try CrashWorld(copy.after(.kill), rotateBytes: 3_000, keep: 9)
            #expect(next.recovery.loss == nil, "\(next.recovery.loss ?? "")")
        }
    }

    @Test("A start reads only the ends of files, however long the journal is")
    func boundedStart() throws {
        final class Counting: JournalStorage {
            let disk: FaultyDisk
            var bytesRead = 0
            init(_ disk: FaultyDisk) { self.disk = disk }
            func size(of name: String) throws(SystemFailure) -> Int? { try disk.size(of: name) }
            func read(_ name: String, from: Int, count: Int) throws(SystemFailure) -> [UInt8] {
                let bytes = try disk.read(name, from: from, count: count)
                bytesRead += bytes.count
                return bytes
            }
            func append(_ bytes: [UInt8]) throws(SystemFailure) { try disk.append(bytes) }
            func sync() throws(SystemFailure) { try disk.sync() }
            func truncate(to size: Int) throws(SystemFailure) { try disk.truncate(to: size) }
            func rotated() throws(SystemFailure) -> [String] { try disk.rotated() }
            func rotate(to name: String) throws(SystemFailure) { try disk.rotate(to: name) }
            func reserve(from size: Int, bytes: Int) throws(SystemFailure) {}
            func release(_ name: String) throws(SystemFailure) {}
            func remove(_ name: String) throws(SystemFailure) { try disk.remove(name) }
            func setAside(_ b: [UInt8], name: String) throws(SystemFailure) -> String { name }
            func readHead() throws(SystemFailure) -> [UInt8]? { disk.head }
            func writeHead(_ bytes: [UInt8]) throws(SystemFailure) { try disk.writeHead(bytes) }
        }
        let disk = FaultyDisk()
        var journal = try Journal(opening: disk, rules: rules(bytes: 1 << 20), wallMicros: 0)
        for batch in 0..<30 {
            let many = (0..<210).map { event(batch * 210 + $0) }
            try journal.appendNoting(many, at: many[0].wallMicros)
        }
        #expect(disk.files.values.reduce(0) { $0 + $1.count } > 1_300_000)
        let counting = Counting(disk)
        let second = try Journal(opening: counting, rules: rules(bytes: 1 << 20), wallMicros: 0)
        #expect(second.lines == journal.lines && second.hash == journal.hash)
        #expect(counting.bytesRead < 520_000)
    }

    @Test("A last line longer than any piece is read whole")
    func longLine() throws {
        let disk = FaultyDisk()
        var journal = try Journal(opening: disk, wallMicros: 0)
        let long = String(repeating: "x", count: 200_000)
        try journal.append([event(1), JournalEvent(at: 0, .alert, reason: long)])
        let second = try Journal(opening: disk.reopened(), wallMicros: 0)
        #expect(second.lines == 2 && second.hash == journal.hash)
    }
}

@Suite struct JournalTamperingTests {
    /// A word of a seeded sequence (SplitMix64).
    private struct Words {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((z ^ (z >> 31)) % UInt64(bound))
        }
    }

    @Test(
        "Any one-byte edit, swap, removal or doubling of lines, or cut of a file, in any file, is found",
        arguments: [1, 2, 3, 4] as [UInt64])
    func anywhere(seed: UInt64) throws {
        var words = Words(state: seed)
        let whole = try written(40, rules(keep: seed % 2 == 0 ? 3 : 100))
        #expect(audit(whole).isIntact)
        let names = whole.journal.map(\.name)
        for round in 0..<400 {
            let disk = whole.reopened()
            let name = names[words.next(names.count)]
            var bytes = try #require(disk.files[name])
            var lines = bytes.dropLast().split(separator: 0x0A).map(Array.init)
            let what: String
            switch round % 5 {
            case 0:
                let i = words.next(bytes.count)
                let flip = UInt8(1 + words.next(255))
                bytes[i] ^= flip
                what = "byte \(i) of \(name) ^ \(flip)"
            case 1:
                guard lines.count > 1 else { continue }
                let i = words.next(lines.count)
                let j = (i + 1 + words.next(lines.count - 1)) % lines.count
                lines.swapAt(i, j)
                bytes = Array(lines.joined(separator: [0x0A])) + [0x0A]
                what = "lines \(i) and \(j) of \(name) swapped"
            case 2:
                let i = words.next(lines.count)
                lines.remove(at: i)
                bytes = lines.isEmpty ? [] : Array(lines.joined(separator: [0x0A])) + [0x0A]
                what = "line \(i) of \(name) removed"
            case 3:
                let i = words.next(lines.count)
                lines.insert(lines[i], at: words.next(lines.count + 1))
                bytes = Array(lines.joined(separator: [0x0A])) + [0x0A]
                what = "line \(i) of \(name) doubled"
            default:
                let length = words.next(bytes.count)
                bytes = Array(bytes[..<length])
                what = "\(name) cut to \(length) bytes"
            }
            disk.files[name] = bytes
            #expect(!audit(disk).isIntact, "seed \(seed), round \(round): \(what)")
        }
    }

    @Test("A head that is not a head is found, and so is one that remembers another last line")
    func head() throws {
        let disk = try written(20, rules())
        for i in try #require(disk.head).indices.dropLast() {
            let changed = disk.reopened()
            var bytes = try #require(disk.head)
            // Padding may turn into other white space and say the same.
            if bytes[i] == 0x20 { continue }
            bytes[i] = bytes[i] == UInt8(ascii: "1") ? UInt8(ascii: "0") : UInt8(ascii: "1")
            changed.head = bytes
            let before = JournalHead(bytes: try #require(disk.head))
            let after = JournalHead(bytes: bytes)
            // A smaller number with that line's own hash cannot come of one byte.
            #expect(before == after || !audit(changed).isIntact, "byte \(i)")
        }
    }

    @Test("Files given one by one are checked from their own first line on")
    func part() throws {
        let disk = try written(40, rules())
        let part = AuditVerify.check(files: [disk.journal[2]], head: nil, isWhole: false)
        #expect(part.isIntact)
        var file = disk.journal[2]
        file.bytes[file.bytes.count / 2] ^= 1
        #expect(!AuditVerify.check(files: [file], head: nil, isWhole: false).isIntact)
    }
}
