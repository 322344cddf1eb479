// Captures as an HTTP archive, which browsers' tools, proxies and load testers read. What HAR has no place
// for stands in members that begin with an underscore, as its specification allows.
// Invariant: every member that HAR 1.2 requires is there, also where the exchange has no response (status 0).
// Source: HAR 1.2 Spec, Jan Odvarko (softwareishard.com/blog/har-12-spec).

import Payload
import Platform

/// Writes an HTTP archive, entry by entry.
package struct CaptureHAR {
    private var isFirst = true

    package init() {}

    /// What stands before the first entry.
    package var head: String {
        let creator: JSON = ["name": "weir", "version": .string(Release.version)]
        return "{\"log\":{\"version\":\"1.2\",\"creator\":\(creator.text),\"entries\":[\n"
    }

    /// What stands behind the last entry.
    package var tail: String { "\n]}}\n" }

    /// One capture, as `CaptureArchive` gives it.
    package mutating func entry(_ capture: JSON) -> String {
        defer { isFirst = false }
        return (isFirst ? "" : ",\n") + Self.entry(capture).text
    }

    static func entry(_ capture: JSON) -> JSON {
        let request = capture["request"] ?? .null
        let total = millis(capture["total_us"])
        let wait = min(millis(capture["first_byte_us"]), total)
        return [
            "startedDateTime": .string(capture["at"]?.string ?? "1970-01-01T00:00:00Z"),
            "time": .number(total),
            "request": self.request(request),
            "response": response(capture),
            "cache": .object([]),
            "timings": ["send": 0, "wait": .number(wait), "receive": .number(total - wait)],
            "comment": .string(comment(capture)),
            "_weir": .object(capture.members.filter { !["request", "response"].contains($0.name) }),
        ]
    }

    private static func comment(_ capture: JSON) -> String {
        let (model, version) = (capture["model"]?.string ?? "?", capture["version"]?.string ?? "?")
        return "\(model) \(version): \(capture["outcome"]?.string ?? "?")"
    }

    private static func millis(_ micros: JSON?) -> Double { (micros?.number ?? 0) / 1_000 }

    private static func request(_ request: JSON) -> JSON {
        let target = request["target"]?.string ?? ""
        let host = header("host", of: request) ?? "unknown"
        var members: [JSON.Member] = [
            .init("method", .string(request["method"]?.string ?? "")),
            .init("url", .string(target.hasPrefix("/") ? "http://\(host)\(target)" : target)),
            .init("httpVersion", .string(request["http"]?.string ?? "")),
            .init("cookies", []),
            .init("headers", headers(request)),
            .init("queryString", query(target)),
            .init("headersSize", -1),
            .init("bodySize", request["body_bytes"] ?? -1),
        ]
        let text = request["body"]?.string ?? ""
        if !text.isEmpty || request["withheld"] != nil {
            var post: [JSON.Member] = [
                .init("mimeType", .string(header("content-type", of: request) ?? "")),
                .init("params", []), .init("text", .string(text)),
            ]
            post += notes(request)
            if let encoding = request["encoding"] { post.append(.init("_encoding", encoding)) }
            members.append(.init("postData", .object(post)))
        }
        return .object(members)
    }

    private static func response(_ capture: JSON) -> JSON {
        let response = capture["response"] ?? .null
        let size = response["body_bytes"]?.integer ?? -1
        var content: [JSON.Member] = [
            .init("size", .integer(max(0, size))),
            .init("mimeType", .string(header("content-type", of: response) ?? "")),
        ]
        if let text = response["body"]?.string { content.append(.init("text", .string(text))) }
        if let encoding = response["encoding"] { content.append(.init("encoding", encoding)) }
        content += notes(response)
        return [
            "status": response["status"] ?? 0, "statusText": .string(response["reason"]?.string ?? ""),
            "httpVersion": .string(response["http"]?.string ?? ""), "cookies": [],
            "headers": headers(response), "content": .object(content),
            "redirectURL": .string(header("location", of: response) ?? ""), "headersSize": -1,
            "bodySize": .integer(size),
        ]
    }

    /// What is not as it was sent.
    private static func notes(_ message: JSON) -> [JSON.Member] {
        var notes: [JSON.Member] = []
        if message["body_cut"]?.bool == true { notes.append(.init("_cut", true)) }
        if let withheld = message["withheld"] { notes.append(.init("comment", withheld)) }
        return notes
    }

    private static func header(_ name: String, of message: JSON) -> String? {
        message["headers"]?.elements.first { $0[0]?.string?.lowercased() == name }?[1]?.string
    }

    private static func headers(_ message: JSON) -> JSON {
        .array(
            (message["headers"]?.elements ?? []).map {
                ["name": .string($0[0]?.string ?? ""), "value": .string($0[1]?.string ?? "")]
            })
    }

    /// Name and value as they stand in the target, still encoded.
    private static func query(_ target: String) -> JSON {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        let pairs = target[target.index(after: mark)...].split(separator: "&")
        return .array(
            pairs.map { pair in
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return [
                    "name": .string(String(parts[0])),
                    "value": .string(parts.count > 1 ? String(parts[1]) : ""),
                ]
            })
    }
}
