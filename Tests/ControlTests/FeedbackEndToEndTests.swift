// Posted feedback through a whole sidecar: ids taken from real responses, feedback posted to the admin port,
// a candidate with fewer clicks cut, and the same state directory taken over by a second sidecar in between.

import Payload
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite struct FeedbackEndToEndTests {
    private func config(
        _ scratch: Scratch, _ upstream: ScriptedServer, _ window: Interval
    ) throws -> Config {
        let seconds = window.millis / 1_000
        return try World.config(
            """
            admin: { listen: 127.0.0.1:0 }
            state_dir: \(scratch.path)/state
            listeners: [{ listen: 127.0.0.1:0 }]
            cores: 1
            feedback: { grace: 0s }
            models:
              - name: m
                match: { path_prefix: /m }
                versions:
                  v1: { endpoints: ["\(upstream.address)"] }
                  v2: { endpoints: ["\(upstream.address)"] }
                stable: v1
                candidate: v2
                weights: { v2: 50% }
                response_headers: { version: true, id: true }
                cohorts:
                  - { name: staff, when: { header: { x-staff: "true" } }, version: v2 }
                guardrails:
                  - { kind: feedback, metric: clicks, window: \(seconds)s, worse_than_stable_by: 5% }
            """)
    }

    /// Requests over connections of their own: the version and the id of each answer.
    private func ask(_ sidecar: Sidecar, _ count: Int, _ field: String = "") throws -> [(
        version: String, id: String
    )] {
        try (0..<count).map { _ in
            let client = try RawClient(sidecar.addresses[0])
            client.send("GET /m HTTP/1.1\r\nhost: a\r\n\(field)connection: close\r\n\r\n")
            let answer = client.receive()
            func value(_ name: String) throws -> String {
                let line = answer.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }
                return String(try #require(line).dropFirst(name.count + 2))
            }
            return (try value("x-weir-version"), try value("x-weir-id"))
        }
    }

    private func post(_ sidecar: Sidecar, _ lines: [String]) throws -> JSON {
        let body = lines.joined(separator: "\n")
        let client = try RawClient(sidecar.adminAddress)
        client.send(
            "POST /feedback HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
                + "content-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n" + body)
        let answer = client.receive()
        let text = try #require(answer.range(of: "\r\n\r\n"))
        return try JSON(parsing: String(answer[text.upperBound...]))
    }

    private func click(_ id: String) -> String { "{\"id\":\"\(id)\",\"metric\":\"clicks\",\"value\":1}" }

    /// Posts the clicks of v1 through a sidecar of its own.
    /// - Returns: what was posted; nil: it came after the window.
    private func firstProcess(_ config: Config, _ window: Interval) throws -> [String]? {
        let sidecar = try Sidecar(config: config, log: WeirLog.silent())
        try sidecar.start()
        defer { sidecar.stop() }
        let begin = Clock.now()
        let first = try ask(sidecar, 20)
        let lines = first.filter { $0.version == "v1" }.map { click($0.id) }
        let taken = try post(sidecar, lines)
        guard Clock.now() - begin < window else { return nil }
        #expect(taken["accepted"]?.integer == Int64(lines.count) && taken["durable"] == true)
        #expect(try post(sidecar, lines)["accepted"]?.integer == 0)
        let forged = String(first[0].id.dropLast()) + (first[0].id.hasSuffix("0") ? "1" : "0")
        #expect(try post(sidecar, [click(forged)])["forged"]?.integer == 1)
        let staff = try ask(sidecar, 3, "x-staff: true\r\n")
        #expect(staff.allSatisfy { $0.version == "v2" })
        return lines
    }

    @Test("A candidate with fewer clicks is cut; forged ids are refused, repetitions count once")
    func cut() throws { try calmly(from: .seconds(2), cuts) }

    /// False: clicks came after the window.
    private func cuts(_ window: Interval) throws -> Bool {
        let scratch = try Scratch()
        let upstream = try ScriptedServer(
            .bytes("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"))
        defer { upstream.stop() }
        let config = try config(scratch, upstream, window)
        guard let lines = try firstProcess(config, window) else { return false }
        let sidecar = try Sidecar(config: config, log: WeirLog.silent())
        try sidecar.start()
        defer { sidecar.stop() }
        // Known from the log, or, on a slow machine, too late by now; in no case counted twice.
        #expect(try post(sidecar, lines)["accepted"]?.integer == 0)
        func phase() -> String? { sidecar.status()?["models"]?[0]?["phase"]?.string }
        var slowest = Interval.zero
        let isCut = try eventually(seconds: 3 * patienceSeconds) {
            let begin = Clock.now()
            let answers = try ask(sidecar, 10)
            _ = try post(sidecar, answers.filter { $0.version == "v1" }.map { click($0.id) })
            slowest = max(slowest, Clock.now() - begin)
            return phase() == "cut" || slowest >= window
        }
        guard slowest < window else { return false }
        #expect(isCut)
        let status = try #require(sidecar.status()?["models"]?[0])
        #expect(status["last_cut"]?["guardrail"]?.string?.contains("clicks") == true)
        let metric = try #require(status["feedback"]?[0])
        #expect(metric["metric"] == "clicks" && metric["window_s"]?.number == Double(window.millis / 1_000))
        #expect(metric["versions"]?[1]?["mean"]?.number == 0)
        #expect((metric["versions"]?[0]?["mean"]?.number ?? 0) > 0.5)
        let page = try AdminClient(sidecar.adminAddress).get("/metrics").text
        #expect(page.contains("weir_feedback_total{model=\"m\",metric=\"clicks\",result=\"accepted\"}"))
        #expect(page.contains("weir_feedback_requests_total{model=\"m\",version=\"v2\",metric=\"clicks\"}"))
        return true
    }
}
