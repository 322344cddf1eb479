// The small world of tests with real sockets: two model servers that answer everything alike, a whole sidecar
// between them and the clients, one model. What is waited for is a state, never a time; the traffic goes on
// until it is there.

import Payload
import Platform
import Testing

@testable import Control
@testable import Sidecar

/// Stable and a candidate behind a sidecar.
final class TwoVersions {
    let scratch: Scratch
    let servers: [ScriptedServer]
    let sidecar: Sidecar

    /// - Parameters:
    ///   - answers: stable's and the candidate's, whole; connections are closed after each.
    ///   - model: further lines of the model.
    init(_ answers: [String], _ model: String) throws {
        scratch = try Scratch()
        servers = try answers.map { try ScriptedServer(.bytes($0)) }
        let endpoints = servers.map { "\"\($0.address)\"" }
        sidecar = try Sidecar(
            config: World.config(Self.yaml(scratch, endpoints, model)), log: WeirLog.silent())
        try sidecar.start()
    }

    deinit {
        sidecar.stop()
        for server in servers { server.stop() }
    }

    /// The file of such a world.
    /// - Parameter endpoints: of v1, which is stable, and of v2.
    static func yaml(_ scratch: Scratch, _ endpoints: [String], _ model: String) -> String {
        """
        admin: { listen: 127.0.0.1:0 }
        state_dir: \(scratch.path)/state
        listeners: [{ listen: 127.0.0.1:0 }]
        cores: 1
        models:
          - name: m
            match: { path_prefix: / }
            versions:
              v1: { endpoints: [\(endpoints[0])] }
              v2: { endpoints: [\(endpoints[1])] }
            stable: v1

        """ + model.split(separator: "\n").map { "    \($0)\n" }.joined()
    }

    /// An answer with a short body.
    static func answer(_ status: String) -> String {
        "HTTP/1.1 \(status)\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    }

    /// The model, and its candidate, as the status page has them.
    var model: JSON? { sidecar.status()?["models"]?[0] }
    var candidate: JSON? { model?["versions"]?[1] }

    var metrics: String { get throws { try AdminClient(sidecar.adminAddress).get("/metrics").text } }

    /// The line of the metrics page that counts the model's cuts; nil: none was made.
    var cuts: String? {
        get throws {
            try metrics.split(separator: "\n").first { $0.hasPrefix("weir_cuts_total{model=\"m\"") }
                .map { String($0) }
        }
    }

    /// Sends requests, a few at a time, until something holds; false: it did not in time.
    /// - Parameter answers: is given what came back.
    func traffic(
        answers: (String) -> Void = { _ in }, until isThere: () throws -> Bool
    ) throws -> Bool {
        let deadline = Clock.now() + .seconds(3 * patienceSeconds)
        while Clock.now() < deadline {
            let client = try RawClient(sidecar.addresses[0])
            let request = "GET /m HTTP/1.1\r\nhost: a\r\n"
            client.send(
                String(repeating: request + "\r\n", count: 40) + request + "connection: close\r\n\r\n")
            answers(client.receive())
            if try isThere() { return true }
        }
        return false
    }
}
