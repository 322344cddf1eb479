// The HTTP client against servers that mean well, servers that are not who they say, and servers that mean
// harm: every call ends in an answer or a sentence, within its limits.

import Calls
import Platform
import Testing

@testable import Control

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct HTTPClientTests {
    private func patient(_ sink: ActionSinkServer? = nil) -> HTTPClient {
        var client = HTTPClient()
        client.connectWithin = .seconds(30)
        client.answerWithin = .seconds(60)
        client.caFile = sink?.caFile
        return client
    }

    @Test("A request arrives as it was made, over plain TCP and over TLS", arguments: ["plain", "good"])
    func arrives(_ port: String) throws {
        let sink = try ActionSinkServer.shared.get()
        let body = Array(String(repeating: "ü", count: 100_000).utf8)
        let request = HTTPRequest(
            .patch, try sink.url("/a/\(port)?c=d%20e", port: port),
            fields: [("x-one", "1"), ("content-type", "text/plain")], body: body)
        let answer = try patient(sink).send(request)
        #expect(answer.status == 200 && answer.text == "ok")
        #expect(answer.field("content-type") == "application/json")
        let seen = try #require(try sink.recorded("/a/\(port)").first)
        #expect(seen["method"] == "PATCH" && seen["path"]?.string == "/a/\(port)?c=d%20e")
        #expect(seen["body"]?.string == String(decoding: body, as: UTF8.self))
        #expect(seen["fields"]?["host"]?.string == "127.0.0.1:\(try sink.port(port))")
        #expect(seen["fields"]?["x-one"] == "1" && seen["fields"]?["connection"] == "close")
    }

    @Test(
        "Every way to end a body is understood",
        arguments: [
            ("/chunked", "hello world"), ("/close", "all of it"), ("/interim", "ok"), ("/redirect", ""),
        ], ["plain", "good"])
    func framings(_ expected: (target: String, body: String), _ port: String) throws {
        let sink = try ActionSinkServer.shared.get()
        let answer = try patient(sink).send(HTTPRequest(.get, try sink.url(expected.target, port: port)))
        #expect(answer.text == expected.body)
        // Redirects are answers like any other: nothing is asked of another place.
        #expect(answer.status == (expected.target == "/redirect" ? 302 : 200))
        #expect(try sink.recorded("/elsewhere").isEmpty)
    }

    @Test("A name in the certificate counts as much as an address")
    func namesAndAddresses() throws {
        let sink = try ActionSinkServer.shared.get()
        for host in ["localhost", "127.0.0.1"] {
            let url = try sink.url("/hook", port: "good", host: host)
            #expect(try patient(sink).send(HTTPRequest(.post, url)).status == 200)
        }
    }

    @Test(
        "A server that cannot prove who it is gets no byte of the request",
        arguments: [
            ("wrong_name", "mismatch"), ("expired", "has expired"), ("self_signed", "self-signed"),
            ("old", "is not spoken to"),
        ])
    func impostors(_ port: String, _ reason: String) throws {
        let sink = try ActionSinkServer.shared.get()
        let failure = #expect(throws: HTTPFailure.self) {
            try patient(sink).send(HTTPRequest(.post, try sink.url("/impostor", port: port)))
        }
        #expect(failure?.stage == .tls)
        #expect(failure?.description.contains(reason) == true, "\(String(describing: failure))")
        #expect(try sink.recorded("/impostor").isEmpty)
    }

    @Test("A certificate of an authority that the system does not know is refused")
    func unknownAuthority() throws {
        let sink = try ActionSinkServer.shared.get()
        let failure = #expect(throws: HTTPFailure.self) {
            try patient().send(HTTPRequest(.get, try sink.url("/hook", port: "good")))
        }
        #expect(failure?.stage == .tls)
        #expect(failure?.reason.contains("does not prove who it is") == true)
    }

    @Test("A CA file that is missing or holds no certificate ends the call before it begins")
    func badAuthorities() throws {
        let sink = try ActionSinkServer.shared.get()
        for file in ["/nowhere/ca.pem", sink.folder + "/good.key"] {
            var client = patient(sink)
            client.caFile = file
            let failure = #expect(throws: HTTPFailure.self) {
                try client.send(HTTPRequest(.get, try sink.url("/hook", port: "good")))
            }
            #expect(failure?.description.contains("the CA file \(file) cannot be read") == true)
        }
    }

    @Test("Plain HTTP where TLS is expected, and TLS where plain HTTP is, ends in a sentence")
    func crossed() throws {
        let sink = try ActionSinkServer.shared.get()
        let secure = try HTTPURL("https://127.0.0.1:\(try sink.port("plain"))/x")
        let plain = try HTTPURL("http://127.0.0.1:\(try sink.port("good"))/x")
        var hasty = patient(sink)
        hasty.connectWithin = .seconds(1)
        #expect(throws: HTTPFailure.self) { try hasty.send(HTTPRequest(.get, secure)) }
        #expect(throws: HTTPFailure.self) { try patient(sink).send(HTTPRequest(.get, plain)) }
    }

    @Test(
        "An answer that drips, never comes or never ends is given up at the deadline",
        arguments: ["/drip-head", "/drip-body", "/silent"], ["plain", "good"])
    func slow(_ target: String, _ port: String) throws {
        let sink = try ActionSinkServer.shared.get()
        var client = patient(sink)
        client.answerWithin = .seconds(2)
        let begin = Clock.now()
        let failure = #expect(throws: HTTPFailure.self) {
            try client.send(HTTPRequest(.get, try sink.url(target, port: port)))
        }
        #expect(failure?.stage == .timeout, "\(String(describing: failure))")
        #expect(Clock.now() - begin >= .seconds(2))
    }

    @Test(
        "What is longer than its bound, or no HTTP, or cut, is a failure and no answer",
        arguments: [
            ("/huge", "more than"), ("/huge-chunked", "more than"), ("/huge-head", "does not answer in HTTP"),
            ("/garbage", "does not answer in HTTP"), ("/bad-chunk", "broken chunked body"),
            ("/two-lengths", "does not answer in HTTP"), ("/truncated", "inside its answer's body"),
            ("/truncated-chunks", "inside its answer's body"), ("/nothing", "without an answer"),
            ("/interims", "one interim answer after another"),
        ])
    func harmful(_ target: String, _ reason: String) throws {
        let sink = try ActionSinkServer.shared.get()
        let failure = #expect(throws: HTTPFailure.self) {
            try patient(sink).send(HTTPRequest(.get, try sink.url(target)))
        }
        #expect(failure?.stage == .answer && failure?.reason.contains(reason) == true)
    }

    @Test("Where the rest of a long body does not matter, its beginning is the answer")
    func cuts() throws {
        let sink = try ActionSinkServer.shared.get()
        var client = patient(sink)
        client.bodyBytesMax = 1_000
        client.cutsLongBodies = true
        for target in ["/huge", "/huge-chunked"] {
            let answer = try client.send(HTTPRequest(.get, try sink.url(target, port: "good")))
            #expect(answer.status == 200 && answer.body.count == 1_000)
        }
    }

    @Test("A server that answers before it has read the request is heard")
    func early() throws {
        let sink = try ActionSinkServer.shared.get()
        let request = HTTPRequest(
            .post, try sink.url("/early"), body: [UInt8](repeating: 0x61, count: 4 << 20))
        #expect(try patient(sink).send(request).status == 413)
    }

    /// An address that was free a moment ago.
    private func closedAddress() throws -> SocketAddress {
        let socket = try Socket.listen(.ip(IPAddress(ipv4: 0x7F00_0001), port: 0), reusePort: false)
        let address = Socket.localAddress(of: socket)
        return try #require(address)
    }

    @Test("A port that nobody listens on, and a name that nobody has, are told apart")
    func unreachable() throws {
        let address = try closedAddress()
        let refused = #expect(throws: HTTPFailure.self) {
            try patient().send(HTTPRequest(.get, try HTTPURL("http://\(address)/")))
        }
        #expect(refused?.stage == .connect && refused?.reason.contains("Connection refused") == true)
        let nameless = #expect(throws: HTTPFailure.self) {
            try patient().send(HTTPRequest(.get, try HTTPURL("http://nobody.invalid/")))
        }
        #expect(nameless?.stage == .resolve)
    }

    @Test("A call that is not wanted any more ends")
    func cancelled() throws {
        let sink = try ActionSinkServer.shared.get()
        var client = patient(sink)
        let begin = Clock.now()
        client.isCancelled = { Clock.now() - begin > .seconds(1) }
        let failure = #expect(throws: HTTPFailure.self) {
            try client.send(HTTPRequest(.get, try sink.url("/silent")))
        }
        #expect(failure?.stage == .cancelled)
    }

    @Test("A newline in a field value never reaches the wire")
    func injection() throws {
        let sink = try ActionSinkServer.shared.get()
        let request = HTTPRequest(
            .get, try sink.url("/injection"), fields: [("authorization", "Bearer a\r\nx-evil: 1")])
        let failure = #expect(throws: HTTPFailure.self) { try patient(sink).send(request) }
        #expect(failure?.stage == .request && failure?.description.contains("Bearer") == false)
        #expect(try sink.recorded("/injection").isEmpty)
    }
}
