// The laws of the access log: lines arrive whole and in order, trouble costs lines and a warning a minute,
// and never more than that. Destinations that refuse are made up, but for /dev/full and a real rotation.
// The thread is waited for by its counts and by the file's appearance, never by time.

import Foundation
import Metrics
import Payload
import Platform
import Proxy
import Synchronization
import Testing

@testable import Control
@testable import Sidecar

/// A destination in memory that can refuse.
private struct FaultySink: AccessSink {
    var bytes: [UInt8] = []
    /// Bytes it takes before it fails with `failure`.
    var room = Int.max
    /// Bytes per call.
    var piece = Int.max
    var failure = Transfer.failed(Errno(code: ENOSPC))
    var takesBack = true
    var reopens = true
    var reopened = 0

    mutating func write(_ more: UnsafeRawBufferPointer) -> Transfer {
        let count = min(more.count, room, piece)
        guard count > 0 else { return failure }
        bytes += more.prefix(count)
        if room != .max { room -= count }
        return .moved(count)
    }

    mutating func takeBack(_ count: Int) -> Bool {
        guard takesBack else { return false }
        bytes.removeLast(count)
        return true
    }

    mutating func reopen() throws(SystemFailure) {
        guard reopens else { throw SystemFailure(operation: "open", errno: Errno(code: EACCES)) }
        reopened += 1
        bytes = []
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// What was said to a person.
private final class Warnings: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }
    func add(_ text: String) { texts.withLock { $0.append(text) } }
}

private func batch(_ sink: FaultySink) -> AccessBatch<FaultySink> { AccessBatch(sink: sink) }

@Suite struct ObserveAccessBatchTests {
    @Test("Lines arrive whole whatever pieces the destination takes", arguments: 1...9)
    func pieces(piece: Int) {
        var batch = batch(FaultySink(piece: piece))
        batch.write(Array("one\ntwo\n".utf8))
        batch.write([])
        batch.write(Array("three\n".utf8))
        #expect(batch.sink.text == "one\ntwo\nthree\n")
        #expect(batch.written == 3 && batch.lost == 0)
        #expect(batch.takeProblem() == nil)
    }

    @Test(
        "A disk that fills at any byte keeps whole lines only, and goes on when there is room",
        arguments: 0...8, [true, false])
    func full(room: Int, takesBack: Bool) {
        var batch = batch(FaultySink(room: room, takesBack: takesBack))
        batch.write(Array("one\ntwo\n".utf8))
        let whole = room / 4
        #expect(batch.written == UInt64(whole) && batch.lost == UInt64(2 - whole))
        #expect(batch.takeProblem() == (room == 8 ? nil : Errno(code: ENOSPC)))
        batch.sink.room = .max
        batch.write(Array("three\n".utf8))
        let lines = batch.sink.text.split(separator: "\n")
        // What could not be taken back is a broken line of its own, never the beginning of another.
        let halves = lines.filter { !["one", "two", "three"].contains($0) }
        #expect(halves.count == (takesBack || room % 4 == 0 || room % 4 == 3 ? 0 : 1))
        #expect(lines.last == "three")
        #expect(batch.written == UInt64(whole) + 1)
    }

    @Test(
        "A reader of standard output that does not keep up costs lines",
        arguments: [
            Transfer.wouldBlock, .closed, .failed(Errno(code: EPIPE)), .moved(0),
        ])
    func slowReader(failure: Transfer) {
        var batch = batch(FaultySink(room: 4, failure: failure))
        batch.write(Array("one\ntwo\n".utf8))
        #expect(batch.written == 1 && batch.lost == 1)
    }

    @Test("While the disk stays full nothing is written and every line is counted")
    func staysFull() {
        var batch = batch(FaultySink(room: 2, takesBack: false))
        for _ in 0..<100 { batch.write(Array("one\n".utf8)) }
        #expect(batch.written == 0 && batch.lost == 100)
        #expect(batch.sink.bytes.count == 2)
    }
}

@Suite struct ObserveAccessPumpTests {
    private static func pump(_ sink: FaultySink, _ warnings: Warnings) -> AccessPump<FaultySink> {
        AccessPump(sink: sink, names: AccessNames(observedPlan()), warn: { warnings.add($0) })
    }

    private static let record = observedRecord()

    @Test("A turn writes every waiting record, in order, however many batches that takes")
    func turn() {
        let warnings = Warnings()
        var pump = Self.pump(FaultySink(), warnings)
        let any = pump.turn(now: Instant(nanos: 0)) { each in
            for core in 0..<1_000 {
                var record = Self.record
                record.core = UInt16(core)
                each(record)
            }
        }
        #expect(any)
        #expect(pump.batch.written == 1_000)
        let cores = pump.batch.sink.text.split(separator: "\n").map { line in
            (try? JSON(parsing: String(line)))?["core"]?.integer ?? -1
        }
        #expect(cores == Array(0..<1_000))
        #expect(warnings.all.isEmpty)
        #expect(!pump.turn(now: Instant(nanos: 0)) { _ in })
    }

    @Test("A full disk is told once a minute, with the lines lost since")
    func warnings() {
        let warnings = Warnings()
        var pump = Self.pump(FaultySink(room: 0), warnings)
        // Three minutes of a line a second.
        for second: UInt64 in 0..<180 {
            _ = pump.turn(now: Instant(nanos: second * 1_000_000_000)) { $0(Self.record) }
        }
        #expect(pump.batch.lost == 180)
        #expect(warnings.all.count == 3)
        #expect(warnings.all.first?.contains("ENOSPC") == true)
        #expect(warnings.all.first?.contains(" 1 lines lost") == true)
        #expect(warnings.all.last?.contains(" 60 lines lost") == true)
    }

    @Test("Rotation begins a new file; one that cannot be opened leaves the old one and a warning")
    func reopen() {
        let warnings = Warnings()
        var pump = Self.pump(FaultySink(), warnings)
        _ = pump.turn(now: Instant(nanos: 0)) { $0(Self.record) }
        pump.reopen(now: Instant(nanos: 0))
        #expect(pump.batch.sink.bytes.isEmpty && pump.batch.sink.reopened == 1)
        _ = pump.turn(now: Instant(nanos: 1)) { $0(Self.record) }
        #expect(pump.batch.sink.text.split(separator: "\n").count == 1)

        var stuck = Self.pump(FaultySink(reopens: false), warnings)
        _ = stuck.turn(now: Instant(nanos: 0)) { $0(Self.record) }
        stuck.reopen(now: Instant(nanos: 0))
        _ = stuck.turn(now: Instant(nanos: 1)) { $0(Self.record) }
        #expect(stuck.batch.sink.text.split(separator: "\n").count == 2)
        #expect(warnings.all.count == 1 && warnings.all.first?.contains("EACCES") == true)
    }
}

@Suite struct ObserveAccessLogWriterTests {
    /// A source that hands out what was fed to it, once.
    private final class Source: Sendable {
        private let waiting = Mutex<[AccessRecord]>([])
        func feed(_ record: AccessRecord) { waiting.withLock { $0.append(record) } }
        func drain(_ each: (AccessRecord) -> Void) {
            let records = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            for record in records { each(record) }
        }
        var isEmpty: Bool { waiting.withLock { $0.isEmpty } }
    }

    private static func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "weir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private static func lines(_ file: URL) throws -> [Substring] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    }

    @Test("What was handed over before the stop is in the file after it")
    func endToEnd() throws {
        try Self.withFolder { folder in
            let file = folder.appending(path: "access.log")
            let source = Source()
            let log = try AccessLogWriter(
                path: file.path, plan: observedPlan(), warn: { _ in }, source: { source.drain($0) })
            for _ in 0..<500 { source.feed(observedRecord()) }
            log.stop()
            #expect(try Self.lines(file).count == 500)
            #expect(log.written == 500 && log.lost == 0)
            log.stop()
        }
    }

    @Test("After a rotation and a reopen, lines go to a new file of the same name")
    func rotation() throws {
        try Self.withFolder { folder in
            let file = folder.appending(path: "access.log")
            let old = folder.appending(path: "access.log.1")
            let source = Source()
            let log = try AccessLogWriter(
                path: file.path, plan: observedPlan(), warn: { _ in }, source: { source.drain($0) })
            source.feed(observedRecord())
            while log.written < 1 { sched_yield() }
            try FileManager.default.moveItem(at: file, to: old)
            // Records wait until the new file is there, so the line can only be in it.
            log.reopen()
            while !FileManager.default.fileExists(atPath: file.path) { sched_yield() }
            source.feed(observedRecord())
            log.stop()
            #expect(try Self.lines(old).count == 1)
            #expect(try Self.lines(file).count == 1)
        }
    }

    @Test("A device that is always full costs the lines and one warning, and nothing hangs")
    func fullDevice() throws {
        let source = Source()
        let warnings = Warnings()
        let log = try AccessLogWriter(
            path: "/dev/full", plan: observedPlan(), warn: { warnings.add($0) }, source: { source.drain($0) })
        for _ in 0..<10 { source.feed(observedRecord()) }
        log.stop()
        #expect(log.written == 0 && log.lost == 10)
        #expect(warnings.all.count == 1 && warnings.all.first?.contains("ENOSPC") == true)
    }

    @Test("A pipe that nobody reads is an error of the start; one that is full costs lines, no time")
    func pipe() throws {
        try Self.withFolder { folder in
            let path = folder.appending(path: "pipe").path
            #expect(mkfifo(path, 0o600) == 0)
            let source = Source()
            func log() throws -> AccessLogWriter {
                try AccessLogWriter(
                    path: path, plan: observedPlan(), warn: { _ in }, source: { source.drain($0) })
            }
            let refused = #expect(throws: SystemFailure.self) { _ = try log() }
            #expect("\(try #require(refused))".contains("a pipe that somebody has to read"))
            let reader = open(path, O_RDONLY | O_NONBLOCK)
            defer { close(reader) }
            let written = try log()
            // More than a pipe holds.
            for _ in 0..<1_000 { source.feed(observedRecord()) }
            written.stop()
            #expect(written.written > 0 && written.lost > 0)
            #expect(written.written + written.lost == 1_000)
        }
    }

    @Test("A path that cannot be opened is an error of the start")
    func unopenable() {
        #expect(throws: SystemFailure.self) {
            try AccessLogWriter(
                path: "/proc/nothing/access.log", plan: observedPlan(), warn: { _ in }, source: { _ in })
        }
    }

    @Test("A log on standard output leaves standard output open when it ends")
    func standardOutput() throws {
        let log = try AccessLogWriter(path: nil, plan: observedPlan(), warn: { _ in }, source: { _ in })
        log.reopen()
        log.stop()
        #expect(fcntl(1, F_GETFD) >= 0)
    }
}
