// Explanations: the answer is the hot step's, the steps agree with it, and each says what it looked at.
// Place: below `weir explain`, which prints these values.
// Invariant tested: a cohort is said to hold exactly when the tables pick it or an earlier one holds.

import Platform
import Testing

@testable import Proxy

@Suite("Explanations of assignment")
struct AssignExplainTests {
    private static let plan: ModelPlan = {
        var plan = model(
            ["v1": 900_000, "v2": 100_000],
            cohorts: [
                CohortPlan(
                    name: "staff",
                    conditions: [
                        .header(name: "x-staff", .exact("1")), .cookie(name: "team", .prefix("ml")),
                    ], version: 1),
                CohortPlan(
                    name: "lab",
                    conditions: [
                        .address([AddressRange(base: IPAddress(ipv4: 0x0A01_0000), prefixBits: 112)])
                    ], version: 0),
            ],
            sticky: [.header("x-user"), .query("user"), .clientAddress],
            shadow: ShadowPlan(version: 1, ppm: 500_000, conditions: [.method("POST")]))
        plan.matches = [
            RouteMatch(host: nil, path: .prefix("/v2/models/m")),
            RouteMatch(host: "api.test", path: .prefix("/")),
        ]
        return plan
    }()
    private let explainer = Explainer(
        models: [Self.plan], trusted: [AddressRange(base: IPAddress(ipv4: 0x7F00_0001), prefixBits: 128)])

    @Test("A cohort's explanation shows each condition, what it found and whether it holds")
    func cohort() {
        let told = explainer.explain(
            method: "POST", path: "/v2/models/m/infer?user=ann",
            headers: [("X-Staff", "1"), ("Cookie", "team=ml-7"), ("x-weir-version", "v1")],
            client: IPAddress(ipv4: 0xC000_0201))
        #expect(told.model == "m" && told.match == Self.plan.matches[0])
        #expect(
            told.answer
                == .chosen(.init(version: "v2", reason: .cohort, cohort: "staff", weightPPM: 100_000)))
        #expect(told.cohorts[0].holds && told.cohorts[0].conditions.map(\.found) == ["1", "ml-7"])
        #expect(!told.cohorts[1].holds && told.cohorts[1].conditions.map(\.found) == ["192.0.2.1"])
        #expect(told.keys.map(\.found) == [nil, "ann", "192.0.2.1"] && told.keyHash == nil)
        #expect(told.forced == .untrusted(name: "v1"))
        #expect(told.shadow?.matches == true && told.shadow?.version == "v2")
    }

    @Test("A sticky explanation names the key and its hash; a cut shows in shares and reason")
    func sticky() {
        var cut = 0
        for user in 0..<40 {
            let plain = explainer.explain(path: "/v2/models/m", headers: [("x-user", "u\(user)")])
            guard case .chosen(let first) = plain.answer else { continue }
            #expect(first.reason == .sticky && plain.keyHash != nil)
            let after = explainer.explain(
                path: "/v2/models/m", headers: [("x-user", "u\(user)")], switches: [0: 0b10])
            guard case .chosen(let second) = after.answer else { continue }
            #expect(second.version == "v1" && second.reason == (first.version == "v1" ? .sticky : .cut))
            #expect(
                after.shares.map(\.weightPPM) == [1_000_000, 0]
                    && after.shares.map(\.isBarred) == [false, true])
            cut += first.version == "v2" ? 1 : 0
        }
        #expect(cut > 0)
    }

    @Test("Without a key the answer is the shares of the draw; with one version in force it is certain")
    func draw() {
        let told = explainer.explain(path: "/", host: "API.test:80")
        guard case .drawn(let shares) = told.answer else {
            Issue.record("\(told.answer)")
            return
        }
        #expect(shares.map(\.weightPPM) == [900_000, 100_000] && told.match == Self.plan.matches[1])
        let cut = explainer.explain(path: "/", host: "api.test", switches: [0: Switches.splitCut])
        guard case .chosen(let chosen) = cut.answer else {
            Issue.record("\(cut.answer)")
            return
        }
        #expect(chosen.version == "v1" && chosen.weightPPM == 1_000_000)
        #expect(explainer.explain(path: "/", host: "api.test", switches: [0: 0b11]).answer == .noVersion)
    }

    @Test("What a trusted caller forces is obeyed, and an unknown name is said to be unknown")
    func forced() {
        let peer = IPAddress(ipv4: 0x7F00_0001)
        let obeyed = explainer.explain(
            path: "/v2/models/m", headers: [("x-weir-version", "v2")], client: peer)
        #expect(obeyed.forced == .obeyed(name: "v2") && obeyed.isTrusted)
        let unknown = explainer.explain(
            path: "/v2/models/m", headers: [("x-weir-version", "v3"), ("x-forwarded-for", "10.1.2.3")],
            client: peer)
        #expect(unknown.forced == .unknown(name: "v3") && unknown.client == IPAddress(ipv4: 0x0A01_0203))
        #expect(unknown.cohorts[1].holds)
    }

    @Test("A request is explained as a core reads it: host, key, spellings and bounds")
    func readAlike() {
        let dotted = explainer.explain(path: "/", host: "Api.Test.:80", headers: [("x-user", " ann \t")])
        #expect(dotted.model == "m" && dotted.match == Self.plan.matches[1])
        #expect(dotted.keys[0].found == "ann")
        let peer = IPAddress(ipv4: 0x7F00_0001)
        let spelt = explainer.explain(
            path: "/v2/models/m", headers: [("x_weir_version", "v2"), ("x_forwarded_for", "10.1.2.3")],
            client: peer)
        #expect(spelt.forced == .absent && spelt.client == peer)
        #expect(
            explainer.explain(method: "TRACE", path: "/v2/models/m").answer
                == .refused(status: 405, cause: "trace_method"))
        let long = [("a", String(repeating: "b", count: 17_000))]
        #expect(
            explainer.explain(path: "/v2/models/m", headers: long).answer
                == .refused(status: 431, cause: "field_line_too_long"))
        var limits = Limits()
        limits.lineBytesMax = 20_000
        let wide = Explainer(models: [Self.plan], trusted: [], limits: limits)
        #expect(wide.explain(path: "/v2/models/m", headers: long).model == "m")
    }

    @Test("A request that no core would take is explained as refused or without route")
    func refused() {
        #expect(explainer.explain(path: "/other").answer == .noRoute)
        #expect(explainer.explain(path: "no slash").answer == .refused(status: 400, cause: "target_form"))
        #expect(explainer.explain(path: "/", headers: [("a b", "c")]).answer != .noRoute)
        #expect(
            explainer.explain(path: "/", headers: [("a", "b\r\nx-staff: 1")]).answer
                == .refused(status: 400, cause: "control_byte"))
    }
}
