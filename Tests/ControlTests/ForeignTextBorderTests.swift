// Every way out of Control for a stranger's text, fed with one hostile text: log, journal, pages, reports,
// captures, access log, notices, sentences about servers. What a person sees holds no control character, no
// override and no line that was not ours; what a program reads holds the text as it was.
// The whole way, over sockets and with the command line, is test_foreign_text.py.

import Logging
import Payload
import Platform
import Synchronization
import Testing

@testable import Calls
@testable import Config
@testable import Control
@testable import Sidecar

/// Everything at once: a screen cleared, C1, overrides, isolates, tags, separators, and a forged line.
private let hostile =
    "x\u{1B}[2J\u{9B}31m\u{7F}\u{8}\u{85}\u{202E}gnp\u{2066}y\u{2069}\u{200B}\u{FEFF}\u{AD}\u{2028}\u{2029}"
    + "\u{E0041}\u{E000} a=b \"q\" \\\r\n2026-01-01T00:00:00Z notice forged"

/// What is wrong with a text for a terminal; nil: nothing.
private func objection(to text: String, lines: Int = 1) -> String? {
    let found = text.split(separator: "\n", omittingEmptySubsequences: false).count
    guard found <= lines else { return "\(found) lines: \(text)" }
    let obeyed: [ClosedRange<UInt32>] = [
        0x00...0x09, 0x0B...0x1F, 0x7F...0x9F, 0xAD...0xAD, 0x200B...0x200F, 0x2028...0x202E,
        0x2060...0x206F, 0xE000...0xF8FF, 0xFEFF...0xFEFF, 0xE0000...0xE0FFF,
    ]
    let scalar = text.unicodeScalars.first { scalar in obeyed.contains { $0.contains(scalar.value) } }
    return scalar.map { "U+\(String($0.value, radix: 16)) in \(text)" }
}

@Suite struct ForeignTextBorderTests {
    @Test("The check of these tests notices what is hostile")
    func checkCanFail() {
        for scalar in hostile.unicodeScalars where scalar.value < 0x20 || scalar.value > 0x7E {
            #expect(objection(to: "a" + String(scalar) + "b") != nil)
        }
    }

    @Test("A line of the log is one line, also where message and metadata are foreign")
    func log() {
        let lines = Mutex<[String]>([])
        let log = WeirLog.logger { line in lines.withLock { $0.append(line) } }
        log.warning("\(hostile)", metadata: ["k": "\(hostile)", "n": "a \u{301}=b"])
        log.warning(
            "\(String(repeating: hostile, count: 10_000))",
            metadata: ["k": "\(String(repeating: "x", count: 1 << 20))"])
        let all = lines.withLock { $0 }
        #expect(all.count == 2)
        for line in all {
            #expect(line.last == "\n")
            #expect(objection(to: String(line.dropLast())) == nil)
            #expect(line.utf8.count < 64 << 10)
        }
        // A blank with a mark on it is a blank.
        #expect(all[0].hasSuffix(" n=\"a \u{301}=b\"\n"))
    }

    @Test("A journal line is one line, gives the text back, and its page shows it escaped")
    func journal() throws {
        let event = JournalEvent(
            at: 1_795_000_000_000_000, .verb, model: hostile, actor: hostile, reason: hostile,
            details: [
                .init("verb", .string(hostile)), .init("version", .string(hostile)),
                .init("answer", .string(hostile)), .init("cut", .string(hostile)), .init(hostile, "v"),
            ])
        let bytes = event.line(sequence: 1, previous: .origin)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(objection(to: text) == nil)
        let value = try JSON(parsing: bytes)
        for name in ["model", "actor", "reason", "verb", "version", "answer", "cut"] {
            #expect(value[name]?.string == hostile)
        }
        #expect(value[hostile] == "v")
        #expect(objection(to: AuditLine(text: text, value: value).summary) == nil)
        #expect(AuditLine(text: text, value: value).summary.contains(#"\u001b[2J\u009b31m"#))
        // A journal of an earlier release has them raw.
        let old = AuditLine(
            text: "", value: ["at": .string(hostile), "kind": .string(hostile), "actor": .string(hostile)])
        #expect(objection(to: old.summary) == nil)
    }

    @Test("A report's page and a ledger's page keep their lines")
    func reports() {
        let text = JSON.string(hostile)
        let report: JSON = [
            "cut": text, "model": text, "versions": [text], "stable": text, "cut_reason": text,
            "first_bad_at": text, "verdict_at": text, "last_request_at": text, "cut_by": text, "rule": text,
            "guardrail": text, "exposed_since": text, "runbook_url": text, "completed_at": text,
            "recovery": ["verdict": text, "reason": text],
            "weights_before": .object([.init(hostile, text)]),
            "evidence": [["name": text, "verdict": text, "reason": text]],
        ]
        let plain = ReportText.render(
            [
                "cut": "c", "rule": "r", "runbook_url": "u", "recovery": ["verdict": "v"],
                "evidence": [["name": "n"]],
            ])
        let lines = plain.split(separator: "\n", omittingEmptySubsequences: false).count
        #expect(objection(to: ReportText.render(report), lines: lines) == nil)
        let ledger: JSON = ["cuts": .object([.init(hostile, 3)])]
        #expect(objection(to: ReportText.render(ledger: ledger, of: "all"), lines: 9) == nil)
    }

    @Test("An access line and a capture give the text back and hold nothing that a terminal obeys")
    func exchanges() throws {
        let access = ObserveAccessLineTests.line(
            observedRecord(path: Array(hostile.utf8), requestID: Array("\u{9B}\u{202E}x".utf8)),
            observedPlan(model: hostile, versions: ["v1", hostile]))
        #expect(objection(to: String(decoding: access.dropLast(), as: UTF8.self)) == nil)
        let json = try JSON(parsing: access.dropLast())
        #expect(json["path"]?.string == hostile && json["model"]?.string == hostile)
        #expect(json["request_id"]?.string == "\u{9B}\u{202E}x")

        var sample = CaptureSample()
        let flat = hostile.replacing("\r\n", with: " ")
        sample.requestHead = "POST /\u{9B}?q=\u{202E} HTTP/1.1\r\nx-\u{9B}: \(flat)\r\n\r\n"
        sample.requestBody = Array(hostile.utf8)
        sample.responseHead = "HTTP/1.1 200 \(flat)\r\nserver: \(flat)\r\n\r\n"
        sample.responseBody = Array(hostile.utf8)
        let names = CaptureNames(model: hostile, versions: [0: hostile])
        var line: [UInt8] = []
        sample.lend { line = CaptureLine(CapturesConfig()).line($0, id: "1", names) }
        line = Array("{\"kept\":\"sample\",".utf8) + line
        #expect(objection(to: String(decoding: line, as: UTF8.self)) == nil)
        let capture = try JSON(parsing: line)
        #expect(capture["request"]?["body"]?.string == hostile)
        #expect(capture["response"]?["headers"]?[0]?[1]?.string == flat)
        var har = CaptureHAR()
        #expect(objection(to: har.entry(capture)) == nil)
        let set = CaptureSet(
            model: hostile, version: hostile, kept: hostile, cut: hostile, from: hostile, to: hostile)
        #expect(objection(to: set.summary) == nil)
    }

    @Test("What a sink's answer, a program and people are told is one line; a machine's notice has the text")
    func notices() throws {
        let notice = Notice.sample(model: hostile, reason: hostile)
        let slack = try #require(Webhook.slack(notice)["text"]?.string)
        #expect(objection(to: slack, lines: 4) == nil)
        let pager = try #require(Webhook.pagerDuty(notice, routingKey: "k")?["payload"])
        #expect(objection(to: pager["summary"]?.string ?? "\u{1B}") == nil)
        #expect(pager["custom_details"]?["reason"]?.string == hostile)
        #expect(objection(to: notice.json.text) == nil)
        #expect(notice.json["reason"]?.string == hostile)
        for entry in Execution.environment(notice, 1) where entry.hasPrefix("WEIR_") {
            #expect(objection(to: entry) == nil)
        }
        let answer = HTTPAnswer(status: 500, fields: [], body: Array(hostile.utf8))
        #expect(objection(to: AttemptOutcome(answer, from: "http://h").told.text) == nil)
        let long = HTTPAnswer(status: 500, fields: [], body: Array(repeating: 0x9B, count: 1 << 20))
        #expect(long.excerpt.utf8.count <= 300)
    }

    @Test("What a model server says of itself is a bounded part of a sentence")
    func signatures() throws {
        func signature(_ name: String, _ type: String, _ shape: [JSON]) throws -> ModelSignature {
            let tensor: JSON = ["name": .string(name), "datatype": .string(type), "shape": .array(shape)]
            return try #require(ModelSignature(["inputs": [tensor], "outputs": [tensor]]))
        }
        let name = hostile + String(repeating: "x", count: 100_000)
        let many = Array(repeating: JSON.integer(7), count: 10_000)
        let stable = try signature(name, hostile, [1])
        for other in [
            try signature("y", "t", [1]), try signature(name, name, [1]), try signature(name, hostile, many),
        ] {
            let sentence = try #require(other.objection(asReplacementOf: stable))
            #expect(objection(to: sentence) == nil)
            #expect(sentence.utf8.count < 600)
        }
    }

    @Test("Problems of a config, answers of the admin API and explanations are lines")
    func commandLine() throws {
        let problem = ConfigProblem(
            file: "weir.yaml", line: 1, column: 1, path: "models[0].versions.\(hostile)",
            message: "unknown value", value: hostile + String(repeating: "x", count: 1 << 20),
            expected: "a name", suggestion: hostile)
        #expect(objection(to: "\(problem)") == nil && "\(problem)".utf8.count <= 4_096)
        let answer = AdminAnswer(status: 500, body: Array(String(repeating: hostile, count: 1_000).utf8))
        #expect(objection(to: answer.excerpt) == nil && answer.excerpt.utf8.count <= 1_024)
        var receipt = FeedbackReceipt()
        receipt.add(.init(line: 1, result: hostile, reason: hostile))
        receipt.stop("\(answer.excerpt)")
        for complaint in receipt.complaints { #expect(objection(to: complaint) == nil) }
        let request = ExplainRequest(path: "/x", headers: [("x-staff", hostile), ("x-user", hostile)])
        let explained = try request.answer(config: World.config(), status: nil)
        for line in explained.lines { #expect(objection(to: line) == nil) }
        #expect(objection(to: explained.json.text) == nil)
    }

    @Test("A name that would be a metric's label is refused in the config when it is not plain")
    func labels() throws {
        for name in ["m\u{202E}", "m\u{9B}31m", "m\u{200B}", "m\nn", "m\"n"] {
            for kind in ["name: m\n", "v2:"] {
                let quoted = JSON.string(name).text
                let text = World.yaml.replacing(
                    kind, with: kind.hasPrefix("n") ? "name: \(quoted)\n" : "\(quoted):")
                #expect(text != World.yaml)
                let result = ConfigLoader.parse(text, file: "weir.yaml")
                guard case .failure(let problems) = result else {
                    Issue.record("\(quoted) was taken")
                    continue
                }
                for problem in problems.all { #expect(objection(to: "\(problem)") == nil) }
            }
        }
    }
}
