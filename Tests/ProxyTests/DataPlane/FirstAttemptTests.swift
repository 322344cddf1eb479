// What counts for a version: the first attempt that was really made at one of its endpoints, the same event
// for stable and for a candidate, whatever is done for the user afterwards; and what was never sent.
// Place: DataPlane over real sockets. Source: design.md, section 6; Core+Finish.swift.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct FirstAttemptTests {
    /// A plane in which version `asked` has all the weight: 0 is stable, 1 a candidate.
    private static func plane(
        _ asked: Int, _ addresses: [SocketAddress], other: Origin,
        _ change: (inout ModelPlan) -> Void = { _ in }
    ) throws -> Plane {
        var model = ModelPlan.trial([
            .version(0, "stable", asked == 0 ? 1_000_000 : 0, asked == 0 ? addresses : [other.address]),
            .version(1, "candidate", asked == 0 ? 0 : 1_000_000, asked == 0 ? [other.address] : addresses),
        ])
        for i in 0...1 { model.versions[i].ejection.consecutiveFailures = 0 }
        change(&model)
        return try Plane([model])
    }

    /// What the rings remember of a version's drawn requests.
    private static func evidence(_ plane: Plane, _ version: Int) -> ArmCounts {
        try? plane.settle()
        let now = Tick(monotonicNanos: Clock.now().nanos).number
        var sum = ArmCounts()
        for number in now - min(now, 500)...now {
            let bucket = VersionMeter.evidence(plane.data.meters(version), at: Tick(number: number))
            if let bucket { sum += bucket.randomised }
        }
        return sum
    }

    /// Resets every second request of a connection.
    private static func everySecond() throws -> Origin {
        try Origin { peer, _ in
            guard let request = try peer.request() else { return }
            try peer.send(ok(request.method))
            _ = try peer.request()
            peer.reset()
        }
    }

    @Test("A retry mends the request and not the evidence, in either arm", arguments: [0, 1])
    func retried(_ asked: Int) throws {
        let (origin, other) = try (Self.everySecond(), Origin.named("other"))
        let plane = try Self.plane(asked, [origin.address], other: other) { $0.shield = false }
        let client = try plane.connect()
        for _ in 0..<3 {
            try client.send(get())
            #expect(try client.response().text == "GET")
        }
        // Answered, reset and then answered on a connection of its own, reset and answered.
        let evidence = Self.evidence(plane, asked)
        #expect(evidence.started == 3 && evidence.completed == 3 && evidence.failed == 2)
        let counts = plane.counts(asked)
        #expect(counts[.success] == 3 && counts.failed == 0)
        #expect(counts.retries == 2 && counts.mended == 2 && counts.failedFirst == 2)
        let records = try plane.records(3)
        #expect(records.map(\.firstAttempt) == [.success, .reset, .reset])
        #expect(records.allSatisfy { $0.outcome == .success && $0.status == 200 })
    }

    @Test("A shielded failure is evidence and outcome of the candidate, and mended by nobody")
    func shielded() throws {
        let (origin, other) = try (Self.everySecond(), Origin.named("other"))
        let plane = try Self.plane(1, [origin.address], other: other)
        let client = try plane.connect()
        for text in ["GET", "other"] {
            try client.send(get())
            #expect(try client.response().text == text)
        }
        #expect(Self.evidence(plane, 1).failed == 1)
        let counts = plane.counts(1)
        #expect(counts[.reset] == 1 && counts.shielded == 1 && counts.mended == 0)
        #expect(try plane.records(2)[1].firstAttempt == .reset)
    }

    @Test("A later attempt that fails as well says nothing twice", arguments: [0, 1])
    func failedTwice(_ asked: Int) throws {
        let resetting = try Origin { peer, _ in
            _ = try peer.request()
            peer.reset()
        }
        let other = try Origin.named("other")
        let plane = try Self.plane(asked, [resetting.address], other: other) { $0.shield = false }
        #expect(try plane.ask().status == 502)
        let evidence = Self.evidence(plane, asked)
        #expect(evidence.completed == 1 && evidence.failed == 1)
        #expect(plane.counts(asked)[.reset] == 1 && plane.counts(asked).mended == 0)
    }

    @Test(
        "A dead replica says nothing of its version while another one answers, in either arm",
        arguments: [0, 1])
    func deadReplica(_ asked: Int) throws {
        let alive = try Origin.named("alive")
        let dead = try RefusingAddress()
        let other = try Origin.named("other")
        let plane = try Self.plane(asked, [dead.address, alive.address], other: other)
        let client = try plane.connect()
        for i in 0..<40 {
            try client.send(i % 2 == 0 ? get() : post("x"))
            #expect(try client.response().text == "alive")
        }
        let evidence = Self.evidence(plane, asked)
        #expect(evidence.completed == 40 && evidence.failed == 0 && evidence.unwritten == 0)
        let counts = plane.counts(asked)
        #expect(counts.retries > 5 && counts.shielded == 0 && counts[.success] == 40)
    }

    @Test(
        "Where nothing is repeated a dead replica that is ejected says nothing, and one left in service does",
        arguments: [0, 1], [0, 3])
    func deadReplicaUnmended(_ asked: Int, _ ejectedAfter: Int) throws {
        let alive = try Origin.named("alive")
        let dead = try RefusingAddress()
        let other = try Origin.named("other")
        let plane = try Self.plane(asked, [dead.address, alive.address], other: other) { model in
            model.retries.attemptsMax = 0
            model.shield = false
            model.versions[asked].ejection = EjectionPlan(
                consecutiveFailures: ejectedAfter, time: .seconds(60))
        }
        let client = try plane.connect()
        var failed: UInt32 = 0
        for _ in 0..<40 {
            try client.send(get())
            if try client.response().status != 200 { failed += 1 }
        }
        #expect(ejectedAfter == 0 ? failed > 5 : failed == 3)
        let evidence = Self.evidence(plane, asked)
        #expect(evidence.failed == (ejectedAfter == 0 ? failed : 0))
        #expect(evidence.excluded == (ejectedAfter == 0 ? 0 : failed) && evidence.unsent == 0)
        #expect(plane.counts(asked)[.connectFailure] == UInt64(failed))
    }

    /// Which endpoints of stable and of the candidate answer 500 to everything, and what of that is evidence.
    struct Sickness: Sendable {
        var isStableSick: [Bool]
        var isCandidateSick: [Bool]
        var ejectedAfter = 5
        var isTelling: Bool
    }

    @Test(
        "What a sick replica answers says nothing where the other version has one too, and all where not",
        arguments: [
            Sickness(isStableSick: [true, false], isCandidateSick: [true, false], isTelling: false),
            Sickness(isStableSick: [false, false], isCandidateSick: [true, false], isTelling: true),
            Sickness(isStableSick: [true, false], isCandidateSick: [true, true], isTelling: true),
            Sickness(
                isStableSick: [true, false], isCandidateSick: [true, false], ejectedAfter: 0,
                isTelling: true),
        ])
    func sickReplica(_ sickness: Sickness) throws {
        let (sick, well) = try (Origin.answering { _ in reply(500, "sick") }, Origin.named("well"))
        let again = try (Origin.answering { _ in reply(500, "sick") }, Origin.named("well"))
        func addresses(_ isSick: [Bool]) -> [SocketAddress] {
            [(isSick[0] ? sick : well).address, (isSick[1] ? again.0 : again.1).address]
        }
        var model = ModelPlan.trial([
            .version(0, "stable", 500_000, addresses(sickness.isStableSick)),
            .version(1, "candidate", 500_000, addresses(sickness.isCandidateSick)),
        ])
        model.shield = false
        // An ejection is over at once: how often a sick one is asked does not depend on time.
        let moment = Interval(nanos: 1)
        for i in 0...1 {
            model.versions[i].ejection = EjectionPlan(
                consecutiveFailures: sickness.ejectedAfter, time: moment, timeMax: moment)
        }
        let plane = try Plane([model])
        let client = try plane.connect()
        for _ in 0..<400 {
            try client.send(get())
            _ = try client.response()
        }
        let failed = plane.counts(1)[.upstreamError]
        #expect(failed > 50)
        let evidence = Self.evidence(plane, 1)
        // Until each version has met its sick one, once or some times, there is nothing to leave out.
        if sickness.isTelling {
            #expect(UInt64(evidence.failed) + 20 >= failed)
        } else {
            #expect(evidence.failed <= 20)
        }
        #expect(UInt64(evidence.failed) + UInt64(evidence.excluded) == failed)
    }

    @Test("A version none of whose endpoints can be reached fails, in either arm", arguments: [0, 1])
    func deadVersion(_ asked: Int) throws {
        let dead = try (0..<2).map { _ in try RefusingAddress() }
        let other = try Origin.named("other")
        let plane = try Self.plane(asked, dead.map(\.address), other: other)
        let client = try plane.connect()
        for _ in 0..<10 {
            try client.send(post("x"))
            #expect(try client.response().status == (asked == 0 ? 502 : 200))
        }
        let evidence = Self.evidence(plane, asked)
        #expect(evidence.failed == 10 && evidence.unsent == 0 && evidence.unwritten == 0)
        #expect(plane.counts(asked)[.connectFailure] == 10)
        #expect(plane.counts(asked).shielded == (asked == 0 ? 0 : 10))
    }

    @Test("What is not sent for want of a usable endpoint is counted as that, and blames nobody")
    func noEndpoint() throws {
        let origin = try Origin.named("candidate")
        let other = try Origin.named("stable")
        let plane = try Self.plane(1, [origin.address], other: other)
        plane.data.setHealthy(16, false)
        for _ in 0..<3 { #expect(try plane.ask().text == "stable") }
        let evidence = Self.evidence(plane, 1)
        #expect(evidence.unsent == 3 && evidence.overloaded == 0)
        #expect(evidence.completed == 3 && evidence.excluded == 3 && evidence.failed == 0)
        #expect(plane.counts(1)[.noEndpoint] == 3 && plane.counts(1).counted == 0)
    }

    @Test("What finds no place is counted as overloaded, at a candidate and at stable", arguments: [0, 1])
    func overloaded(_ asked: Int) throws {
        let gate = try Gate()
        let origin = try Origin.answering { _ in
            try? gate.pass()
            return ok("slow")
        }
        let other = try Origin.named("other")
        let plane = try Self.plane(asked, [origin.address], other: other) { model in
            model.versions[asked].inFlightMax = 1
            model.versions[asked].queueMax = 0
        }
        let first = try plane.connect()
        try first.send(get())
        try origin.seen.wait(for: 1)
        #expect(try plane.ask().status == (asked == 0 ? 503 : 200))
        gate.open()
        #expect(try first.response().text == "slow")
        let evidence = Self.evidence(plane, asked)
        #expect(evidence.unsent == 1 && evidence.overloaded == 1 && evidence.failed == 0)
        #expect(plane.counts(asked)[.overloaded] == 1 && plane.counts(asked)[.success] == 1)
    }

    @Test("A request that waits in line is unwritten until it is sent, and its latency begins then")
    func waiting() throws {
        try calmly(from: .millis(750), Self.waits)
    }

    /// False: the second request took longer than the threshold.
    private static func waits(_ half: Interval) throws -> Bool {
        let gate = try Gate()
        let origin = try Origin { peer, _ in
            while let request = try peer.request() {
                if request.target == "/0" { try gate.pass(within: .seconds(600)) }
                try peer.send(ok())
            }
        }
        defer { gate.open() }
        let other = try Origin.named("other")
        let plane = try Self.plane(0, [origin.address], other: other) {
            $0.versions[0].inFlightMax = 1
            $0.versions[0].queueMax = 4
            $0.versions[0].queueTimeout = .seconds(600)
            $0.timeouts.firstByte = .seconds(600)
        }
        for meter in plane.data.meters(0) { meter.setThreshold(0, micros: UInt32(half.micros)) }
        let first = try plane.connect()
        try first.send(get("/0"))
        try origin.seen.wait(for: 1)
        let second = try plane.connect()
        try second.send(get("/1"))
        try eventually("the wait in line") { Self.evidence(plane, 0).unwritten == 1 }
        // Time that passes is what this is about.
        let since = Clock.now()
        try eventually("twice the threshold", within: .forever) { Clock.now() - since > half + half }
        #expect(Self.evidence(plane, 0).silent == 1)
        let opened = Clock.now()
        gate.open()
        _ = try (first.response(), second.response())
        guard Clock.now() - opened < half else { return false }
        let evidence = Self.evidence(plane, 0)
        #expect(evidence.completed == 2 && evidence.unwritten == 0)
        #expect(evidence.fast0 == 1, "the first one took as long as the second one waited")
        return true
    }

    @Test("Opening a connection has a histogram of its own, and is in no time of a request")
    func connecting() throws {
        let origin = try Origin { peer, _ in
            _ = try peer.request()
            try peer.send(ok())
        }
        let plane = try Plane(to: origin)
        for _ in 0..<4 { #expect(try plane.ask().status == 200) }
        try plane.settle()
        let times = VersionMeter.sum(plane.data.meters(0))
        #expect(times[.connect].count == 4 && times[.total].count == 4)
    }
}
