// Lanes and their queue: order, repetition, bounds, and that nobody waits for a sink that hangs.

import Payload
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

/// A POST to `path`, tried again after milliseconds.
private func action(
    _ name: String, _ sink: ActionSinkServer, _ path: String, kinds: Set<Notice.Kind> = [.cut, .promote],
    models: Set<String> = [], ageMax: Interval = .seconds(600)
) throws -> ActionConfig {
    ActionConfig(
        name: name, kinds: kinds, models: models,
        sink: .webhook(
            WebhookConfig(address: .url(try sink.url(path)), format: .json, timeout: .seconds(120))),
        retry: ActionRetry(pause: .millis(10), pauseMax: .millis(40), ageMax: ageMax))
}

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct ActionQueueTests {
    private let sink: ActionSinkServer
    private let lines = LineBox()
    private let queue: ActionQueue

    init() throws {
        sink = try ActionSinkServer.shared.get()
        queue = ActionQueue(log: WeirLog.silent(), journal: lines.take)
    }

    private func status(_ name: String) throws -> ActionStatus {
        try #require(queue.status.first { $0.name == name })
    }

    /// The reasons that a sink was told, in order.
    private func told(_ path: String) throws -> [String] {
        try sink.recorded(path).map { try JSON(parsing: $0["body"]?.string ?? "")["reason"]?.string ?? "" }
    }

    @Test("Each action is told what it asks for, and nothing else")
    func filters() throws {
        queue.adopt([
            try action("cuts", sink, "/f-cuts", kinds: [.cut]),
            try action("of-a", sink, "/f-a", models: ["a"]), try action("all", sink, "/f-all"),
        ])
        let notices: [Notice] = [
            .sample(.cut, model: "a", reason: "1"), .sample(.promoted, model: "b", reason: "2"),
            .sample(.alert, model: "a", reason: "3"),
        ]
        #expect(queue.owed(notices[0]) == ["cuts", "of-a", "all"])
        #expect(queue.owed(notices[1]) == ["all"] && queue.owed(notices[2]) == [])
        for notice in notices { queue.post(notice) }
        #expect(eventually { queue.status.reduce(0) { $0 + $1.done } == 4 })
        #expect(try told("/f-cuts") == ["1"] && told("/f-a") == ["1"] && told("/f-all") == ["1", "2"])
        queue.stop()
    }

    @Test("Failures are repeated with the same delivery id, in order, and every attempt is journaled")
    func repeats() throws {
        try sink.script([
            "POST /repeats": [["status": 500, "body": "a"], ["status": 503, "body": "b"], ["status": 200]]
        ])
        queue.adopt([try action("hook", sink, "/repeats")])
        queue.post(.sample(reason: "first"))
        queue.post(.sample(reason: "second"))
        #expect(eventually { (try? status("hook").done) == 2 })
        let seen = try sink.recorded("/repeats")
        #expect(try told("/repeats") == ["first", "first", "first", "second"])
        let ids = seen.map { $0["fields"]?["x-weir-delivery"]?.string ?? "" }
        #expect(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3])
        #expect(seen.map { $0["fields"]?["x-weir-attempt"]?.string } == ["1", "2", "3", "1"])
        let failed = lines.all(.actionFailed)
        #expect(failed.count == 2 && failed.allSatisfy { !$0.isFinal && $0.detail("action") == "hook" })
        #expect(failed.first?.reason.contains("500: a") == true)
        #expect(lines.all(.actionDone).map { $0.detail("attempt") } == [3, 1])
        #expect(lines.all(.actionDone).first?.detail("delivery")?.string == ids[0])
        #expect(try status("hook").retried == 2 && status("hook").lastFailure == nil)
        queue.stop()
    }

    @Test("A notice that the sink will never take, or that has become too old, makes room for the next")
    func givingUp() throws {
        try sink.script([
            "POST /never": [["status": 422, "body": "no"], ["status": 200]],
            "POST /old": [["status": 500], ["status": 500], ["status": 200]],
        ])
        queue.adopt([
            try action("never", sink, "/never"), try action("old", sink, "/old", ageMax: .seconds(60)),
        ])
        let hourAgo = Clock.wallMicros() - 3_600_000_000
        for name in ["1", "2"] { queue.post(.sample(reason: name, at: name == "1" ? hourAgo : 0)) }
        #expect(eventually { queue.status.allSatisfy { $0.done == 1 } })
        // One attempt is made whatever the age; then there is no other.
        #expect(try told("/never") == ["1", "2"] && told("/old") == ["1", "2", "2"])
        #expect(queue.status.map(\.failed) == [1, 1])
        #expect(lines.all(.actionFailed).filter(\.isFinal).count == 2)
        queue.stop()
    }

    @Test("A sink that hangs delays no other, and posting never waits; what finds no room is refused")
    func hanging() throws {
        queue.adopt([try action("hangs", sink, "/silent"), try action("works", sink, "/works")])
        let count = 40
        for i in 0..<count { queue.post(.sample(reason: "\(i)")) }
        #expect(eventually { (try? status("works").done) == UInt64(count) })
        #expect(try status("hangs").pending == count && status("hangs").done == 0)
        for i in count...ActionLane.pendingMax { queue.post(.sample(reason: "\(i)")) }
        #expect(try status("hangs").refused == 1 && status("hangs").pending == ActionLane.pendingMax)
        let full = try #require(lines.all(.actionFailed).first { $0.detail("action") == "hangs" })
        #expect(full.isFinal && full.reason.contains("256 notices wait"))
        queue.stop()
        // What it hangs in was cancelled, and is neither done nor given up.
        #expect(lines.all(.actionFailed).filter { $0.detail("action") == "hangs" }.count == 1)
    }

    @Test("A changed action keeps what waits; one that leaves the config gives it up and says so")
    func reload() throws {
        try sink.script(["POST /before": [["status": 500]]])
        queue.adopt([try action("hook", sink, "/before"), try action("gone", sink, "/before")])
        queue.post(.sample(reason: "x"))
        #expect(eventually { queue.status.allSatisfy { $0.retried > 0 } })
        queue.adopt([try action("hook", sink, "/after")])
        #expect(eventually { (try? status("hook").done) == 1 })
        #expect(try told("/after") == ["x"])
        #expect(
            eventually { lines.all(.actionFailed).contains { $0.isFinal && $0.detail("action") == "gone" } })
        queue.stop()
    }

    @Test("What an earlier process owed is told once more, unless it is too old by now")
    func owed() throws {
        queue.adopt([try action("hook", sink, "/owed", ageMax: .seconds(600))])
        let young = Notice.sample(reason: "young")
        let old = Notice.sample(reason: "old", at: Clock.wallMicros() - 601_000_000)
        queue.recover([old, young].map { OwedNotice(action: "hook", notice: $0) })
        queue.recover([OwedNotice(action: "unknown", notice: young)])
        #expect(eventually { (try? status("hook").done) == 1 })
        #expect(try told("/owed") == ["young"])
        #expect(lines.all(.actionFailed).map(\.isFinal) == [true])
        queue.stop()
    }

    @Test("Stopping gives notices that were never tried their attempt, and waits for no pause")
    func stopping() throws {
        try sink.script(["POST /stops": [["status": 500]]])
        var slow = try action("slow", sink, "/stops")
        slow.retry = ActionRetry(pause: .seconds(3_000), pauseMax: .seconds(3_000))
        queue.adopt([slow, try action("fast", sink, "/stop-fast")])
        queue.post(.sample(reason: "x"))
        #expect(eventually { (try? status("slow").retried) == 1 })
        queue.post(.sample(reason: "y"))
        queue.stop()
        #expect(try told("/stop-fast").last == "y")
        #expect(try told("/stops") == ["x"])
        #expect(lines.all(.actionFailed).allSatisfy { !$0.isFinal })
    }
}

@Suite struct OwedNoticesTests {
    private func line(_ event: JournalEvent) -> ArraySlice<UInt8> {
        event.line(sequence: 1, previous: .origin)[...]
    }

    private func decision(_ reason: String, _ actions: [JSON]) -> JournalEvent {
        JournalEvent(
            at: 1_700_000_000_000_000, .cut, model: "m", reason: reason,
            details: [.init("versions", ["v2"]), .init("actions", .array(actions))])
    }

    private func ending(
        _ kind: JournalEvent.Kind, _ action: String, _ decision: JournalEvent, final: Bool? = nil
    ) -> JournalEvent {
        let id = Notice(decision)?.deliveryID ?? ""
        var details: [JSON.Member] = [.init("action", .string(action)), .init("delivery", .string(id))]
        if let final { details.append(.init("final", .bool(final))) }
        return JournalEvent(at: 1_700_000_001_000_000, kind, model: "m", reason: "", details: details)
    }

    @Test("A decision is owed to the actions its line names until a line says done or given up")
    func open() {
        let (a, b) = (decision("a", ["x", "y"]), decision("b", ["x"]))
        let lines = [
            a, b, ending(.actionFailed, "x", a, final: false), ending(.actionDone, "y", a),
            ending(.actionFailed, "x", b, final: true),
        ].map(line)
        let open = OwedNotices.find(in: lines)
        #expect(open.map(\.action) == ["x"] && open.first?.notice.reason == "a")
    }

    @Test("A notice read back from its line is the notice that was sent, id included")
    func sameNotice() throws {
        for reason in ["short", "quo\"ted\nü \u{2028}", String(repeating: "é", count: 300_000)] {
            let event = JournalEvent(
                at: 1_700_000_000_123_456, .recovery, model: "m", actor: "a b", reason: reason,
                details: [
                    .init("cut", "cut-3"), .init("recovery", ["verdict": "recovered"]),
                    .init("epoch_before", 3), .init("actions", ["x"]),
                ])
            let sent = try #require(Notice(event))
            guard reason.utf8.count < 1_000 else {
                // A line too long keeps the beginning of its reason only; the id does not change.
                let read = try JSON(parsing: event.line(sequence: 1, previous: .origin))
                #expect(JournalEvent(line: read).flatMap { Notice($0) }?.deliveryID == sent.deliveryID)
                continue
            }
            #expect(OwedNotices.find(in: [line(event)]) == [OwedNotice(action: "x", notice: sent)])
        }
    }

    @Test("Bytes that are no line of ours owe nothing")
    func garbage() {
        let texts = [
            "", "{", "[]", "{\"actions\":[\"x\"]}", "{\"actions\":[1],\"kind\":\"cut\"}",
            "{\"kind\":\"cut\",\"at\":\"yesterday\",\"actor\":\"a\",\"reason\":\"r\",\"actions\":[\"x\"]}",
            "{\"kind\":\"started\",\"at\":\"2026-01-01T00:00:00Z\",\"actor\":\"\",\"reason\":\"\"}",
        ]
        #expect(OwedNotices.find(in: texts.map { Array($0.utf8)[...] }) == [])
        #expect(OwedNotices.find(in: "/nowhere") == [])
    }
}
