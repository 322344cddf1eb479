// What only Weir or a trusted proxy may say, over real sockets: other spellings, Connection options,
// trailers, and methods that are refused.
// Source: RFC 9110 sections 6.5.1, 7.6.1, 9.3.8 and 15.5.6.

import Metrics
import Platform
import Testing

@testable import Proxy

@Suite struct GuardedHeadTests {
    @Test("A Connection option takes away nothing that Weir adds, or that is known to be end-to-end")
    func connectionOptions() throws {
        let names = [
            "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "traceparent",
            "authorization", "cookie", "content-type", "cache-control", "x-weir-shadow", "te",
        ]
        let option = "Connection: close, \(names.joined(separator: ", ")), x-hop"
        let sent = [
            "X-Request-Id: mine", "X-Forwarded-For: 9.9.9.9", "Traceparent: 00-1-2-01", "Authorization: s",
            "Cookie: a=1", "Content-Type: t", "Cache-Control: c", "X-Hop: 1", "TE: trailers",
        ]
        for trusted in [false, true] {
            for withFields in [false, true] {
                let lines = [option] + (withFields ? sent : [])
                let seen = try seenBehind(request("GET", "/", lines), trusted: trusted)
                #expect(seen["x-forwarded-proto"] == "http" && seen["x-forwarded-host"] == "model.test")
                #expect(seen["x-hop"] == nil && seen["connection"] == nil)
                if withFields {
                    #expect(seen["x-request-id"] == "mine")
                    #expect(seen["x-forwarded-for"] == "9.9.9.9, 127.0.0.1")
                    for name in ["traceparent", "authorization", "cookie", "content-type", "cache-control"] {
                        #expect(seen.all(name).count == 1, "\(name)")
                    }
                    #expect(seen["te"] == "trailers")
                } else {
                    #expect(seen["x-request-id"]?.count == 32)
                    #expect(seen["x-forwarded-for"] == "127.0.0.1")
                }
            }
        }
    }

    @Test("A shadow copy keeps its mark and a response its stamp, whatever Connection names")
    func stamps() throws {
        let origin = try Origin.answering { _ in
            ok("x", "Connection: x-weir-version, server, x-hop", "Server: s", "X-Hop: 1")
        }
        let copied = try Origin.named("copy")
        var model = ModelPlan.trial([
            .version(0, "stable", 1_000_000, [origin.address]), .version(1, "next", 0, [copied.address]),
        ])
        model.shadow = ShadowPlan(version: 1, ppm: 1_000_000)
        let plane = try Plane([model])
        let response = try plane.ask(
            get("/", "Connection: x-weir-shadow, x-weir-version", "x-weir-shadow: 0"))
        #expect(
            response["x-weir-version"] == "stable" && response["server"] == "s" && response["x-hop"] == nil)
        let copy = try copied.seen.wait(for: 1)[0]
        #expect(copy.all("x-weir-shadow") == ["1"])
    }

    static let spellings = [
        "x_forwarded_for", "X_Forwarded-For", "X-FORWARDED_FOR", "x_forwarded_proto", "x-forwarded_host",
        "X_Forwarded_Port", "x_request_id", "X-Request_ID", "x_weir_version", "X_WEIR_ID", "x-weir_shadow",
        "x_weir-anything", "X-Weir-", "x_weir_", "keep_alive", "proxy_authorization",
    ]

    @Test(
        "A spelling that a server takes for a field of Weir's does not pass; others with '_' do",
        arguments: [false, true])
    func spellings(trusted: Bool) throws {
        let lines = Self.spellings.map { "\($0): forged" }
        let seen = try seenBehind(
            request("GET", "/", lines + ["user_id: 7", "x-weird: 8", "x_trace_id: 9", "content_type: t"]),
            trusted: trusted)
        #expect(!seen.head.contains("forged"))
        #expect(!seen.head.lowercased().contains("weir-") && !seen.head.lowercased().contains("weir_"))
        #expect(seen["user_id"] == "7" && seen["x-weird"] == "8" && seen["x_trace_id"] == "9")
        #expect(seen["content_type"] == "t")
        #expect(seen.all("x-forwarded-for") == ["127.0.0.1"] && seen.all("x-request-id").count == 1)
    }

    @Test("The port that a caller was asked at is believed of a trusted proxy only")
    func port() throws {
        #expect(try seenBehind(get("/", "X-Forwarded-Port: 443"))["x-forwarded-port"] == nil)
        #expect(try seenBehind(get("/", "X-Forwarded-Port: 443"), trusted: true)["x-forwarded-port"] == "443")
    }

    @Test("x-weir-* of a model server reaches no client, in heads of any kind")
    func responses() throws {
        let origin = try Origin { peer, _ in
            while try peer.request() != nil {
                try peer.send("HTTP/1.1 103 Early Hints\r\nx-weir-id: forged\r\nx_weir_id: forged\r\n\r\n")
                try peer.send(
                    ok("x", "X-Weir-: forged", "x_weir_version: forged", "X-Weir_Id: forged", "x-kept: 1"))
            }
        }
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(get())
        #expect(!(try client.responseHead().head.contains("forged")))
        let response = try client.response()
        #expect(!response.head.contains("forged") && response["x-kept"] == "1")
        #expect(response.all("x-weir-version") == ["stable"])
    }

    private static let trailers =
        "x-sum: 1\r\nX-Weir-Version: forged\r\nx_weir_id: forged\r\nX-Forwarded-For: forged\r\n"
        + "x_request_id: forged\r\nAuthorization: forged\r\nRange: forged\r\nx-request-id: forged\r\n"
        + "grpc-status: 0\r\n\r\n"

    @Test("Trailers say nothing that belongs into a head, in both directions", arguments: [false, true])
    func trailers(trusted: Bool) throws {
        let origin = try Origin.answering { _ in
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + Self.trailers
        }
        var model = ModelPlan.trial([.version(0, "stable", 1_000_000, [origin.address])])
        model.versions[0].rewrite = RewritePlan(
            addHeaders: [.init(name: "x-set", value: "ours")], removeHeaders: ["x-removed"])
        let plane = try Plane([model], trusted: trusted ? [AddressRange.loopback] : [])
        let head = request("POST", "/", ["transfer-encoding: chunked"])
        let response = try plane.ask(
            head + "3\r\nabc\r\n0\r\nX-Set: forged\r\nx-removed: forged\r\n" + Self.trailers)
        let seen = try origin.seen.wait(for: 1)[0]
        for message in [seen, response] {
            #expect(message.trailers.map { "\($0.name)=\($0.value)" } == ["x-sum=1", "grpc-status=0"])
        }
        #expect(seen.text == "abc" && seen.all("x-set") == ["ours"])
    }

    @Test(
        "TRACE and TRACK are refused with the methods that are allowed, and reach no model server",
        arguments: ["TRACE", "TRACK", "trace"])
    func trace(method: String) throws {
        let origin = try Origin.named("a")
        let plane = try Plane(to: origin)
        let client = try plane.connect()
        try client.send(request(method, "/", ["Cookie: session=1", "Authorization: s"]))
        let response = try client.response()
        #expect(response.status == 405 && response.reason == "trace_method")
        #expect(response["allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH")
        #expect(!response.head.contains("session"))
        #expect(try client.end() == .orderly)
        #expect(origin.connections.count == 0)
        try plane.settle()
        #expect(plane.core.refusals[Int(RefusalCause.notImplemented.rawValue)] == 1)
    }
}
