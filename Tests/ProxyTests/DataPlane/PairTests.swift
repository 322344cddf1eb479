// Requests of stable and their copies as pairs: either side is counted once, in one tick, by what became of
// its first attempt; what is dropped or cancelled favours nobody. Place: DataPlane over real sockets.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct PairTests {
    /// What both sides' rings remember of copies.
    private func copied(_ plane: Plane) -> (candidate: ArmCounts, stable: ArmCounts, areTogether: Bool) {
        let now = Tick(monotonicNanos: Clock.now().nanos).number
        var (ours, theirs) = (ArmCounts(), ArmCounts())
        var areTogether = true
        for number in now - min(now, 500)...now {
            let tick = Tick(number: number)
            let mine = VersionMeter.evidence(plane.data.meters(1), at: tick)?.copied ?? ArmCounts()
            let others = VersionMeter.evidence(plane.data.meters(0), at: tick)?.copied ?? ArmCounts()
            if mine.started != others.started { areTogether = false }
            ours += mine
            theirs += others
        }
        return (ours, theirs, areTogether)
    }

    /// Waits until both sides of `count` pairs have ended.
    private func ended(_ plane: Plane, _ count: UInt32) throws -> (candidate: ArmCounts, stable: ArmCounts) {
        try eventually("\(count) pairs") {
            let now = copied(plane)
            return now.candidate.completed == count && now.stable.completed == count
        }
        let now = copied(plane)
        #expect(now.candidate.started == count && now.stable.started == count && now.areTogether)
        return (now.candidate, now.stable)
    }

    @Test("Every copied request counts on either side, in one tick, with its own outcome and speed")
    func bothSides() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.answering { _ in reply(500) }
        let plane = try ShadowTests.plane(stable, shadow: candidate.address)
        for version in 0...1 {
            for meter in plane.data.meters(version) { meter.setThreshold(0, micros: .max) }
        }
        for _ in 0..<4 { #expect(try plane.ask().text == "stable") }
        let (ours, theirs) = try ended(plane, 4)
        #expect(ours.failed == 4 && ours.fast0 == 0 && ours.unknown == 0)
        #expect(theirs.failed == 0 && theirs.fast0 == 4 && theirs.unknown == 0)
        #expect(plane.counts(1).started == 0, "a copy is nobody's request")
    }

    @Test(
        "A copy that is not begun is no pair; one that is given up before its primary ends counts nowhere"
    )
    func dropped() throws { try calmly(from: .millis(300), dropsAged) }

    /// False: the first copy was given up before the second request came.
    private func dropsAged(_ age: Interval) throws -> Bool {
        let gate = try Gate()
        let stable = try Origin { peer, _ in
            while let request = try peer.request() {
                if request.start.contains("/slow") { try gate.pass() }
                try peer.send(ok("stable"))
            }
        }
        let candidate = try Origin { peer, _ in
            _ = try peer.request()
            peer.hold()
        }
        let plane = try ShadowTests.plane(stable, shadow: candidate.address) { model in
            model.shadow?.inFlightMax = 1
            model.shadow?.ageMax = age
        }
        defer { gate.open() }
        let slow = try plane.connect()
        let begin = Clock.now()
        try slow.send(get("/slow"))
        try candidate.seen.wait(for: 1)
        #expect(try plane.ask().text == "stable")
        guard Clock.now() - begin < age else { return false }
        #expect(plane.drops(1, .inFlight) == 1)
        try eventually("the copy's age") { plane.drops(1, .aged) == 1 }
        gate.open()
        #expect(try slow.response().text == "stable")
        let (ours, theirs) = try ended(plane, 1)
        #expect(ours.excluded == 1 && theirs.excluded == 1)
        return true
    }

    @Test(
        "A copy given up after its primary has ended is unknown, or a failure if its time was up"
    )
    func aged() throws {
        for isFailure in [false, true] {
            // Stable has the same limit, and is to answer before the copy is given up.
            try calmly(from: .millis(100)) { limit in
                let stable = try Origin.named("stable")
                let candidate = try Origin { peer, _ in
                    _ = try peer.request()
                    peer.hold()
                }
                let plane = try ShadowTests.plane(stable, shadow: candidate.address) { model in
                    model.shadow?.ageMax = limit + limit + limit
                    model.timeouts.firstByte = isFailure ? limit : .seconds(3_600)
                }
                let begin = Clock.now()
                let answer = try plane.ask()
                guard Clock.now() - begin < limit else { return false }
                #expect(answer.text == "stable")
                let (ours, theirs) = try ended(plane, 1)
                #expect(theirs.failed == 0 && theirs.excluded == 0 && theirs.unknown == 0)
                #expect(ours.unknown == (isFailure ? 0 : 1) && ours.failed == (isFailure ? 1 : 0))
                return true
            }
        }
    }

    @Test("A client that leaves takes both sides out, or leaves its own unknown where the copy has counted")
    func cancelled() throws {
        for isCopyFirst in [true, false] {
            let stable = try Origin { peer, _ in
                _ = try peer.request()
                peer.hold()
            }
            let candidate = try Origin { peer, _ in
                _ = try peer.request()
                if isCopyFirst { try peer.send(ok()) }
                peer.hold()
            }
            let plane = try ShadowTests.plane(stable, shadow: candidate.address)
            let client = try plane.connect()
            try client.send(get())
            try stable.seen.wait(for: 1)
            try candidate.seen.wait(for: 1)
            if isCopyFirst { try eventually("the copy") { copied(plane).candidate.completed == 1 } }
            client.reset()
            let (ours, theirs) = try ended(plane, 1)
            #expect(ours.excluded == (isCopyFirst ? 0 : 1) && ours.failed == 0 && ours.unknown == 0)
            #expect(theirs.unknown == (isCopyFirst ? 1 : 0) && theirs.excluded == (isCopyFirst ? 0 : 1))
        }
    }

    @Test("A pair compares first attempts: what a retry mends is stable's failure all the same")
    func retried() throws {
        let stable = try Origin { peer, index in
            while try peer.request() != nil {
                if index == 0 { return peer.reset() }
                try peer.send(ok("stable"))
            }
        }
        let candidate = try Origin.named("candidate")
        let plane = try ShadowTests.plane(stable, shadow: candidate.address)
        #expect(try plane.ask().text == "stable")
        let (ours, theirs) = try ended(plane, 1)
        #expect(theirs.failed == 1 && ours.failed == 0)
        #expect(plane.counts(0)[.success] == 1)
    }

    @Test("A key that always fails is one failure on either side")
    func keys() throws {
        let broken = try Origin.answering { _ in reply(500) }
        let candidate = try Origin.answering { _ in reply(500) }
        let plane = try ShadowTests.plane(broken, shadow: candidate.address) { model in
            model.stickyKeys = [.header("x-user")]
            model.versions[0].ejection.consecutiveFailures = 0
        }
        for _ in 0..<3 { #expect(try plane.ask(get("/", "x-user: ann")).status == 500) }
        #expect(try plane.ask(get("/", "x-user: bob")).status == 500)
        let (ours, theirs) = try ended(plane, 4)
        #expect(ours.failed == 2 && theirs.failed == 2)
        #expect(ours.excluded == 2 && theirs.excluded == 2)
    }

    @Test("A version that has users of its own, and requests that a cohort pins, make no pairs")
    func noPairs() throws {
        let stable = try Origin.named("stable")
        let candidate = try Origin.named("candidate")
        let plane = try ShadowTests.plane(stable, shadow: candidate.address) { model in
            model.versions[0].weightPPM = 999_999
            model.versions[1].weightPPM = 1
        }
        for _ in 0..<3 { _ = try plane.ask() }
        try eventually("copies") { plane.counts(1).shadowOutcomes.reduce(0, +) == 3 }
        #expect(copied(plane).stable.started == 0 && copied(plane).candidate.started == 0)
    }
}
