// Aliases that move under a running control loop, in virtual time: a move is a reload, and a cut outlasts it.

import Platform
import Rollout
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let yaml = """
    admin: { listen: 127.0.0.1:9902 }
    state_dir: /tmp/never-used
    listeners: [{ listen: 127.0.0.1:8080 }]
    models:
      - name: m
        versions:
          v1: { endpoints: ["127.0.0.1:9001"] }
          v2: { endpoints: ["127.0.0.1:9002"] }
          v3: { endpoints: ["127.0.0.1:9003"] }
        stable: v1
        candidate:
          mlflow: { url: "http://r", model: rec, alias: next, versions: { 1: v1, 2: v2, 22: v2, 3: v3 } }
        rollout:
          stages: [{ weight: 10%, hold: 1h }, { weight: 100% }]
    """

@Suite struct SourceLoopTests {
    private let world: World
    private let source: CandidateSource

    init() throws {
        world = try World(yaml)
        source = try #require(world.model.config.source)
    }

    /// The alias moves, as its lane would tell it.
    private func move(_ target: AliasTarget) {
        let answer = source.answer(target, after: world.loop.sources["m"], wallMicros: world.wall)
        world.loop.take(
            SourceMove(
                model: "m", answer: answer, actor: "mlflow alias next",
                sentence: source.sentence(answer, stable: "v1")))
        world.step(250)
    }

    private var weights: [UInt32]? { world.plane.last?.models[0].versions.map(\.weightPPM) }
    private var climb: Climb? { world.model.decided.climb }
    private func lines(_ kind: JournalEvent.Kind) -> [JournalEvent] {
        world.ledger.events.filter { $0.kind == kind }
    }

    @Test("A move to a mapped version is a config load by the alias, and begins a rollout of that version")
    func moves() throws {
        #expect(weights == [1_000_000, 0, 0] && climb == nil)
        move(.version("2"))
        #expect(weights == [900_000, 100_000, 0])
        #expect(climb?.id == "rollout-1" && climb?.candidate == "v2")
        move(.version("3"))
        #expect(weights == [900_000, 0, 100_000])
        #expect(climb?.id == "rollout-2" && climb?.candidate == "v3")
        let loads = lines(.configLoaded)
        #expect(loads.map(\.actor) == ["mlflow alias next", "mlflow alias next"])
        #expect(
            loads.map(\.reason) == [
                "mlflow alias next -> version 2 (v2)", "mlflow alias next -> version 3 (v3)",
            ])
        #expect(loads[1].detail("changes")?[0] == "model m: candidates: v2 -> v3")
    }

    @Test("Without the alias, or with stable's version, nobody is the candidate", arguments: [nil, "1"])
    func removed(_ number: String?) {
        move(.version("2"))
        move(number.map { .version($0) } ?? .missing)
        #expect(world.model.config.candidates == [] && climb == nil)
        #expect(weights == [1_000_000, 0, 0])
        #expect(lines(.configLoaded).count == 2)
    }

    @Test("A version that is not mapped, or stands for the same one, changes nothing and is one line")
    func ignored() {
        move(.version("2"))
        let state = world.model.decided
        let epoch = world.loop.plan.epoch
        move(.version("9"))
        move(.version("22"))
        #expect(world.model.decided == state && world.loop.plan.epoch == epoch)
        #expect(lines(.configLoaded).count == 1)
        #expect(
            lines(.source).map(\.reason) == [
                "mlflow alias next -> version 9, which `versions` does not map: "
                    + "version 2 (v2) stays the candidate",
                "mlflow alias next -> version 22 (v2)",
            ])
    }

    @Test("However the alias moves after a cut, the version that was cut is never given anything")
    func cutOutlastsMoves() throws {
        move(.version("2"))
        let replies = Replies()
        world.loop.obey(AdminVerb(.rollback, model: "m", reason: "bad"), actor: "test", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 200 && weights == [1_000_000, 0, 0])
        // What the action does with its alias, and then everything that could bring the version back.
        for target in [.version("1"), .version("2"), .missing, .version("22"), .version("3"), .version("2")]
            as [AliasTarget]
        {
            move(target)
            #expect(world.model.decided.quarantined["v2"] != nil)
            #expect(weights == [1_000_000, 0, 0], "after \(target)")
        }
        guard case .cut = world.model.decided.phase else {
            Issue.record("the cut is latched, whatever an alias says")
            return
        }
        #expect(lines(.stage).count == 1)
    }

    @Test("A reload of the file keeps what the registry said, and a config without the source forgets it")
    func reload() throws {
        move(.version("3"))
        let file = try World.config(yaml.replacing("hold: 1h", with: "hold: 2h"))
        #expect(file.models[0].candidates == [])
        world.loop.reconfigure(Reconfiguration(config: file, actor: "test", reason: "", reply: nil))
        world.step(250)
        #expect(world.model.config.candidates == ["v3"])
        #expect(climb?.id == "rollout-1" && weights == [900_000, 0, 100_000])
        #expect(!lines(.configLoaded)[1].reason.contains("alias"))
    }

    @Test("Moves wait for the plan under way; of several for one model only the newest counts")
    func waits() {
        move(.version("2"))
        world.plane.setObeysAtOnce(false)
        move(.version("3"))
        let epoch = world.loop.plan.epoch
        move(.missing)
        move(.version("22"))
        #expect(world.loop.plan.epoch == epoch && world.loop.moves.count == 1)
        world.plane.setObeysAtOnce(true)
        world.step(250)
        #expect(world.loop.moves.isEmpty && world.model.config.candidates == ["v2"])
        #expect(lines(.configLoaded).map(\.reason).map { $0.suffix(4) } == ["(v2)", "(v3)", "(v2)"])
    }
}
