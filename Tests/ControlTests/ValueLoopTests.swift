// Values on their way from a batch into a model's registry: names that are gone take nothing, ticks get
// complete once they are settled and read, and what comes too late is counted.

import Metrics
import Rollout
import Testing

@testable import Control

private let text =
    World.yaml + """

            values:
              score: { response: "$.score" }
        """

@Suite struct ValueLoopTests {
    /// A world in which both versions got two requests in one tick, and that tick.
    private func world() throws -> (world: World, tick: Tick) {
        let world = try World(text)
        world.loop.models[0].values.want("value:score")
        world.step(3)
        let tick = world.tick
        world.requests(0, 2)
        world.requests(1, 2)
        world.step(12)
        return (world, tick)
    }

    private func ticks(_ world: World) -> [ValueTick] {
        world.loop.models[0].values.ticks(
            "value:score", candidate: 1, stable: 0, from: Tick(number: 0), now: world.tick)
    }

    private func group(_ version: String, _ tick: Tick, _ values: [Double], missing: Int = 0) -> ValueGroup {
        ValueGroup(
            model: "m", version: version, tick: tick,
            arms: ["score": ValueArm(missing: missing, values: values)])
    }

    @Test("A settled tick is handed out when its samples have been read, with the values of both versions")
    func complete() throws {
        let (world, tick) = try world()
        world.loop.add(
            ValueBatch(
                drainedAt: tick,
                groups: [group("v1", tick, [0.5, 0.75]), group("v2", tick, [0.25], missing: 1)]))
        world.step()
        #expect(ticks(world).isEmpty)
        world.loop.add(ValueBatch(drainedAt: Tick(number: world.tick.number + 1), groups: []))
        let found = try #require(ticks(world).first)
        #expect(found.tick == tick)
        #expect(found.split == PairSplit(candidatePPM: 200_000, stablePPM: 700_000))
        #expect(found.stable == ValueArm(values: [0.5, 0.75]))
        #expect(found.candidate == ValueArm(missing: 1, values: [0.25]))
    }

    @Test("Models, versions and values that are gone take nothing")
    func gone() throws {
        let (world, tick) = try world()
        var other = group("v1", tick, [1])
        other.model = "gone"
        world.loop.add(
            ValueBatch(
                drainedAt: Tick(number: tick.number + 100),
                groups: [
                    other, group("v9", tick, [1]),
                    ValueGroup(model: "m", version: "v1", tick: tick, arms: ["x": ValueArm(values: [1])]),
                ]))
        #expect(ticks(world).allSatisfy { $0.stable.values.isEmpty && $0.candidate.values.isEmpty })
        #expect(world.loop.sampleCounters.all["m"] == nil)
    }

    @Test("A value that comes after its tick was judged is counted and changes nothing")
    func late() throws {
        let (world, tick) = try world()
        let batch = ValueBatch(
            drainedAt: Tick(number: world.tick.number + 1), groups: [group("v2", tick, [0.25])])
        world.loop.add(batch)
        let before = ticks(world)
        world.loop.add(batch)
        #expect(ticks(world) == before)
        #expect(world.loop.sampleCounters.all["m"]?.late == 1)
    }
}
