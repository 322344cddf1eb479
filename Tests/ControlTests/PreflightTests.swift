// The checks before a rollout: signatures as pure values, warm-up files, and whole rounds against small
// servers that say what the case says.

import ConfigSamples
import Glibc
import Payload
import Platform
import Rollout
import Synchronization
import Testing

@testable import Control
@testable import Sidecar

@Suite struct PreflightTests {
    private func signature(_ inputs: String, _ outputs: String) throws -> ModelSignature {
        let text = "{\"name\":\"m\",\"inputs\":[\(inputs)],\"outputs\":[\(outputs)]}"
        return try #require(ModelSignature(try JSON(parsing: Array(text.utf8))))
    }

    private static let x = "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,4]}"
    private static let y = "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,1]}"
    private static let z = "{\"name\":\"z\",\"datatype\":\"INT64\",\"shape\":[1]}"

    @Test("A candidate stands in for stable when it takes the same inputs and gives at least its outputs")
    func compatible() throws {
        let stable = try signature(Self.x, Self.y)
        #expect(try signature(Self.x, Self.y).objection(asReplacementOf: stable) == nil)
        #expect(try signature(Self.x, Self.y + "," + Self.z).objection(asReplacementOf: stable) == nil)
        let wide = Self.x.replacing("[-1,4]", with: "[8,4]")
        #expect(try signature(wide, Self.y).objection(asReplacementOf: stable) == nil)
    }

    @Test(
        "A difference that clients would notice is named",
        arguments: [
            ("", y, "takes the input x"), (x + "," + z, y, "wants the input z"),
            (x.replacing("FP32", with: "FP64"), y, "FP64 where stable has FP32"),
            (x.replacing("[-1,4]", with: "[-1,5]"), y, "shape [-1, 5] where stable has [-1, 4]"),
            (x.replacing("[-1,4]", with: "[4]"), y, "shape [4]"), (x, z, "gives the output y"),
        ])
    func incompatible(inputs: String, outputs: String, said: String) throws {
        let stable = try signature(Self.x, Self.y)
        let objection = try signature(inputs, outputs).objection(asReplacementOf: stable)
        #expect(objection?.contains(said) == true, "\(objection ?? "none")")
    }

    @Test("A warm-up line is a request, and a broken one is named with what it lacks")
    func warmUpLines() throws {
        let line = """
            {"path":"/infer","headers":{"Content-Type":"application/json","Host":"h"},"body":{"a":[1]}}
            """
        let request = try WarmUpRequest(line: Array(line.utf8))
        #expect(request.method == .post && request.body == Array("{\"a\":[1]}".utf8))
        #expect(request.fields.map(\.name) == ["content-type"])
        for (line, said) in [
            ("[]", "no JSON object"), ("{\"path\":\"x\"}", "lacks \"path\""),
            ("{\"path\":\"/\",\"method\":\"TRACE\"}", "TRACE"),
            ("{\"path\":\"/\",\"headers\":{\"a\":1}}", "header a"),
        ] {
            do throws(WarmUpProblem) {
                _ = try WarmUpRequest(line: Array(line.utf8))
                Issue.record("\(line) was taken")
            } catch {
                #expect(error.reason.contains(said))
            }
        }
        let captured = """
            {"id":"1","request":{"method":"POST","target":"/infer?a=1","headers":[["Host","h"],["X-A","1"],
            ["Cookie","***"]],"body":"{}","body_bytes":2,"body_cut":false},"response":{}}
            """.replacing("\n", with: "")
        let again = try WarmUpRequest(line: Array(captured.utf8))
        #expect(again.path == "/infer?a=1" && again.fields.map(\.name) == ["x-a"] && again.body.count == 2)
        let cut = captured.replacing("\"body_cut\":false", with: "\"body_cut\":true")
        #expect(throws: WarmUpProblem.self) { try WarmUpRequest(line: Array(cut.utf8)) }
        #expect(throws: WarmUpProblem.self) { try WarmUpRequest.load("/nonexistent/warm.jsonl") }
        let torn = #expect(throws: WarmUpProblem.self) { try WarmUpRequest(line: Array("{\"a\": }".utf8)) }
        #expect(torn?.reason.hasPrefix("is no JSON: expected ") == true && torn?.column == 7)
    }

    // MARK: Whole rounds

    /// A server on a thread of its own that answers every request with the same bytes.
    private final class Says: Sendable {
        let address: SocketAddress
        let count = Atomic<Int>(0)
        private let stopping = Atomic<Bool>(false)
        private let thread = Mutex<Thread?>(nil)

        init(_ status: String, fields: String = "", body: String) throws {
            let listener = try Socket.listen(.ip(.loopback, port: 0), reusePort: false)
            guard let bound = Socket.localAddress(of: listener) else {
                throw SystemFailure(operation: "listen", errno: Errno(code: EINVAL))
            }
            address = bound
            let answer = Array(
                "HTTP/1.1 \(status)\r\ncontent-length: \(body.utf8.count)\r\n\(fields)\r\n\(body)".utf8)
            let number = listener.release()
            let started = try Thread.spawn(name: "says") { [self] in
                let listener = Descriptor(adopting: number)
                while true {
                    var watched = pollfd(fd: listener.raw, events: Int16(POLLIN), revents: 0)
                    _ = poll(&watched, 1, 20)
                    if stopping.load(ordering: .acquiring) { return }
                    guard case .connection(let socket, _) = Socket.accept(listener) else { continue }
                    _ = readHead(socket.raw)
                    count.wrappingAdd(1, ordering: .relaxed)
                    _ = send(socket.raw, answer, answer.count, Int32(MSG_NOSIGNAL))
                }
            }
            thread.withLock { $0 = started }
        }

        func stop() {
            stopping.store(true, ordering: .releasing)
            thread.withLock { $0.take() }?.join()
        }
    }

    private func target(
        _ preflight: String, stable: SocketAddress, candidate: SocketAddress
    ) throws -> PreflightTarget {
        var config = try ConfigSample.model("preflight: \(preflight)").config()
        config.models[0].versions[0].endpoints = [stable]
        config.models[0].versions[1].endpoints = [candidate]
        return try #require(PreflightTarget.all(of: config, attempts: [:]).first)
    }

    private func round(_ target: PreflightTarget, isCold: Bool = true) -> PreflightReport {
        PreflightCheck(target) { false }.run(isCold: isCold)
    }

    @Test("Only an answer that proves another identity fails; silence and errors decide nothing")
    func identity() throws {
        let identity = "{ identity: { path: /version, json: \"$.versions[*]\" }, timeout: 60s }"
        let one = try Says("200 OK", body: "{\"versions\":[\"v1\"]}")
        let two = try Says("200 OK", body: "{\"versions\":[\"x\",\"v2\"]}")
        let ill = try Says("503 Service Unavailable", body: "{}")
        defer { for server in [one, two, ill] { server.stop() } }
        let good = round(try target(identity, stable: one.address, candidate: two.address))
        #expect(good.reading == .passed, "\(good.reason)")
        let wrong = round(try target(identity, stable: one.address, candidate: one.address))
        guard case .failed(let reason) = wrong.reading else {
            Issue.record("\(wrong)")
            return
        }
        #expect(reason.contains("says it is v1; expected v2"))
        let swapped = round(try target(identity, stable: two.address, candidate: two.address))
        #expect(swapped.reading == .unknown && swapped.reason.contains("expected v1"))
        let silent = round(try target(identity, stable: one.address, candidate: ill.address))
        #expect(silent.reading == .unknown && silent.reason.contains("503"))
        let closed = try Socket.listen(.ip(.loopback, port: 0), reusePort: false)
        guard let free = Socket.localAddress(of: closed) else { return }
        _ = consume closed
        let dead = round(try target(identity, stable: one.address, candidate: free))
        #expect(dead.reading == .unknown && dead.reason.contains("v2 at"))
    }

    @Test(
        "What names the version is looked for where the config says, and the finding says where that was",
        arguments: [
            // Stable is asked first, and what is wrong with it says nothing of the candidate.
            ("{ path: /, header: x-model }", "x-model: v2\r\n", "", ["v1 at", "says it is v2"]),
            (
                "{ preset: v2, model: iris }", "", "{\"name\":\"iris\",\"versions\":[]}",
                ["names no version; expected v", "GET /v2/models/iris, member $.versions[*]"]
            ),
        ])
    func looked(identity: String, fields: String, body: String, words: [String]) throws {
        let server = try Says("200 OK", fields: fields, body: body)
        defer { server.stop() }
        let found = round(
            try target("{ identity: \(identity) }", stable: server.address, candidate: server.address))
        #expect(found.reading != .passed)
        for word in words { #expect(found.reason.contains(word), "\(found.reason)") }
    }

    @Test("A candidate is warm when enough of its requests were answered, and is warmed up where it is cold")
    func warmUp() throws {
        let path = "/tmp/weir-warm-\(Entropy.word()).jsonl"
        try File.replace(path, with: Array("{\"path\":\"/infer\",\"body\":{}}\n\n{\"path\":\"/\"}\n".utf8))
        defer { _ = try? File.remove(path) }
        let fine = try Says("200 OK", body: "{}")
        let bad = try Says("500 Internal Server Error", body: "{}")
        defer { for server in [fine, bad] { server.stop() } }
        let warm = "{ warm_up: { requests: 5, file: \(path) } }"
        let cold = try target(warm, stable: fine.address, candidate: fine.address)
        #expect(round(cold).reading == .passed && fine.count.load(ordering: .relaxed) == 5)
        #expect(round(cold, isCold: false).reading == .passed && fine.count.load(ordering: .relaxed) == 5)
        let ill = round(try target(warm, stable: fine.address, candidate: bad.address))
        #expect(ill.reading == .unknown && ill.reason.contains("answered 0 of 5"))
    }

    @Test("MLServer is asked for the version's own path: its metadata lists no versions")
    func mlserver() throws {
        let preset = "{ identity: { preset: mlserver, model: iris } }"
        // As MLServer answers: a path for each loaded version, 404 for others; `versions` is not set.
        let both = try PathServer([
            "/v2/models/iris/versions/v1/ready": "200 OK", "/v2/models/iris/versions/v2/ready": "200 OK",
            "/v2/models/iris/ready": "200 OK", "/v2/models/iris": "200 OK",
        ])
        let old = try PathServer([
            "/v2/models/iris/versions/v1/ready": "200 OK", "/v2/models/iris/ready": "200 OK",
        ])
        let loading = try PathServer([:])
        defer { for server in [both, old, loading] { server.stop() } }
        let good = round(try target(preset, stable: both.address, candidate: both.address))
        #expect(good.reading == .passed, "\(good.reason)")
        let wrong = round(try target(preset, stable: both.address, candidate: old.address))
        guard case .failed(let reason) = wrong.reading else {
            Issue.record("\(wrong)")
            return
        }
        #expect(reason.contains("GET /v2/models/iris/versions/v2/ready with 404"))
        let early = round(try target(preset, stable: both.address, candidate: loading.address))
        #expect(early.reading == .unknown && early.reason.contains("/v2/models/iris/versions/v2/ready"))
    }
}
