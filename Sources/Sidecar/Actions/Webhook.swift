// A webhook: the notice as JSON by POST, in Weir's own form, Slack's or PagerDuty's.
//
// The signature is HMAC-SHA256 over the timestamp, a full stop and the body, so that neither can be
// exchanged; the timestamp is that of the attempt, so that receivers can refuse old ones. `x-weir-delivery`
// is the same in every attempt: receivers that must not act twice keep it.
// Source: RFC 2104; PagerDuty's Events API v2; Slack's incoming webhooks.

import Config
import COpenSSL
import Calls
import Control
import Payload
import Platform

/// One webhook.
struct Webhook {
    let config: WebhookConfig

    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        do throws(SecretProblem) {
            guard let body = try body(notice) else { return .done("nothing to say of it to PagerDuty") }
            return try post(body, notice, context)
        } catch {
            return .failed(error.reason)
        }
    }

    private func post(
        _ json: JSON, _ notice: Notice, _ context: AttemptContext
    ) throws(SecretProblem) -> AttemptOutcome {
        let url = try address()
        let body = Array(json.text.utf8)
        var request = HTTPRequest(
            .post, url,
            fields: [
                ("content-type", "application/json"), ("x-weir-event", notice.kind.rawValue),
                ("x-weir-delivery", notice.deliveryID), ("x-weir-attempt", "\(context.attempt)"),
            ], body: body)
        if let file = config.secretFile {
            let stamp = "\(context.wallMicros / 1_000_000)"
            let signed = Array("\(stamp).".utf8) + body
            let mac = Self.hmac(key: Array(try SecretFile.read(file).get().utf8), signed)
            request.fields += [("x-weir-timestamp", stamp), ("x-weir-signature", "sha256=\(mac)")]
        }
        var client = HTTPClient()
        client.answerWithin = config.timeout
        client.caFile = config.caFile
        client.bodyBytesMax = 4 << 10
        client.cutsLongBodies = true
        client.wantsHeadOnly = true
        client.isCancelled = context.isCancelled
        do throws(HTTPFailure) {
            let answer = try client.send(request)
            guard answer.isSuccess else { return AttemptOutcome(answer, from: url.origin) }
            return .done(
                "\(url.origin) answered \(answer.status)",
                details: [.init("status", .integer(Int64(answer.status)))])
        } catch {
            return AttemptOutcome(error)
        }
    }

    private func address() throws(SecretProblem) -> HTTPURL {
        switch config.address {
        case .url(let url): return url
        case .file(let path):
            let text = try SecretFile.read(path).get()
            guard let url = try? HTTPURL(text) else {
                throw SecretProblem(reason: "\(path) holds no URL that starts with http:// or https://")
            }
            return url
        }
    }

    // MARK: Bodies

    private func body(_ notice: Notice) throws(SecretProblem) -> JSON? {
        switch config.format {
        case .json: return notice.json
        case .slack: return Self.slack(notice)
        case .pagerduty:
            guard let file = config.routingKeyFile else { return nil }
            return Self.pagerDuty(notice, routingKey: try SecretFile.read(file).get())
        }
    }

    /// `text` alone: Slack, Mattermost and Rocket.Chat all read it.
    static func slack(_ notice: Notice) -> JSON {
        // Shown to people as it is. The three characters are those that Slack's markup gives a meaning.
        func plain(_ text: String) -> String {
            ForeignText.line(text).replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(
                ">", with: "&gt;")
        }
        var lines = ["*\(plain(notice.headline))*", plain(notice.reason)]
        var facts = ["by \(plain(notice.actor))", Timestamp.text(wallMicros: notice.wallMicros)]
        if let id = notice.cutID { facts.append(id) }
        lines.append(facts.joined(separator: ", "))
        if let runbook = notice.runbookURL { lines.append("Runbook: \(plain(runbook))") }
        return ["text": .string(lines.filter { !$0.isEmpty }.joined(separator: "\n"))]
    }

    /// One incident per model: a cut opens it, recovery or a promotion closes it; and one of its own while
    /// users are not served. nil: no event of theirs.
    static func pagerDuty(_ notice: Notice, routingKey: String) -> JSON? {
        let severity: String?
        switch notice.kind {
        case .cut, .sampleRatio, .unserved: severity = "critical"
        case .recovery: severity = notice.isRecovered ? nil : "critical"
        case .hold, .alert: severity = "warning"
        case .promote, .served: severity = nil
        case .start, .stage: return nil
        }
        let isOfUsers = notice.kind == .unserved || notice.kind == .served
        let incident = "weir/\(notice.model)" + (isOfUsers ? "/unserved" : "")
        let event: JSON = [
            "routing_key": .string(routingKey), "dedup_key": .string(incident),
            "event_action": .string(severity == nil ? "resolve" : "trigger"),
        ]
        guard let severity else { return event }
        // Their bound is 1024 characters.
        let summary = ForeignText.line("\(notice.headline): \(notice.reason)", bytesMax: 1_024)
        let payload: JSON = [
            "summary": .string(summary), "source": .string("weir"), "severity": .string(severity),
            "timestamp": .string(Timestamp.text(wallMicros: notice.wallMicros)),
            "component": .string(notice.model), "class": .string(notice.kind.rawValue),
            "custom_details": notice.json,
        ]
        guard let runbook = notice.runbookURL else { return event.with("payload", payload) }
        let links: JSON = [["href": .string(runbook), "text": "Runbook"]]
        return event.with("payload", payload).with("links", links)
    }

    /// HMAC-SHA256, 64 lower-case hex digits.
    static func hmac(key: [UInt8], _ bytes: [UInt8]) -> String {
        var mac = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        var count = UInt32(mac.count)
        HMAC(EVP_sha256(), key, Int32(clamping: key.count), bytes, bytes.count, &mac, &count)
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: mac.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
