// Crashes at every call of every durable operation: what was acknowledged is known to the next start, and
// what was not is there whole or not at all. A file layer in memory stops the process, tears the write it
// stops in, forgets what was not synced, fails single calls, and fills up.

import Platform
import Rollout
import Testing

@testable import Control

/// How many calls a whole life takes.
private func callsOfALife(_ capacity: Int? = nil) throws -> Int {
    let files = MemoryFiles()
    try CrashWorld(files).play()
    return files.calls
}

/// A start that must succeed, and what it knows.
private func restart(_ files: MemoryFiles) throws -> CrashWorld { try CrashWorld(files) }

@Suite struct StateCrashTests {
    @Test(
        "Stopped at any call, the next start knows every acknowledged cut and verb, and half of none",
        arguments: [(Crash.kill, 0.0), (.kill, 0.5), (.power, 1.0)])
    func everyCall(_ crash: Crash, _ tear: Double) throws {
        let calls = try callsOfALife()
        #expect(calls > 100)
        for n in 1...calls {
            let files = MemoryFiles()
            (files.diesAt, files.tear) = (n, tear)
            let first = try? CrashWorld(files)
            try first?.play()
            let next = files.after(crash)
            let second = try restart(next)
            let found = second.recovery.state.models["m"]?.rollout
            if let first {
                #expect(first.possible.contains(found), "call \(n), \(files.log.suffix(2))")
                #expect(second.recovery.loss == nil, "call \(n): \(second.recovery.loss ?? "")")
            }
            let audit = try CrashWorld.audit(next)
            #expect(audit.isIntact && audit.state.isWhole, "call \(n): \(audit.findings) \(audit.state)")
            // Whatever it found, it goes on: the rest of the script leaves what it leaves without a crash.
            try second.obey(.rollback(version: nil), id: "last")
            let third = try restart(next.after(crash))
            #expect(third.recovery.state.models["m"]?.rollout == second.rollout, "call \(n)")
            #expect(third.recovery.state.answered.contains { $0.requestID == "last" })
        }
    }

    @Test("Stopped again at any call of the start that recovers, the state is the same")
    func startAgain() throws {
        let calls = try callsOfALife()
        for n in stride(from: 3, through: calls, by: 23) {
            let files = MemoryFiles()
            files.diesAt = n
            let first = try? CrashWorld(files)
            try first?.play()
            for m in 1...24 {
                let again = files.after(.kill)
                again.diesAt = m
                _ = try? CrashWorld(again)
                let last = try restart(again.after(.kill))
                let found = last.recovery.state.models["m"]?.rollout
                let allowed = first.map { Array($0.possible) } ?? [nil]
                #expect(allowed.contains(found) || first == nil, "call \(n), then \(m)")
            }
        }
    }

    @Test("One call that fails stops nothing for good: the next second makes up for it", arguments: [0, 1])
    func everyFailure(_ which: Int) throws {
        let calls = try callsOfALife()
        for n in 1...calls {
            let files = MemoryFiles()
            guard let world = try? CrashWorld(files) else { continue }
            files.failsAt = n
            try world.play()
            world.retry()
            let next = try restart(files.after(which == 0 ? .kill : .power))
            let found = next.recovery.state.models["m"]?.rollout
            #expect(found == world.rollout, "call \(n)")
            #expect(try CrashWorld.audit(files.after(.kill)).isIntact, "call \(n)")
        }
    }

    @Test("With no byte free every cut is durable, raises are refused, and a start knows all of it")
    func fullDisk() throws {
        let files = MemoryFiles()
        let world = try CrashWorld(files)
        #expect(try world.obey(.rollback(version: "v2"), id: "before"))
        files.capacity = files.used
        #expect(try world.obey(.rollback(version: "v3"), id: "cut"))
        #expect(world.reports.contains { if case .reserve(.inUse) = $0 { true } else { false } })
        #expect(try !world.obey(.weights(["v2": 500_000]), id: "raise"))
        for i in 0..<100 {
            _ = world.post([JournalEvent(at: 0, .health, model: "m", reason: "note \(i)")], state: nil)
            world.retry()
        }
        #expect(try world.obey(.rollback(version: nil), id: "again"))
        for crash in Crash.allCases {
            let next = try restart(files.after(crash))
            #expect(next.recovery.state.models["m"]?.rollout == world.rollout)
            #expect(Set(next.rollout?.quarantined.keys.map { $0 } ?? []) == ["v2", "v3"])
        }
        files.capacity = .max
        world.retry()
        #expect(world.reports.last { if case .reserve = $0 { true } else { false } } == .reserve(.filled))
        #expect(try world.obey(.weights(["v2": 500_000]), id: "raise again"))
        let audit = try CrashWorld.audit(files.after(.power))
        #expect(audit.isIntact && audit.state.isWhole)
        let all = files.names.filter { $0.key.hasSuffix(".jsonl") }.values.flatMap(\.bytes)
        let text = String(decoding: all, as: UTF8.self)
        #expect(text.contains("the disk was full") && text.contains("note 99"))
    }

    @Test("Killed at any call with a full disk, the next start on the full disk knows every acknowledged cut")
    func fullDiskKilled() throws {
        for n in 1...60 {
            let files = MemoryFiles()
            let world = try CrashWorld(files)
            try world.obey(.rollback(version: "v2"), id: "before")
            files.capacity = files.used
            (files.diesAt, files.tear) = (files.calls + n, 0.5)
            try world.obey(.unquarantine(version: "v2"), id: "refused")
            try world.obey(.rollback(version: "v3"), id: "cut")
            for crash in Crash.allCases {
                let next = try restart(files.after(crash))
                #expect(
                    world.possible.contains(next.recovery.state.models["m"]?.rollout),
                    "call \(n), \(crash), \(files.log.suffix(2))")
            }
        }
    }
}
