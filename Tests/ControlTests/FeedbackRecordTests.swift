// Laws of the feedback log: what was written is read back, what is torn ends a file, files go when their
// time has come.

import Platform
import Testing

@testable import Control

private let records: [FeedbackRecord] = [
    .clock(ClockAnchor(tick: 7, wallMicros: 1_700_000_000_000_000)),
    .starts(
        model: "m", slotTicks: 10,
        .init(
            first: 100, end: 110, isSpoiled: false,
            versions: [
                .init(version: 1, started: 9, weightPPM: 900_000),
                .init(version: .max, started: 1, weightPPM: 1),
            ])),
    .feedback(
        model: "m", metric: "clicks", windowMillis: 1_800_000,
        [
            .init(
                version: 1, start: 101, delayMillis: 5, weightPPM: 900_000, code: 0x3F80, hash: 77,
                isRandomised: true),
            .init(
                version: 2, start: .max, delayMillis: .max, weightPPM: 0, code: 0, hash: 0,
                isRandomised: false),
        ]),
    .starts(model: "ü", slotTicks: 1, .init(first: 0, end: 1, isSpoiled: true, versions: [])),
]

private var bytes: [UInt8] {
    var bytes: [UInt8] = []
    for record in records { record.write(to: &bytes) }
    return bytes
}

private func read(_ bytes: [UInt8]) -> (records: [FeedbackRecord], taken: Int) {
    var records: [FeedbackRecord] = []
    let taken = FeedbackRecord.read(bytes) { records.append($0) }
    return (records, taken)
}

@Suite struct FeedbackRecordTests {
    @Test("What was written is read back")
    func roundTrip() {
        #expect(read(bytes).records == records)
        #expect(read(bytes).taken == bytes.count)
    }

    @Test("A file cut at any byte gives the blocks before the cut and nothing else")
    func cut() {
        let bytes = bytes
        for end in 0..<bytes.count {
            let (found, taken) = read(Array(bytes[..<end]))
            #expect(found == Array(records.prefix(found.count)) && found.count < records.count)
            #expect(taken <= end)
        }
    }

    @Test(
        "A changed byte ends the reading at its block and never traps", arguments: [1, 2, 3, 4] as [UInt64])
    func mutated(seed: UInt64) {
        var random = Random64(seed: seed)
        for _ in 0..<2_000 {
            var bytes = bytes
            let at = Int(random.next() % UInt64(bytes.count))
            bytes[at] ^= UInt8(1 + random.next() % 255)
            let found = read(bytes).records
            #expect(found.count < records.count && found == Array(records.prefix(found.count)))
        }
        var noise = (0..<4_096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        noise.replaceSubrange(0..<4, with: bytes[..<4])
        #expect(read(noise).records.isEmpty)
    }

    @Test(
        "Files are read by the next process in order, never appended to, and removed when their time is over")
    func files() throws {
        let scratch = try Scratch()
        let directory = scratch.path + "/feedback"
        var head: [UInt8] = []
        records[0].write(to: &head)
        var body: [UInt8] = []
        records[1].write(to: &body)
        for process in 1...3 {
            var files = FeedbackFiles(directory: directory)
            var found: [FeedbackRecord] = []
            #expect(try files.load(keepUntil: 50) { found.append($0) } == (process > 1 ? 3 : 0))
            #expect(found.count == 3 * (process - 1))
            try files.append(body, head: head, expiresAt: 100)
            try files.append(body, head: head, expiresAt: 90)
            try files.sync()
            if process == 1 { try files.append([1, 2, 3], head: head, expiresAt: 100) }
            #expect(try File.list(directory).count == process)
        }
        var files = FeedbackFiles(directory: directory)
        _ = try files.load(keepUntil: 50) { _ in }
        files.prune(now: 50)
        #expect(try File.list(directory).count == 3)
        files.prune(now: 51)
        #expect(try File.list(directory).isEmpty)
    }

    @Test(
        "Files that an earlier release wrote to outcomes/ are read after those that are here, and only once")
    func formerDirectory() throws {
        let scratch = try Scratch()
        let (former, directory) = (scratch.path + "/outcomes", scratch.path + "/feedback")
        func append(_ record: FeedbackRecord, to directory: String) throws {
            var files = FeedbackFiles(directory: directory)
            _ = try files.load(keepUntil: 50) { _ in }
            var block: [UInt8] = []
            record.write(to: &block)
            try files.append(block, head: [], expiresAt: 100)
        }
        func load() throws -> [FeedbackRecord] {
            var found: [FeedbackRecord] = []
            var files = FeedbackFiles(directory: directory)
            try files.adopt(from: former)
            _ = try files.load(keepUntil: 50) { found.append($0) }
            return found
        }
        #expect(try load().isEmpty, "there is neither directory")
        for record in records[1...2] { try append(record, to: former) }
        #expect(try load() == Array(records[1...2]))
        #expect(try File.list(former).isEmpty)
        try append(records[3], to: former)
        #expect(try load() == Array(records[1...3]))
        #expect(try load() == Array(records[1...3]))
    }

    @Test("A full file is closed, and goes once the last thing in it is over")
    func rotation() throws {
        let scratch = try Scratch()
        var files = FeedbackFiles(directory: scratch.path + "/feedback")
        _ = try files.load(keepUntil: 0) { _ in }
        let block = [UInt8](repeating: 0, count: FeedbackFiles.fileBytesMax)
        try files.append(block, head: [], expiresAt: 70)
        try files.append([1], head: [], expiresAt: 10)
        #expect(try File.list(scratch.path + "/feedback").map(\.bytes) == [block.count, 1])
        files.prune(now: 70)
        #expect(try File.list(scratch.path + "/feedback").count == 2)
        files.prune(now: 71)
        // The one in use stays.
        #expect(try File.list(scratch.path + "/feedback").map(\.bytes) == [1])
    }

    @Test("The log answers when the bytes are written, and says so when they cannot be")
    func thread() throws {
        let scratch = try Scratch()
        let log = try FeedbackLog()
        let directory = scratch.path + "/feedback"
        try File.makeDirectory(directory)
        try log.start(FeedbackFiles(directory: directory), anchor: ClockAnchor(tick: 1, wallMicros: 1))
        let answers = try Mailbox<Bool>(capacity: 8)
        log.enqueue(FeedbackEntry(bytes: bytes, expiresAt: .max) { _ = answers.post($0) })
        var answer: Bool?
        #expect(
            eventually {
                answer = answers.take(); return answer != nil
            })
        #expect(answer == true && log.hasRoom)
        log.stop()
        var files = FeedbackFiles(directory: directory)
        var found: [FeedbackRecord] = []
        #expect(try files.load(keepUntil: 0) { found.append($0) } == 0)
        #expect(found.count == records.count + 1)

        let broken = try FeedbackLog()
        try broken.start(
            FeedbackFiles(directory: scratch.path + "/missing"), anchor: ClockAnchor(tick: 1, wallMicros: 1))
        broken.enqueue(FeedbackEntry(bytes: bytes, expiresAt: .max) { _ = answers.post($0) })
        answer = nil
        #expect(
            eventually {
                answer = answers.take(); return answer != nil
            })
        #expect(answer == false)
        broken.stop()
        #expect(broken.failures.load(ordering: .relaxed) == 1)
    }
}
