// A promotion is in the ledger as soon as it is durable: a crash right after it forgets neither.

import Platform
import Rollout
import Testing

@testable import Control

@Suite struct PromotionLedgerTests {
    @Test("An automatic promotion is counted in the very state that its step hands to the disk")
    func promotion() throws {
        let world = try World(
            World.yaml.replacing(
                "candidates: [v2, v3]\n    weights: { v2: 20%, v3: 10% }",
                with: "candidate: v2\n    rollout: { stages: [{ weight: 50%, min_requests: 100 }, "
                    + "{ weight: 100%, min_requests: 100 }] }"))
        var isPromoted = false
        for _ in 0..<600 where !isPromoted {
            world.step {
                world.requests(0, 20)
                world.requests(1, 20)
            }
            if case .promoted = world.model.decided.phase { isPromoted = true }
        }
        #expect(isPromoted)
        #expect(world.ledger.lastState?.reports?.tallies["m"]?.promotions == 1)
    }

    @Test("A promotion whose line is in the journal and not in the state is counted by the start, once")
    func promotionOfJournal() throws {
        let files = MemoryFiles()
        let first = try CrashWorld(files)
        let before = files.bytes("/s/rollouts.json")
        try first.obey(.promote(version: "v2"), id: "promotion")
        files.put("/s/rollouts.json", before)
        for _ in 0..<2 {
            let next = try CrashWorld(files)
            #expect(next.saved.reports?.tallies["m"]?.promotions == 1)
        }
        let last = try CrashWorld(files)
        try last.obey(.pause, id: "refused")
        #expect(try CrashWorld(files).saved.reports?.tallies["m"]?.promotions == 1)
    }
}
