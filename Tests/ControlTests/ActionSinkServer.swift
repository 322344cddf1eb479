// The servers of sink.py as a child of the test: certificates made on the spot, ports of the kernel's choice.

import Calls
import ConfigSamples
import Foundation
import Payload
import Platform
import Testing

@testable import Control
@testable import Sidecar

/// A running sink. It ends, and its folder goes, when the value or the test process ends.
final class ActionSinkServer: Sendable {
    /// One for all tests that need no sink of their own; their paths differ.
    static let shared = Result { try ActionSinkServer() }
    static let isPossible = ["/usr/bin/openssl", "/usr/bin/python3"].allSatisfy {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let folder: String
    let ports: JSON
    /// The end of its input ends it.
    private let input: FileHandle

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/weir-sink-\(Entropy.word())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let process = Process()
        let pipe = Foundation.Pipe()
        input = pipe.fileHandleForWriting
        let output = Foundation.Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [configTestRoot + "/Tests/Integration/servers/sink.py", folder]
        process.standardInput = pipe
        process.standardOutput = output
        try process.run()
        var line = Data()
        while !line.contains(0x0A) {
            let more = output.fileHandleForReading.availableData
            try #require(!more.isEmpty, "the sink ended before it said its ports")
            line += more
        }
        ports = try JSON(parsing: [UInt8](line))
    }

    deinit { try? input.close() }

    var caFile: String { folder + "/ca.pem" }

    func port(_ name: String) throws -> Int64 { try #require(ports[name]?.integer) }

    func url(_ target: String, port name: String = "plain", host: String = "127.0.0.1") throws -> HTTPURL {
        try HTTPURL("\(name == "plain" ? "http" : "https")://\(host):\(try port(name))\(target)")
    }

    /// Says what requests like `POST /hook` are answered: in turn, the last one for ever.
    func script(_ answers: [String: [JSON]]) throws {
        let body = JSON.object(answers.map { .init($0.key, .array($0.value)) }).text
        let request = HTTPRequest(.post, try url("/script"), body: Array(body.utf8))
        try #require(try client().send(request).isSuccess)
    }

    private func client() -> HTTPClient {
        var client = HTTPClient()
        client.connectWithin = .seconds(60)
        client.answerWithin = .seconds(120)
        return client
    }

    /// The recorded requests, oldest first.
    func recorded() throws -> [JSON] {
        var client = client()
        client.bodyBytesMax = 64 << 20
        return try #require(try client.send(HTTPRequest(.get, try url("/recorded"))).json).elements
    }

    /// The recorded requests to a path.
    func recorded(_ path: String) throws -> [JSON] {
        try recorded().filter { $0["path"]?.string?.split(separator: "?").first.map(String.init) == path }
    }
}
