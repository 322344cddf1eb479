// The requests of a warm-up: a file of JSON Lines, one request each, as people write them by hand, or as
// `weir captures export --format jsonl` writes what was sampled.
//
//     {"method": "POST", "path": "/infer", "headers": {"content-type": "application/json"}, "body": {…}}
//
// Invariant: fields that frame a message or belong to a connection are left out; the client writes its own.

import Calls
import Payload
import Platform

/// One request of a file.
struct WarmUpRequest: Sendable, Equatable {
    var method: HTTPRequest.Method = .get
    var path: String
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []

    init(path: String) { self.path = path }

    static func == (a: WarmUpRequest, b: WarmUpRequest) -> Bool {
        a.method == b.method && a.path == b.path && a.body == b.body
            && a.fields.elementsEqual(b.fields) { $0 == $1 }
    }

    /// A larger file is refused.
    static let fileBytesMax = 64 << 20
    private static let framing: Set = [
        "host", "content-length", "transfer-encoding", "connection", "user-agent", "expect", "upgrade",
    ]

    /// The requests of a file; at least one.
    static func load(_ path: String) throws(WarmUpProblem) -> [WarmUpRequest] {
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try File.readRegular(path, bytesMax: fileBytesMax)
        } catch {
            throw WarmUpProblem(reason: "cannot be read: \(error)", file: path)
        }
        var requests: [WarmUpRequest] = []
        for (i, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        where !line.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) {
            do throws(WarmUpProblem) {
                requests.append(try WarmUpRequest(line: Array(line)))
            } catch {
                throw WarmUpProblem(reason: error.reason, file: path, line: i + 1, column: error.column)
            }
        }
        if requests.isEmpty { throw WarmUpProblem(reason: "has no requests", file: path) }
        return requests
    }

    /// Reads a line.
    init(line: [UInt8]) throws(WarmUpProblem) {
        let value: JSON
        do throws(ScanProblem) {
            value = try JSON(parsing: line)
        } catch {
            throw WarmUpProblem(reason: "is no JSON: expected \(error.expected)", column: error.offset + 1)
        }
        guard case .object = value else { throw WarmUpProblem(reason: "is no JSON object") }
        if let captured = value["request"] {
            self = try WarmUpRequest.read(captured)
            return
        }
        guard let path = value["path"]?.string, path.hasPrefix("/") else {
            throw WarmUpProblem(reason: "lacks \"path\", which starts with /")
        }
        self.path = path
        let word = value["method"]?.string ?? (value["body"] == nil ? "GET" : "POST")
        guard let method = HTTPRequest.Method(rawValue: word) else {
            let known = HTTPRequest.Method.allCases.map(\.rawValue).joined(separator: ", ")
            throw WarmUpProblem(reason: "method \(word) is none of \(known)")
        }
        self.method = method
        if case .object(let headers)? = value["headers"] {
            for header in headers where !Self.framing.contains(header.name.lowercased()) {
                guard let text = header.value.string else {
                    throw WarmUpProblem(reason: "the header \(header.name) is no text")
                }
                fields.append((header.name.lowercased(), text))
            }
        }
        switch value["body"] {
        case .string(let text)?: body = Array(text.utf8)
        case .null?, nil: body = []
        case .some(let json): body = Array(json.text.utf8)
        }
    }

    /// A line of `weir captures export --format jsonl`. What was masked or cut is no request any more.
    private static func read(_ captured: JSON) throws(WarmUpProblem) -> WarmUpRequest {
        guard let path = captured["target"]?.string, path.hasPrefix("/"),
            let method = captured["method"]?.string.flatMap(HTTPRequest.Method.init(rawValue:))
        else { throw WarmUpProblem(reason: "is a capture without method and target") }
        guard captured["body_cut"]?.bool != true, captured["withheld"] == nil, captured["encoding"] == nil
        else { throw WarmUpProblem(reason: "is a capture whose body is not whole text") }
        var request = WarmUpRequest(path: path)
        request.method = method
        for header in captured["headers"]?.elements ?? [] {
            guard let name = header[0]?.string?.lowercased(), let text = header[1]?.string,
                !framing.contains(name), text != "***"
            else { continue }
            request.fields.append((name, text))
        }
        request.body = Array((captured["body"]?.string ?? "").utf8)
        return request
    }
}

/// Why there is nothing to warm up with.
struct WarmUpProblem: Error, Equatable {
    /// About the line, or the file as a whole.
    var reason: String
    /// The file, where it is known.
    var file = ""
    /// From 1; 0: the file as a whole.
    var line = 0
    var column = 1

    /// The reason with its place.
    var sentence: String {
        let place = line > 0 ? "\(file), line \(line): " : file.isEmpty ? "" : "\(file) "
        return place + reason
    }
}
