// Laws of posted feedback in the control loop, in virtual time: whose it is, what becomes of it, and
// what a restart knows.

import Metrics
import Payload
import Platform
import Proxy
import Rollout
import Synchronization
import Testing

@testable import Control

/// A log in memory.
final class FakeFeedbackStore: FeedbackStore {
    private struct State {
        var bytes: [UInt8] = []
        var hasRoom = true
        var isWritable = true
    }

    private let state = Mutex(State())

    var hasRoom: Bool { state.withLock { $0.hasRoom } }
    func set(hasRoom: Bool) { state.withLock { $0.hasRoom = hasRoom } }
    func set(isWritable: Bool) { state.withLock { $0.isWritable = isWritable } }

    func enqueue(_ entry: FeedbackEntry) {
        let isWritten = state.withLock {
            if $0.isWritable { $0.bytes += entry.bytes }
            return $0.isWritable
        }
        entry.done?(isWritten)
    }

    var records: [FeedbackRecord] {
        var records: [FeedbackRecord] = []
        _ = FeedbackRecord.read(state.withLock { $0.bytes }) { records.append($0) }
        return records
    }
}

extension World {
    /// The id of a request that was assigned `ago` earlier.
    func id(
        _ version: String, ago: Interval = .zero, weight: UInt32, isPinned: Bool = false, salt: UInt16,
        key: (UInt64, UInt64) = (1, 2)
    ) -> String {
        ExchangeID.text(
            version: ExchangeID.versionHash(model: "m", version: version), weightPPM: weight,
            startMillis: (wall + (now.nanos - ago.nanos) / 1_000) / 1_000, isPinned: isPinned, salt: salt,
            key: key)
    }

    /// Goes on where another process ended, `elapsed` microseconds of the wall clock later, by a monotonic
    /// clock of its own.
    func restart(after other: World, monotonic: Instant, elapsed: UInt64) {
        wall = other.wall + other.now.nanos / 1_000 + elapsed - monotonic.nanos / 1_000
        now = monotonic
        loop.feedback.clock = ClockMap()
        step()
    }

    /// Posts lines; the answer's body.
    @discardableResult
    func post(_ lines: [String]) throws -> (status: Int, body: JSON) {
        let batch = try FeedbackBatch(
            Array(lines.joined(separator: "\n").utf8), isLines: true, key: (1, 2))
        let answers = Mutex<[AdminResponse]>([])
        loop.now = now
        loop.wallMicros = wall + now.nanos / 1_000
        loop.accept(batch) { answer in answers.withLock { $0.append(answer) } }
        let all = answers.withLock { $0 }
        #expect(all.count == 1)
        let answer = try #require(all.first)
        return (answer.status, try JSON(parsing: answer.body))
    }

    func line(_ id: String, _ metric: String = "clicks", _ value: Double = 1, time: UInt64? = nil) -> String {
        let time = time.map { ",\"time\":\($0)" } ?? ""
        return "{\"id\":\"\(id)\",\"metric\":\"\(metric)\",\"value\":\(value)\(time)}"
    }
}

@Suite struct ControlLoopFeedbackTests {
    static let yaml = World.yaml.replacing(
        "state_dir:", with: "feedback: { window: 1s, grace: 0s, remembered_max: 1000 }\nstate_dir:")

    private func world(_ text: String = yaml) throws -> (World, FakeFeedbackStore) {
        let store = FakeFeedbackStore()
        return (try World(text, store: store), store)
    }

    @Test("Each item gets its answer: accepted, duplicate, late, unknown, forged, malformed, future")
    func results() throws {
        let (world, _) = try world()
        world.step(100)
        let id = world.id("v2", weight: 200_000, salt: 1)
        let (status, body) = try world.post([
            world.line(id), world.line(id, "clicks", 0), world.line(id, "buys", 3),
            world.line(world.id("v2", ago: .seconds(3), weight: 200_000, salt: 2)),
            world.line(
                world.id("v2", ago: .millis(500), weight: 200_000, salt: 3),
                time: (world.wall + world.now.nanos / 1_000) / 1_000 + 700),
            world.line(world.id("v9", weight: 200_000, salt: 4)),
            world.line(world.id("v2", weight: 200_000, salt: 5, key: (1, 3))),
            "{",
            world.line(
                world.id("v2", weight: 200_000, salt: 6),
                time: (world.wall + world.now.nanos / 1_000) / 1_000 + 70_000),
        ])
        #expect(status == 200)
        #expect(body["accepted"]?.integer == 2)
        #expect(body["duplicate"]?.integer == 1)
        #expect(body["late"]?.integer == 2)
        #expect(body["unknown_version"]?.integer == 1)
        #expect(body["forged"]?.integer == 1)
        #expect(body["malformed"]?.integer == 1)
        #expect(body["future"]?.integer == 1)
        #expect(body["durable"] == true)
        #expect(body["errors"]?.elements.map { $0["index"]?.integer } == [3, 4, 5, 6, 7, 8])
        let posted = try #require(world.model.values.metrics["clicks"]?.posted)
        #expect(posted.map(\.count) == [0, 1, 0])
        #expect(world.model.values.metrics["buys"]?.posted[1].sum == 3)
        #expect(world.loop.feedback.counts.values.reduce(0, +) == 9)
    }

    @Test("Feedback meets the requests of its tick: the mean per request counts those without as 0")
    func joins() throws {
        let (world, _) = try world(Self.yaml.replacing("max: 1000", with: "max: 10000"))
        world.loop.models[0].values.want("feedback:clicks@1000")
        for round in 0..<30 as Range<UInt16> {
            world.requests(0, 70)
            world.requests(1, 20)
            world.requests(2, 10)
            var lines: [String] = []
            for salt in 0..<35 as Range<UInt16> {
                lines.append(world.line(world.id("v1", weight: 700_000, salt: round * 100 + salt)))
            }
            for salt in 0..<5 as Range<UInt16> {
                lines.append(world.line(world.id("v2", weight: 200_000, salt: round * 100 + salt)))
                lines.append(
                    world.line(world.id("v2", weight: 200_000, isPinned: true, salt: round * 100 + 50 + salt))
                )
            }
            try world.post(lines)
            world.step()
        }
        world.step(100)
        let ticks = world.loop.models[0].values.ticks(
            "feedback:clicks@1000", candidate: 1, stable: 0, from: Tick(number: 0), now: world.tick)
        let ours = ticks.flatMap(\.candidate.values)
        let theirs = ticks.flatMap(\.stable.values)
        #expect(theirs.count > 1_500 && ours.count * 70 == theirs.count * 20)
        #expect(ours.reduce(0, +) * 4 == Double(ours.count))
        #expect(theirs.reduce(0, +) * 2 == Double(theirs.count))
        let matured = try #require(world.model.values.metrics["clicks"]?.windows.first?.matured)
        #expect(matured[1].mean == 0.25 && matured[0].mean == 0.5)
    }

    @Test("Without room in the log, or beyond what may be remembered, the answer is 503 and nothing counts")
    func backPressure() throws {
        let (world, store) = try world()
        world.step(100)
        store.set(hasRoom: false)
        let busy = try world.post([world.line(world.id("v2", weight: 200_000, salt: 1))])
        #expect(busy.status == 503 && world.model.values.metrics.isEmpty)
        store.set(hasRoom: true)
        let lines = (0..<1_005 as Range<UInt16>).map {
            world.line(world.id("v1", weight: 700_000, salt: $0))
        }
        let full = try world.post(lines)
        #expect(full.status == 503)
        #expect(full.body["accepted"]?.integer == 1_000 && full.body["full"]?.integer == 5)
        // Room comes back when the window is over.
        world.step(300)
        #expect(try world.post([world.line(world.id("v1", weight: 700_000, salt: 9_000))]).status == 200)
        store.set(isWritable: false)
        let blind = try world.post([world.line(world.id("v1", weight: 700_000, salt: 9_001))])
        #expect(blind.status == 200 && blind.body["durable"] == false)
    }

    @Test("A model keeps so many metrics that no rule names, and refuses more")
    func metricsBound() throws {
        let (world, _) = try world()
        world.step(100)
        let id = world.id("v2", weight: 200_000, salt: 1)
        let answer = try world.post((0..<20).map { world.line(id, "m\($0)") })
        #expect(answer.body["accepted"]?.integer == Int64(FeedbackRegistry.freeMetricsMax))
        #expect(answer.body["full"]?.integer == 4)
        // Labels stay bounded: a refused metric has no name of its own.
        #expect(
            Set(world.loop.feedback.counts.keys.map(\.metric)).count == FeedbackRegistry.freeMetricsMax + 1)
    }

    @Test("A restart knows the ids that counted and the requests that started, also under another clock")
    func replay() throws {
        for isRebooted in [false, true] {
            let text = World.yaml.replacing(
                "state_dir:", with: "feedback: { window: 1m, grace: 0s }\nstate_dir:")
            let (world, store) = try world(text)
            let name = "feedback:clicks@60000"
            world.loop.models[0].values.want(name)
            world.step(50) {
                world.requests(0, 70)
                world.requests(1, 20)
                world.requests(2, 10)
            }
            let old = world.id("v2", ago: .seconds(3), weight: 200_000, salt: 1)
            let lost = world.id("v2", ago: .seconds(2), weight: 200_000, salt: 2)
            try world.post([
                world.line(old), world.line(world.id("v1", ago: .seconds(3), weight: 700_000, salt: 1)),
            ])
            world.step(20)

            // Ten seconds later by the wall clock; the monotonic clock of another boot began elsewhere.
            let next = try World(text)
            let jump: UInt64 = isRebooted ? 400_000_000_000 : 10_000_000_000
            next.restart(after: world, monotonic: world.now + Interval(nanos: jump), elapsed: 10_000_000)
            let anchor = ClockAnchor(
                tick: world.tick.number, wallMicros: world.wall + world.now.nanos / 1_000)
            next.loop.models[0].values.want(name)
            next.loop.replayFeedback([.clock(anchor)] + store.records)
            let again = try next.post([world.line(old), world.line(lost)])
            #expect(again.body["duplicate"]?.integer == 1 && again.body["accepted"]?.integer == 1)
            next.step(700)
            let ticks = next.loop.models[0].values.ticks(
                name, candidate: 1, stable: 0, from: Tick(number: 0), now: next.tick)
            #expect(ticks.flatMap(\.candidate.values).reduce(0, +) == 2)
            #expect(ticks.flatMap(\.stable.values).reduce(0, +) == 1)
            #expect(ticks.flatMap(\.candidate.values).count >= 800)
        }
    }
}
