// Webhooks and programs as sinks: what they are told, in which shape, signed how; and what becomes of answers
// and of programs that misbehave.

import Foundation
import Payload
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct WebhookTests {
    private let sink: ActionSinkServer

    init() throws { sink = try ActionSinkServer.shared.get() }

    private func file(_ content: String) throws -> String {
        let path = sink.folder + "/file-\(Entropy.word())"
        try Array(content.utf8).withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: path)) }
        return path
    }

    private func webhook(_ path: String, port: String = "good") throws -> WebhookConfig {
        WebhookConfig(
            address: .url(try sink.url(path, port: port)), format: .json, caFile: sink.caFile,
            timeout: .seconds(60))
    }

    @Test(
        "A signed notice carries its members, and a signature over timestamp and body that others can check")
    func signed() throws {
        var config = try webhook("/signed")
        config.secretFile = try file("  the key\n")
        let notice = Notice.sample()
        let outcome = Webhook(config: config).attempt(notice, .first)
        #expect(outcome.told.word == "done", "\(outcome)")
        let seen = try #require(try sink.recorded("/signed").first)
        let body = try #require(seen["body"]?.string)
        #expect(body == notice.json.text && seen["method"] == "POST")
        let fields = try #require(seen["fields"])
        #expect(fields["x-weir-delivery"]?.string == notice.deliveryID)
        #expect(fields["x-weir-timestamp"] == "1700000000" && fields["x-weir-event"] == "cut")
        let openssl = Process()
        let (input, output) = (Foundation.Pipe(), Foundation.Pipe())
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = ["dgst", "-sha256", "-hmac", "the key"]
        (openssl.standardInput, openssl.standardOutput) = (input, output)
        try openssl.run()
        input.fileHandleForWriting.write(Data("1700000000.\(body)".utf8))
        try input.fileHandleForWriting.close()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let digest = try #require(said.split(separator: " ").last).trimmingCharacters(in: .newlines)
        #expect(fields["x-weir-signature"]?.string == "sha256=\(digest)")
    }

    @Test("The members of a notice are an interface")
    func members() throws {
        let json = Notice.sample(at: 1_700_000_000_000_000).json
        #expect(
            json.members.map(\.name) == [
                "schema", "event", "delivery", "model", "versions", "stable", "actor", "reason",
                "epoch_before", "epoch_after", "cut", "runbook_url", "evidence", "at",
            ])
        #expect(json["event"] == "cut" && json["versions"] == ["v2"] && json["stable"] == "v1")
        #expect(json["epoch_before"] == 6 && json["epoch_after"] == 7 && json["cut"] == "cut-1")
        #expect(json["at"] == "2023-11-14T22:13:20.000000Z")
    }

    @Test("Slack gets one text with the markup's own characters escaped")
    func slack() throws {
        var config = try webhook("/slack")
        config.format = .slack
        let notice = Notice.sample(reason: "p99 <b> & more")
        #expect(Webhook(config: config).attempt(notice, .first).told.word == "done")
        let body = try JSON(parsing: try sink.recorded("/slack").first?["body"]?.string ?? "")
        let text = try #require(body["text"]?.string)
        #expect(body.members.count == 1)
        #expect(text.contains("m: v2 was cut, all traffic is back on v1") && text.contains("cut-1"))
        #expect(text.contains("p99 &lt;b&gt; &amp; more") && text.contains("https://run.example/book"))
    }

    @Test("PagerDuty: a cut opens the model's incident, recovery or a promotion closes it")
    func pagerDuty() throws {
        var config = try webhook("/pager")
        config.format = .pagerduty
        config.routingKeyFile = try file("R0UT1NG")
        let steps: [(Notice, String)] = [
            (.sample(.cut), "trigger"), (.sample(.recovery), "resolve"), (.sample(.promoted), "resolve"),
            (.sample(.alert), "trigger"),
            (.sample(.recovery, details: [.init("recovery", ["verdict": "not_recovered"])]), "trigger"),
        ]
        for (notice, _) in steps {
            #expect(Webhook(config: config).attempt(notice, .first).told.word == "done")
        }
        let bodies = try sink.recorded("/pager").map { try JSON(parsing: $0["body"]?.string ?? "") }
        #expect(bodies.map { $0["event_action"]?.string } == steps.map(\.1))
        #expect(bodies.allSatisfy { $0["dedup_key"] == "weir/m" && $0["routing_key"] == "R0UT1NG" })
        let payload = try #require(bodies.first?["payload"])
        #expect(payload["severity"] == "critical" && payload["source"] == "weir")
        #expect(payload["custom_details"]?["cut"] == "cut-1")
        #expect(bodies.first?["links"]?[0]?["href"] == "https://run.example/book")
    }

    @Test(
        "An answer decides whether another attempt has a point",
        arguments: [
            (200, "done"), (202, "done"), (204, "done"), (301, "failed"), (400, "refused"), (401, "failed"),
            (404, "failed"), (410, "refused"), (422, "refused"), (429, "failed"), (500, "failed"),
            (503, "failed"),
        ])
    func answers(_ status: Int, _ word: String) throws {
        let path = "/answers-\(status)"
        let fields: JSON = ["retry-after": "17"]
        try sink.script(["POST \(path)": [["status": .integer(Int64(status)), "body": "", "fields": fields]]])
        let outcome = Webhook(config: try webhook(path)).attempt(.sample(), .first)
        #expect(outcome.told.word == word)
        if case .failed(_, let after, _) = outcome { #expect(after == .seconds(17)) }
    }

    @Test(
        "The head of a 2xx is enough: the body need not come, nor end, nor make sense",
        arguments: ["/drip-body", "/truncated", "/huge", "/huge-chunked", "/bad-chunk", "/truncated-chunks"])
    func headOfSuccess(_ path: String) throws {
        // A call that waited for the body would end with the time limit.
        let outcome = Webhook(config: try webhook(path)).attempt(.sample(), .first)
        #expect(outcome.told.word == "done", "\(outcome)")
        #expect(outcome.details.first { $0.name == "status" }?.value == 200)
    }

    @Test("A refusal counts although its body does not come in time")
    func headOfRefusal() throws {
        var config = try webhook("/refusal-without-body")
        try calmly(from: .seconds(1)) { limit in
            config.timeout = limit
            // The head itself may be late.
            return Webhook(config: config).attempt(.sample(), .first).told.word == "refused"
        }
    }

    @Test("A URL and a key are read from their files at each attempt, and stand in no text")
    func secrets() throws {
        let address = try file(try sink.url("/T0PSECRET", port: "good").origin + "/T0PSECRET\n")
        var config = try webhook("/unused")
        config.address = .file(address)
        let hook = Webhook(config: config)
        #expect(hook.attempt(.sample(), .first).told.word == "done")
        try sink.script(["POST /T0PSECRET": [["status": 500, "body": "no"]]])
        let said = hook.attempt(.sample(), .first).told
        #expect(said.word == "failed" && said.text.contains("500: no") && !said.text.contains("T0PSECRET"))
        for (content, reason) in [("", "is empty"), ("ftp://a", "holds no URL"), ("a b", "holds no URL")] {
            config.address = .file(try file(content))
            let said = Webhook(config: config).attempt(.sample(), .first).told
            #expect(said.word == "failed" && said.text.contains(reason))
        }
        config.address = .file("/nowhere/url")
        #expect(Webhook(config: config).attempt(.sample(), .first).told.text.contains("/nowhere/url"))
    }

    @Test("A receiver that cannot prove who it is gets no notice")
    func impostor() throws {
        var config = try webhook("/secret", port: "self_signed")
        config.secretFile = try file("key")
        #expect(Webhook(config: config).attempt(.sample(), .first).told.word == "failed")
        #expect(try sink.recorded("/secret").isEmpty)
    }
}

@Suite struct ExecutionTests {
    private func run(
        _ script: String, timeout: Interval = .seconds(60), notice: Notice = .sample(),
        context: AttemptContext = .first
    ) -> AttemptOutcome {
        // A shell is the program here, which Weir itself never asks for one.
        let config = ExecConfig(
            command: ["/bin/sh", "-c", script, "name", "an argument; no 'shell'"], timeout: timeout)
        return Execution(config: config).attempt(notice, context)
    }

    private func output(_ outcome: AttemptOutcome) -> String {
        outcome.details.first { $0.name == "output" }?.value.string ?? ""
    }

    @Test("A program gets the notice on its input, variables, and its arguments as they are written")
    func told() throws {
        let notice = Notice.sample(reason: "line\nof \"text\"")
        let outcome = run(
            "cat; echo \"$WEIR_EVENT $WEIR_MODEL $WEIR_VERSIONS $WEIR_STABLE $1\"", notice: notice)
        #expect(outcome.told.word == "done")
        #expect(output(outcome) == notice.json.text + "\ncut m v2 v1 an argument; no 'shell'\n")
    }

    @Test("A program's code or signal is its answer, and the end of what it wrote is kept")
    func codes() {
        let failed = run("echo out; echo err >&2; exit 3")
        #expect(failed.told.word == "failed" && failed.told.text == "/bin/sh ended with 3")
        #expect(output(failed) == "out\nerr\n")
        #expect(run("kill -SEGV $$").told.text.contains("signal 11"))
        let long = run("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
        #expect(output(long).utf8.count == Execution.tailBytesMax && output(long).hasSuffix("line 2999\n"))
    }

    @Test("A program that is not there or may not run is a failure that says so")
    func missing() {
        for path in ["/nowhere/program", "/etc/passwd"] {
            let config = ExecConfig(command: [path], timeout: .seconds(60))
            let said = Execution(config: config).attempt(.sample(), .first).told
            #expect(said.word == "failed" && said.text.contains("start \(path)"))
        }
    }

    @Test("A program that reads nothing and a notice that is large hold nobody up")
    func deaf() {
        let reason = String(repeating: "x", count: 1 << 20)
        #expect(run("exec 0<&-; exit 0", notice: .sample(reason: reason)).told.word == "done")
    }

    @Test("A late program is ended, also one that ignores SIGTERM and one that has left children behind")
    func late() throws {
        let ended = run("exec sleep 600", timeout: .millis(200))
        #expect(ended.told.word == "failed" && ended.told.text.contains("longer than 200ms"))
        let stubborn = run("trap '' TERM; echo $$; while :; do sleep 600; done", timeout: .millis(500))
        #expect(stubborn.told.word == "failed")
        var pid: Int32 = 0
        try calmly(from: .seconds(1)) { limit in
            let family = run("sleep 601 & echo $!; wait", timeout: limit)
            pid = Int32(output(family).trimmingCharacters(in: .newlines)) ?? 0
            return pid > 0
        }
        // Gone, or a zombie that its new parent has not reaped yet.
        let isGone = eventually {
            let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            return stat == nil || stat?.contains(") Z ") == true
        }
        #expect(isGone)
    }

    @Test("A program is ended when Weir stops, and nothing is said to have failed")
    func cancelled() {
        let begin = Clock.now()
        let context = AttemptContext(
            attempt: 1, wallMicros: 0, isCancelled: { Clock.now() - begin > .millis(100) })
        #expect(run("exec sleep 600", context: context).told.word == "cancelled")
    }

    @Test("A program starts with no signal blocked or ignored")
    func signals() throws {
        let said = output(run("grep -E 'Sig(Blk|Ign)' /proc/self/status"))
        for line in said.split(separator: "\n") {
            let mask = try #require(UInt64(line.suffix(16), radix: 16))
            // 32 and 33 are the C library's own.
            #expect(mask & 0x7FFF_FFFF == 0, "\(line)")
        }
        #expect(said.split(separator: "\n").count == 2)
    }
}
