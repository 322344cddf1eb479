// What the control loop tells and when: cuts at once, verbs that give traffic only when they are durable, and
// never at the price of a cut.

import Metrics
import Payload
import Platform
import Rollout
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct NoticeTests {
    private let sink: ActionSinkServer
    private let lines = LineBox()
    private let queue: ActionQueue
    private let path = "/notice-\(Entropy.word())"

    init() throws {
        sink = try ActionSinkServer.shared.get()
        queue = ActionQueue(log: WeirLog.silent(), journal: lines.take)
    }

    private func world(_ path: String) throws -> World {
        let config = WebhookConfig(
            address: .url(try sink.url(path)), format: .json, timeout: .seconds(120))
        queue.adopt([
            ActionConfig(
                name: "hook", kinds: Set(Notice.Kind.allCases), models: [], sink: .webhook(config),
                retry: ActionRetry(pause: .millis(10), pauseMax: .millis(20)))
        ])
        return try World(hooks: ControlHooks(notices: queue))
    }

    private func provokeCut(_ world: World) {
        world.step(50) {
            world.requests(0, 70)
            world.requests(1, 20)
            world.requests(2, 10)
        }
        world.step(10) {
            world.requests(0, 70)
            world.requests(1, 20, failing: 10)
            world.requests(2, 10)
        }
    }

    private var status: ActionStatus? { queue.status.first }

    private func told() throws -> [JSON] {
        try sink.recorded(path).map { try JSON(parsing: $0["body"]?.string ?? "") }
    }

    @Test("A split that is proven broken is told, and its journal line names who is owed it")
    func brokenSplit() throws {
        let world = try world(path)
        world.step(300) {
            world.requests(0, 70)
            world.requests(1, 13)
            world.requests(2, 10)
        }
        #expect(eventually { (status?.done ?? 0) >= 1 })
        let notice = try #require(try told().first)
        #expect(notice["event"] == "sample_ratio" && notice["versions"] == ["v2"])
        #expect(notice["reason"]?.string?.contains("router is broken") == true)
        let line = try #require(world.ledger.events.first { $0.kind == .sampleRatio })
        #expect(line.details.first { $0.name == "actions" }?.value == ["hook"])
    }

    @Test("A cut is told with stable, epochs and evidence, and its journal line names who is owed it")
    func cut() throws {
        let world = try world(path)
        let before = world.model.decided.epoch
        provokeCut(world)
        #expect(eventually { (status?.done ?? 0) >= 1 })
        let notice = try #require(try told().first)
        #expect(notice["event"] == "cut" && notice["versions"] == ["v2"] && notice["stable"] == "v1")
        #expect(notice["epoch_before"]?.integer == Int64(before))
        #expect(notice["epoch_after"]?.integer == Int64(before) + 1)
        #expect(notice["evidence"]?.elements.isEmpty == false && notice["cut"] == "cut-1")
        let line = try #require(world.ledger.events.first { $0.kind == .cut })
        #expect(line.detail("actions") == ["hook"])
        #expect(Notice(line)?.deliveryID == notice["delivery"]?.string)
        queue.stop()
    }

    @Test("A sink that hangs delays no cut: the switch is up in the tick of the verdict, told or not")
    func hanging() throws {
        let alone = try World()
        provokeCut(alone)
        let world = try world("/silent")
        // Its thread hangs, and its queue is full as well.
        for i in 0...ActionLane.pendingMax { queue.post(.sample(reason: "\(i)")) }
        let begin = Clock.now()
        provokeCut(world)
        #expect(Clock.now() - begin < .seconds(60))
        let moment: (World) -> UInt64? = { world in
            world.ledger.events.first { $0.kind == .cut }?.wallMicros
        }
        #expect(moment(world) != nil && moment(world) == moment(alone))
        #expect(status?.done == 0)
        queue.stop()
    }

    @Test("A promotion is told when it is durable, not before; one that the disk refuses is never told")
    func promotion() throws {
        let world = try world(path)
        let replies = Replies()
        let promote = AdminVerb(.promote, model: "m", reason: "fine", version: "v2")
        world.ledger.set(.refused)
        world.loop.obey(promote, actor: "ann", reply: replies.take)
        world.settle()
        #expect(replies.last?.status == 503 && status?.pending == 0)

        world.ledger.set(.held)
        world.loop.obey(promote, actor: "ann", reply: replies.take)
        world.settle()
        #expect(status?.pending == 0 && status?.done == 0)
        world.ledger.release()
        world.settle()
        #expect(eventually { (status?.done ?? 0) >= 1 })
        #expect(try told().map { $0["event"]?.string } == ["promote"])
        #expect(try told().first?["actor"]?.string?.contains("ann") == true)
        queue.stop()
    }

    @Test("What takes traffic away is told at once, also while the disk hangs")
    func rollbackWithSilentDisk() throws {
        let world = try world(path)
        world.ledger.set(.held)
        world.loop.obey(AdminVerb(.rollback, model: "m", reason: "bad"), actor: "ann") { _ in }
        #expect(eventually { (status?.done ?? 0) >= 1 })
        #expect(try told().map { $0["event"]?.string } == ["cut"])
        queue.stop()
    }

    @Test(
        "Each step of a rollout is told under one word",
        arguments: [
            (JournalEvent.Kind.stage, JSON.integer(1), Notice.Kind.start), (.stage, .integer(2), .stage),
            (.baking, "bake", .stage), (.held, .integer(2), .hold), (.wouldHave, .null, .alert),
        ])
    func steps(_ kind: JournalEvent.Kind, _ stage: JSON, _ told: Notice.Kind) throws {
        let event = JournalEvent(
            at: 1, kind, model: "m", reason: "r", details: [.init("version", "v2"), .init("stage", stage)])
        let notice = try #require(Notice(event))
        #expect(notice.kind == told && notice.versions == ["v2"])
        #expect(Webhook.slack(notice)["text"]?.string?.hasPrefix("*m: ") == true)
    }
}
