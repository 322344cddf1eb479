// The admin API's table: who is refused, and what a body must look like.

import Testing

@testable import Control
@testable import Sidecar

private func request(
    _ method: String, _ path: String, host: String = "127.0.0.1", type: String? = nil, body: String = "",
    origin: String? = nil, fetchSite: String? = nil
) -> AdminRequest {
    AdminRequest(
        method: method, path: path, host: host, contentType: type, accept: nil, origin: origin,
        fetchSite: fetchSite, body: Array(body.utf8),
        peer: AdminPeer(description: "127.0.0.1", isUnixSocket: false, localHost: "127.0.0.1"))
}

private func status(_ request: AdminRequest) -> Int? {
    guard case .answer(let response) = AdminRoutes.errand(request) else { return nil }
    return response.status
}

@Suite struct AdminRoutesTests {
    @Test(
        "A request that a web page may have caused is refused",
        arguments: [
            (request("GET", "/status", host: "evil.example"), 421),
            (request("GET", "/metrics", host: "rebind.example"), 421),
            (request("GET", "/status", host: "127.0.0.1.evil.example"), 421),
            (request("GET", "/status", host: "127.1"), 421),
            (request("GET", "/status", host: ""), 421),
            (request("GET", "/status", fetchSite: "cross-site"), 403),
            (request("GET", "/status", fetchSite: "same-site"), 403),
            (request("GET", "/status", origin: "http://evil.example"), 403),
            (request("GET", "/status", origin: "null"), 403),
            (request("POST", "/verbs/rollback", type: "text/plain", body: "{\"model\":\"m\"}"), 415),
            (request("POST", "/verbs/rollback", body: "{\"model\":\"m\"}"), 415),
            (request("POST", "/verbs/reload", type: "application/x-www-form-urlencoded"), 415),
            (request("GET", "/verbs/rollback"), 405), (request("OPTIONS", "/verbs/rollback"), 405),
            (request("POST", "/status"), 405), (request("DELETE", "/livez"), 405),
            (request("POST", "/verbs/abort", type: "application/json"), 404),
            (request("GET", "/"), 404), (request("GET", "/verbs"), 404), (request("GET", "/status/"), 404),
        ] as [(AdminRequest, Int)])
    func refused(request: AdminRequest, expected: Int) {
        #expect(status(request) == expected)
    }

    @Test(
        "A body that is not exactly a verb is refused with a sentence",
        arguments: [
            ("rollback", "{}"), ("rollback", "[]"), ("rollback", "{"), ("rollback", "{\"modle\":\"m\"}"),
            ("rollback", "{\"model\":7}"), ("rollback", "{\"model\":\"\"}"),
            ("rollback", "{\"model\":\"m\",\"reason\":\"a\\nb\"}"),
            ("rollback", "{\"model\":\"m\",\"weights\":{\"v\":\"1%\"}}"),
            ("weights", "{\"model\":\"m\"}"), ("weights", "{\"model\":\"m\",\"weights\":{\"v\":10}}"),
            ("weights", "{\"model\":\"m\",\"weights\":{\"v\":\"101%\"}}"),
            ("weights", "{\"model\":\"m\",\"weights\":{\"v\":\"-1%\"}}"),
            ("weights", "{\"model\":\"m\",\"weights\":{\"v\":\"0.00001%\"}}"),
            ("weights", "{\"model\":\"m\",\"weights\":{\"a\":\"60%\",\"b\":\"41%\"}}"),
            ("unquarantine", "{\"model\":\"m\"}"), ("promote", "{\"model\":\"m\",\"force\":\"yes\"}"),
        ])
    func badBodies(verb: String, body: String) {
        let errand = AdminRoutes.errand(
            request("POST", "/verbs/" + verb, type: "application/json", body: body))
        guard case .answer(let response) = errand else {
            Issue.record("accepted")
            return
        }
        #expect(response.status == 400)
    }

    @Test("A verb's body and its value are inverses")
    func roundTrip() throws {
        let verb = AdminVerb(
            .weights, model: "m", reason: "why", actor: "ann", requestID: "r1",
            weights: ["v1": 125_000, "v2": 1], force: true)
        #expect(try AdminVerb(word: .weights, body: Array(verb.json.text.utf8)) == verb)
        let errand = AdminRoutes.errand(
            request("POST", "/verbs/weights", type: "application/json", body: verb.json.text))
        #expect(errand == .verb(verb))
    }

    @Test("Local hosts are welcome in any spelling")
    func welcome() {
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1"] {
            #expect(AdminRoutes.errand(request("GET", "/status", host: host)) == .status)
        }
        let own = request("GET", "/status", origin: "http://localhost:9902", fetchSite: "same-origin")
        #expect(AdminRoutes.errand(own) == .status)
        #expect(AdminRoutes.errand(request("GET", "/readyz", host: "10.0.0.7")) == .readiness)
        #expect(AdminRoutes.host(ofAuthority: "LOCALHOST:9902") == "localhost")
        #expect(AdminRoutes.host(ofAuthority: "[::1]:9902") == "::1")
    }
}
