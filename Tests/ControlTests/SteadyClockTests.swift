// Durations of rollouts beside a wall clock that is set: in one process, over a restart, over a reboot.
// What is left of a cool-down is what the operator's verb says it is. Also here: the clock anchors, as
// values.

import Metrics
import Payload
import Platform
import Rollout
import Testing

@testable import Control
@testable import Sidecar

private let day: UInt64 = 86_400_000_000
private let yaml = World.yaml + "\n    cool_down: 10m\n"

@Suite struct SteadyClockTests {
    /// A world in which an operator has cut.
    private func cut(boot: String? = "boot-1") throws -> World {
        let world = try World(yaml, boot: boot)
        world.step(3)
        world.loop.obey(AdminVerb(.rollback, model: "m"), actor: "test") { _ in }
        world.step()
        return world
    }

    /// Seconds for which the controller says that it still cools down; 0 when it does not.
    private func left(_ world: World) throws -> Int {
        let replies = Replies()
        world.loop.obey(AdminVerb(.resume, model: "m"), actor: "test", reply: replies.take)
        world.settle()
        let answer = try replies.json()["answer"]?.string ?? ""
        guard answer.contains("cooling down") else { return 0 }
        return Int(answer.split(separator: " ").first { Int($0) != nil } ?? "") ?? -1
    }

    @Test(
        "A wall clock that is set back or forward neither stretches nor ends a cool-down",
        arguments: [true, false])
    func inOneProcess(isBack: Bool) throws {
        let world = try cut()
        #expect(try (599...601).contains(left(world)))
        world.wall = isBack ? world.wall - day : world.wall + 365 * day
        world.step()
        #expect(try (598...601).contains(left(world)))
        let until = try #require(
            StatusPage(snapshot: world.loop.snapshot, process: process(world)) { _ in VersionCounts() }
                .json["models"]?[0]?["cool_down_until"]?.string.flatMap(Timestamp.wallMicros))
        let wall = world.wall + world.now.nanos / 1_000
        #expect(until > wall + 590_000_000 && until <= wall + 600_000_000)
        world.now = world.now + .seconds(595)
        world.step()
        #expect(try (1...6).contains(left(world)))
        world.now = world.now + .seconds(6)
        world.step()
        #expect(try left(world) == 0)
    }

    private func process(_ world: World) -> StatusPage.Process {
        StatusPage.Process(
            state: "running", startedAtMicros: 0, now: world.wall, pid: 1, stateDir: "/s", listeners: [],
            cores: 1)
    }

    @Test(
        "A restart goes on with what is left by the machine's own clock, a reboot with what was saved",
        arguments: [
            // The wall clock that the next process finds, how much later it starts, its boot, what is left.
            (0, 60, "boot-1", 539...541), (Int64(-86_400_000_000), 60, "boot-1", 539...541),
            (Int64(365 * 86_400_000_000), 60, "boot-1", 539...541), (0, 700, "boot-1", 0...0),
            (0, 60, "boot-2", 599...601), (Int64(365 * 86_400_000_000), 60, "boot-2", 599...601),
            (Int64(-86_400_000_000), 60, "boot-2", 599...601), (0, 60, nil, 599...601),
        ] as [(Int64, UInt64, String?, ClosedRange<Int>)])
    func overRestarts(wall: Int64, later: UInt64, boot: String?, expected: ClosedRange<Int>) throws {
        let first = try cut()
        let bytes = try #require(first.ledger.lastState).encoded()
        let saved = try SavedState.decoded(bytes, path: "rollouts.json")
        // Another boot begins to count anew.
        let now = boot == "boot-1" ? first.now + .seconds(later) : Instant(nanos: 5_000_000_000)
        let second = try World(yaml, saved: saved, now: now, boot: boot, wall: wall)
        #expect(second.model.decided.quarantined["v2"] != nil)
        let found = try left(second)
        #expect(expected.contains(found), "\(found)")
    }

    @Test("While it cools down, what is over of it is saved; a reboot goes on from there")
    func savedAsItGoes() throws {
        let first = try cut()
        first.step(3_000)
        let saved = try #require(first.ledger.lastState)
        let second = try World(yaml, saved: saved, now: Instant(nanos: 1_000_000_000), boot: "boot-2")
        let found = try left(second)
        #expect((299...311).contains(found), "\(found)")
        // Afterwards, nothing is written for the clock alone.
        first.now = first.now + .seconds(400)
        first.step(200)
        let count = first.ledger.count
        first.step(300)
        #expect(first.ledger.count == count)
    }

    @Test("A state of an earlier release keeps its cool-down, and not more than the configured one")
    func earlierRelease() throws {
        let first = try cut()
        var saved = try #require(first.ledger.lastState)
        saved.models["m"]?.clock?.steadyMicros = nil
        saved.models["m"]?.clock?.boot = nil
        #expect(try (1...601).contains(left(World(yaml, saved: saved, boot: "boot-1"))))
        saved.models["m"]?.clock = nil
        #expect(try (1...601).contains(left(World(yaml, saved: saved, boot: "boot-1"))))
    }

    @Test(
        "Ticks of the same boot are the same ticks, however far the wall clock was set between two processes")
    func anchors() {
        let then = ClockAnchor(tick: 100, wallMicros: 5 * day, boot: "a")
        #expect(then.shift(to: ClockAnchor(tick: 200, wallMicros: 90 * day, boot: "a")) == 0)
        #expect(then.shift(to: ClockAnchor(tick: 20, wallMicros: 5 * day + 1_000_000, boot: "b")) == -90)
        // Another boot that looks like the same.
        #expect(then.shift(to: ClockAnchor(tick: 112, wallMicros: 5 * day + 1_000_000, boot: "b")) == 2)
        #expect(then.shift(to: ClockAnchor(tick: 112, wallMicros: 5 * day + 1_000_000)) == 0)
        #expect(then.steadyMicros(at: ClockAnchor(tick: 90, wallMicros: 0, boot: "a")) == 5 * day)
    }

    @Test("A boot has an id, the same at every look")
    func boot() {
        #expect(Boot.id != nil && Boot.id == Boot.id)
    }
}
