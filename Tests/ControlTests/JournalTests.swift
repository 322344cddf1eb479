// The journal: nothing acknowledged is lost by any crash, and nothing in it can be changed unseen.

import Payload
import Platform
import Testing

@testable import Control

private func event(_ i: Int) -> JournalEvent {
    JournalEvent(
        at: 1_700_000_000_000_000 + UInt64(i), .verb, model: "recommender", actor: "uid 1000",
        reason: "event number \(i)\nwith a line break", details: [.init("i", .integer(Int64(i)))])
}

private func written(_ count: Int) throws -> FaultyDisk {
    let disk = FaultyDisk()
    var journal = try Journal(opening: disk, wallMicros: 0)
    for i in 1...count { try journal.append([event(i)]) }
    return disk
}

@Suite struct JournalTests {
    @Test("Each line carries the hash of the line before, and numbers run from 1")
    func chain() throws {
        let disk = try written(5)
        var previous = ChainHash.origin.hex
        for (i, line) in disk.lines.enumerated() {
            let value = try JSON(parsing: line)
            #expect(value["seq"]?.integer == Int64(i + 1))
            #expect(value["prev"]?.string == previous)
            previous = ChainHash(of: Array(line.utf8)).hex
        }
        #expect(AuditVerify.check(journal: disk.bytes, head: disk.head).isIntact)
    }

    @Test(
        "Truncated at any byte, every complete line survives, the rest is moved aside and the chain goes on")
    func killAtEveryByte() throws {
        let full = try written(4).bytes
        for length in 0...full.count {
            let disk = FaultyDisk(Array(full[..<length]))
            let complete = full[..<length].filter { $0 == 0x0A }.count
            let kept = full[..<(full[..<length].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0)]
            var journal = try Journal(opening: disk, wallMicros: 7)
            #expect(journal.lines == UInt64(complete))
            #expect(disk.bytes == Array(kept))
            #expect(
                disk.aside.map(\.bytes) == (length == kept.count ? [] : [Array(full[kept.count..<length])]))
            try journal.appendNoting([event(9)], at: 8)
            let report = AuditVerify.check(journal: disk.bytes, head: disk.head)
            #expect(report.isIntact, "\(length): \(report.findings)")
            #expect(report.lines == complete + (length == kept.count ? 1 : 2))
            #expect(disk.bytes.starts(with: kept))
        }
    }

    @Test("An append that fails at any byte leaves the durable lines as they were, and the next one works")
    func diskFullAtEveryByte() throws {
        let before = try written(2)
        let lineBytes = event(3).line(sequence: 3, previous: ChainHash.origin).count + 1
        for room in 0..<lineBytes {
            let disk = FaultyDisk(before.bytes, head: before.head)
            var journal = try Journal(opening: disk, wallMicros: 0)
            disk.capacity = before.bytes.count + room
            #expect(throws: SystemFailure.self) { try journal.append([event(3)]) }
            #expect(journal.lines == 2)
            disk.capacity = .max
            try journal.append([event(4)])
            #expect(disk.lines.count == 3)
            #expect(AuditVerify.check(journal: disk.bytes, head: disk.head).isIntact)
        }
    }

    @Test("A line whose fsync failed is not acknowledged and is written again in full")
    func failedSync() throws {
        let disk = try written(1)
        var journal = try Journal(opening: disk, wallMicros: 0)
        disk.syncFails = true
        #expect(throws: SystemFailure.self) { try journal.append([event(2)]) }
        disk.syncFails = false
        try journal.append([event(2)])
        #expect(disk.lines.count == 2)
        #expect(disk.synced == disk.bytes)
    }

    @Test("A very long reason or detail is cut, and the line says so")
    func bounded() throws {
        let disk = FaultyDisk()
        var journal = try Journal(opening: disk, wallMicros: 0)
        let long = String(repeating: "x", count: JournalEvent.lineBytesMax)
        try journal.append([JournalEvent(at: 0, .alert, reason: long, details: [.init("d", .string(long))])])
        #expect(disk.bytes.count <= JournalEvent.lineBytesMax)
        #expect(try JSON(parsing: disk.lines[0])["left_out"]?.string != nil)
    }

    @Test("Lines that are gone when the journal is opened are noted, and verification says so for ever")
    func lostTail() throws {
        let disk = try written(4)
        let shorter = FaultyDisk(
            Array((disk.lines[0] + "\n" + disk.lines[1] + "\n").utf8), head: disk.head)
        var journal = try Journal(opening: shorter, wallMicros: 0)
        #expect(journal.findings == [.missing(lines: 2, remembered: 4)])
        try journal.appendNoting([event(5)], at: 1)
        let report = AuditVerify.check(journal: shorter.bytes, head: shorter.head)
        #expect(report.findings.map(\.line) == [3])
        #expect(report.findings.map(\.problem) == [.gap])
    }
}

@Suite struct AuditVerifyTests {
    struct Tampering: CustomTestStringConvertible {
        var name: String
        var line: Int
        var problem: AuditReport.Problem
        var change: @Sendable (inout [String]) -> Void
        var testDescription: String { name }
    }

    static let table: [Tampering] = [
        Tampering(name: "a word changed in line 3", line: 3, problem: .altered) {
            $0[2] = $0[2].replacing("event number", with: "Event number")
        },
        Tampering(name: "a word changed in the first line", line: 1, problem: .altered) {
            $0[0] = $0[0].replacing("uid 1000", with: "uid 1001")
        },
        Tampering(name: "a word changed in the last line", line: 6, problem: .altered) {
            $0[5] = $0[5].replacing("event number", with: "Event number")
        },
        Tampering(name: "the last line's prev changed", line: 6, problem: .altered) {
            $0[5] = $0[5].replacing("\"prev\":\"", with: "\"prev\":\"f").replacing("\"}", with: "}")
            $0[5] = String($0[5].dropLast(2)) + "\"}"
        },
        Tampering(name: "line 3's prev changed", line: 3, problem: .altered) {
            let value = try? JSON(parsing: $0[2])
            let members = value?.members.map {
                $0.name == "prev" ? JSON.Member("prev", .string(String(repeating: "a", count: 64))) : $0
            }
            $0[2] = JSON.object(members ?? []).text
        },
        Tampering(name: "line 4 removed", line: 4, problem: .removed) { $0.remove(at: 3) },
        Tampering(name: "the first line removed", line: 1, problem: .removed) { $0.remove(at: 0) },
        Tampering(name: "the last line removed", line: 6, problem: .removed) { $0.removeLast() },
        Tampering(name: "everything removed", line: 1, problem: .removed) { $0.removeAll() },
        Tampering(name: "lines 2 and 3 swapped", line: 2, problem: .removed) { $0.swapAt(1, 2) },
        Tampering(name: "line 2 doubled", line: 3, problem: .reordered) { $0.insert($0[1], at: 2) },
        Tampering(name: "line 5 is not JSON", line: 5, problem: .notALine) { $0[4] = "{" },
        Tampering(name: "line 5 is empty", line: 5, problem: .notALine) { $0[4] = "" },
        Tampering(name: "a space appended to line 2", line: 2, problem: .altered) { $0[1] += " " },
        Tampering(name: "a foreign line inserted", line: 3, problem: .reordered) {
            $0.insert("{\"seq\":2,\"prev\":\"\"}", at: 2)
        },
    ]

    @Test("Any edit, deletion or reordering is found and its line named", arguments: table)
    func tampering(_ tampering: Tampering) throws {
        let disk = try written(6)
        var lines = disk.lines
        tampering.change(&lines)
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        let report = AuditVerify.check(journal: bytes, head: disk.head)
        let first = try #require(report.findings.first, "nothing was found")
        #expect(first.line == tampering.line)
        #expect(first.problem == tampering.problem)
    }

    @Test("A line that is gone from the middle is one finding, and the end is not said to be missing as well")
    func oneFinding() throws {
        let disk = try written(6)
        var lines = disk.lines
        lines.remove(at: 3)
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        let report = AuditVerify.check(journal: bytes, head: disk.head)
        #expect(report.findings.count == 1, "\(report.findings)")
        // What is gone from the end as well is a second one.
        lines.removeLast()
        let shorter = Array(lines.map { $0 + "\n" }.joined().utf8)
        #expect(AuditVerify.check(journal: shorter, head: disk.head).findings.count == 2)
    }

    @Test("Every one-bit change anywhere is found")
    func everyBit() throws {
        let disk = try written(3)
        for i in disk.bytes.indices {
            var bytes = disk.bytes
            bytes[i] ^= 1 << UInt8(i % 8)
            #expect(!AuditVerify.check(journal: bytes, head: disk.head).isIntact, "byte \(i)")
        }
    }

    @Test("An untouched journal is intact, with and without its head, and also when it is empty")
    func intact() throws {
        let disk = try written(3)
        #expect(AuditVerify.check(journal: disk.bytes, head: disk.head).isIntact)
        #expect(AuditVerify.check(journal: disk.bytes, head: nil).isIntact)
        #expect(AuditVerify.check(journal: [], head: nil).isIntact)
    }
}

@Suite struct LedgerTests {
    final class Saved {
        var states: [SavedState] = []
        var fails = false
    }

    private func make(_ disk: FaultyDisk, _ saved: Saved) throws -> LedgerWriter {
        LedgerWriter(journal: try Journal(opening: disk, wallMicros: 0)) { state throws(SystemFailure) in
            if saved.fails { throw SystemFailure(operation: "rename", errno: Errno(code: 28)) }
            saved.states.append(state)
        }
    }

    private func entry(_ id: UInt64, kept: Bool = true, state: SavedState? = nil) -> LedgerEntry {
        LedgerEntry(id: id, events: [event(Int(id))], state: state, isKeptOnFailure: kept)
    }

    @Test("A refused disk fails the step at once, is told once, and gets everything kept when it works again")
    func degradesAndRecovers() throws {
        let disk = FaultyDisk()
        let saved = Saved()
        var ledger = try make(disk, saved)
        #expect(ledger.write([entry(1)], now: Instant(nanos: 0), wallMicros: 0) == [.durable(id: 1)])
        disk.isReadOnly = true
        let first = ledger.write([entry(2, state: SavedState())], now: Instant(nanos: 0), wallMicros: 0)
        #expect(first.count == 2)
        guard case .failed(2, _) = first[0], case .degraded = first[1] else {
            Issue.record("\(first)")
            return
        }
        let second = ledger.write([entry(3, kept: false)], now: Instant(nanos: 1), wallMicros: 1)
        #expect(second.count == 1)
        #expect(ledger.retryAt == Instant(nanos: 1) + LedgerWriter.retryEvery)
        #expect(ledger.retry(now: ledger.retryAt, wallMicros: 5).isEmpty)
        disk.isReadOnly = false
        #expect(ledger.retry(now: ledger.retryAt, wallMicros: 9_000_000) == [.restored])
        #expect(ledger.retryAt == .never)
        #expect(saved.states.count == 1)
        let kinds = try disk.lines.map { try JSON(parsing: $0)["kind"]?.string }
        #expect(kinds == ["verb", "journal_restored", "verb"])
        #expect(AuditVerify.check(journal: disk.bytes, head: disk.head).isIntact)
    }

    @Test(
        "A step whose lines stand is durable; a state file that cannot be replaced is owed, and told once"
    )
    func stateOwed() throws {
        let disk = FaultyDisk()
        let saved = Saved()
        var ledger = try make(disk, saved)
        saved.fails = true
        let reports = ledger.write([entry(1, state: SavedState())], now: Instant(nanos: 0), wallMicros: 0)
        guard case .stateOwed = reports.first, reports.last == .durable(id: 1) else {
            Issue.record("\(reports)")
            return
        }
        #expect(ledger.write([entry(2)], now: Instant(nanos: 1), wallMicros: 1) == [.durable(id: 2)])
        saved.fails = false
        #expect(ledger.retry(now: ledger.retryAt, wallMicros: 1) == [.stateSaved])
        #expect(ledger.retryAt == .never)
        #expect(saved.states.map(\.journal?.line) == [2])
        #expect(disk.lines.count == 2)
    }

    @Test("A file system that reserves no blocks is told once, and lines are durable all the same")
    func noReserve() throws {
        let disk = FaultyDisk()
        // EOPNOTSUPP of Linux.
        disk.reserveErrno = 95
        var ledger = try make(disk, Saved())
        let told = ledger.prepare(now: Instant(nanos: 0), wallMicros: 0)
        guard case .reserve(.none(let reason)) = told.first, told.count == 1 else {
            Issue.record("\(told)")
            return
        }
        #expect(reason.contains("reserve"))
        for id in 1...3 as ClosedRange<UInt64> {
            #expect(ledger.write([entry(id)], now: Instant(nanos: id), wallMicros: id) == [.durable(id: id)])
        }
    }

    @Test("Steps that come together share one fsync and one state file, and fail together")
    func batch() throws {
        let disk = FaultyDisk()
        let saved = Saved()
        var ledger = try make(disk, saved)
        let three = (1...3 as ClosedRange<UInt64>).map { entry($0, kept: $0 != 2, state: SavedState()) }
        #expect(
            ledger.write(three, now: Instant(nanos: 0), wallMicros: 0)
                == [.durable(id: 1), .durable(id: 2), .durable(id: 3)])
        #expect(saved.states.count == 1 && disk.syncs == 1 && disk.lines.count == 3)
        disk.syncFails = true
        let reports = ledger.write(three, now: Instant(nanos: 0), wallMicros: 0)
        #expect(reports.count == 4)
        disk.syncFails = false
        #expect(ledger.retry(now: Instant(nanos: 0), wallMicros: 0) == [.restored])
        // Step 2 was refused for good: only two of the three follow late.
        #expect(disk.lines.count == 3 + 1 + 2)
        #expect(AuditVerify.check(journal: disk.bytes, head: disk.head).isIntact)
    }

    @Test("What is kept while blind is bounded, and the loss is counted in the journal")
    func bounded() throws {
        let disk = FaultyDisk()
        var ledger = try make(disk, Saved())
        disk.isReadOnly = true
        for i in 1...UInt64(LedgerWriter.keptEventsMax + 10) {
            _ = ledger.write([entry(i)], now: Instant(nanos: 0), wallMicros: 0)
        }
        disk.isReadOnly = false
        #expect(ledger.retry(now: Instant(nanos: 0), wallMicros: 0) == [.restored])
        #expect(disk.lines.count == LedgerWriter.keptEventsMax + 1)
        #expect(try JSON(parsing: disk.lines[0])["events_lost"]?.integer == 10)
    }
}
