// Reading a file from its first byte to a `Config`: the design's own example, YAML's own ways to say a thing
// twice, files that are no text, files that are made to exhaust the reader, and whatever a random edit makes
// of a good file. A random test names its seed and the round that failed.

import ConfigSamples
import Platform
import Proxy
import Rollout
import Testing

@testable import Config

/// The example of the design's section on configuration.
private let designExample = """
    admin: { listen: 127.0.0.1:9902 }
    state_dir: /var/lib/weir
    listeners:
      - listen: 0.0.0.0:8080
    models:
      - name: recommender
        match: { path_prefix: /v2/models/recommender }
        versions:
          v1.12: { endpoints: ["127.0.0.1:9001"] }
          v1.13: { endpoints: ["127.0.0.1:9002"] }
        stable: v1.12
        candidate: v1.13
        weights: { v1.13: 5% }        # a fixed split; leave it out where `rollout` moves the weight
        sticky: { keys: [{ header: x-user-id }, { cookie: uid }, client_address] }
        cohorts:
          - { name: staff, when: { header: { x-staff: "true" } }, version: v1.13 }
        shadow: { version: v1.13, percent: 10% }
        guardrails:
          - { kind: error_rate, worse_than_stable: true, alpha: 1% }
          - { kind: latency, quantile: p99, worse_than_stable_by: 30%, alpha: 1% }
          - { kind: error_rate, above: 2%, for: 5m, min_requests: 200 }
    """

@Test("The design's example means what it says")
private func designExampleParses() throws {
    let config = try ConfigSample.file(designExample).config()
    #expect(config.admin == SocketAddress("127.0.0.1:9902"))
    #expect(config.listeners == [SocketAddress("0.0.0.0:8080")])
    #expect(config.accessLog.destination == .none)
    let model = try #require(config.model("recommender"))
    #expect(model.matches == [RouteMatch(host: nil, path: .prefix("/v2/models/recommender"))])
    #expect(model.versions.map(\.name) == ["v1.12", "v1.13"])
    #expect(model.version("v1.13")?.endpoints == [try #require(SocketAddress("127.0.0.1:9002"))])
    #expect(model.stable == "v1.12")
    #expect(model.candidates == ["v1.13"])
    #expect(model.weights == ["v1.13": 50_000])
    #expect(model.stickyKeys == [.header("x-user-id"), .cookie("uid"), .clientAddress])
    #expect(model.cohorts.map(\.name) == ["staff"])
    #expect(model.cohorts.first?.conditions == [.header(name: "x-staff", .exact("true"))])
    #expect(model.shadow?.ppm == 100_000)
    #expect(model.role(of: "v1.12") == .stable)
    #expect(model.role(of: "v1.13") == .candidate)
    var tail = GuardrailSpec(
        name: "latency_p99_worse_than_stable", measure: .latency(quantile: 0.99),
        rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.3, materialDifference: 0))
    tail.countsKeysOnce = true
    // One endpoint each.
    tail.toleratedTicks = 50
    var errors = GuardrailSpec(
        name: "error_rate_worse_than_stable", measure: .errorRate,
        rule: .sequentialWorseThanStable(rho: 1, materialRatio: 1.5, materialDifference: 0.001))
    errors.countsKeysOnce = true
    #expect(
        model.guardrails == [
            errors, tail,
            GuardrailSpec(
                name: "error_rate_above", measure: .errorRate, rule: .windowAbove(0.02), forTicks: 3_000,
                minRequests: 200),
        ])
}

@Test("A model with a candidate and no guardrails has the defaults, sharing the model's alpha")
private func guardrailsHaveDefaults() throws {
    let watched = try ConfigSample.model("alpha: 2%").config()
    #expect(
        watched.models[0].guardrails
            == GuardrailSpec.defaults(alpha: 0.02).filter { $0.measure != .health }
            .map { $0.comparing(endpoints: 1) })
    #expect(try ConfigSample.top("").config().models[0].guardrails == [])
}

@Test("Sequential guardrails without an alpha share the model's; the others keep their own")
private func alphaIsShared() throws {
    let text = """
        guardrails:
          - { kind: error_rate, worse_than_stable: true }
          - { kind: latency, quantile: p50, above: 300ms, alpha: 0.2% }
          - { kind: latency, quantile: p99, worse_than_stable: true }
          - { kind: latency, quantile: p99, above: 1s, window: 5m }
        """
    let guardrails = try ConfigSample.model(text).config().models[0].guardrails
    #expect(guardrails.map(\.alpha) == [0.006, 0.002, 0.004, 0.01])
    #expect(guardrails[1].rule == .sequentialAbove(300_000))
    #expect(guardrails[3].rule == .windowAbove(1_000_000))
    #expect(guardrails[3].windowTicks == 3_000)
}

@Test("Names in addresses stand for all their IPv4 addresses, or for the IPv6 ones where there is no other")
private func namesAreResolved() throws {
    let version = try ConfigSample.version("endpoints: [pool:80, six:81, \"unix:/run/m.sock\"]").config()
    #expect(
        version.models[0].version("v2")?.endpoints.map(\.description) == [
            "10.0.0.1:80", "10.0.0.2:80", "[::1:0:0:0:2]:81", "unix:/run/m.sock",
        ])
}

@Test(
    "The host of a match is a name without case and dot at its end, or an IPv6 address in brackets",
    arguments: [
        ("a.test", "a.test"), ("A.Test.", "a.test"), ("a_b-1.test", "a_b-1.test"), ("\"[::1]\"", "[::1]"),
        ("\"[FE80::1]\"", "[fe80::1]"), ("127.0.0.1", "127.0.0.1"), ("a:80", nil), ("\"[::1]:80\"", nil),
        ("\"[::1\"", nil), ("\"[::g]\"", nil), ("\"[a.test]\"", nil), ("\"[]\"", nil), ("\"a[b\"", nil),
        ("\"::1\"", nil),
    ] as [(String, String?)])
private func matchHosts(_ written: String, _ host: String?) throws {
    let text = """
        listeners: [{ listen: 127.0.0.1:8080 }]
        models:
          - { name: m, match: { host: \(written) }, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
        """
    let config = try? ConfigSample.file(text).config()
    #expect(config?.models[0].matches[0].host == host)
}

@Test("Anchors, aliases and merge keys mean what YAML says")
private func aliasesWork() throws {
    let text = """
        listeners: [{ listen: &here 127.0.0.1:8080 }]
        models:
          - name: a
            match: { host: a }
            versions:
              v1: &v
                endpoints: [127.0.0.1:9001]
                max_in_flight: 7
                queue: { max: 3 }
              v2: { <<: *v, endpoints: [127.0.0.1:9002], max_in_flight: 8 }
              v3: { <<: [{ slow_start: 1s }, *v] }
            stable: v1
        """
    let model = try ConfigSample.file(text).config().models[0]
    #expect(model.versions.map(\.inFlightMax) == [7, 8, 7])
    #expect(model.versions.map(\.queueMax) == [3, 3, 3])
    #expect(model.versions.map { $0.endpoints[0].description.suffix(1) } == ["1", "2", "1"])
    #expect(model.versions[2].slowStart == .seconds(1))
}

@Test("Aliases that expand without end are refused in bounded time")
private func aliasBombIsRefused() {
    var text = "a0: &a0 { x: 1 }\n"
    for level in 1...40 {
        let below = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
        text += "a\(level): &a\(level) { <<: [\(below)] }\n"
    }
    text += "limits: *a40\n"
    let problems = ConfigSample.file(text).problems
    #expect(problems.contains { $0.message.hasPrefix("aliases expand the file") })
}

@Test("Nesting without end is refused, and neither it nor a list of thousands of mistakes overflows anything")
private func hugeFilesAreRefused() {
    for open in ["[", "{a: ", "- "] {
        let problems = ConfigSample.file("models: \n  " + String(repeating: open, count: 5_000)).problems
        #expect(problems.count == 1)
    }
    // Each has a bad name, no versions, and (but for the first) the match of the first.
    let names = (0..<Limits.modelsMax).map { "  - name: \($0) x" }.joined(separator: "\n")
    let text = "listeners: [{ listen: 127.0.0.1:80 }]\nmodels:\n\(names)\n"
    #expect(ConfigSample.file(text).problems.count == 3 * Limits.modelsMax - 1)
}

@Test("Every problem of a file is reported at once, in the order of the file")
private func allProblemsAtOnce() {
    let text = """
        admin: { listen: 0.0.0.0:9902 }
        listeners: [{ listen: 8080 }]
        models:
          - name: m
            versions:
              v1: { endpoint: [127.0.0.1:9001] }
              v1: { endpoints: [127.0.0.1] }
            stable: v2
            weights: { v3: 5 }
        """
    #expect(
        ConfigSample.file(text).problems.map { "\($0.line):\($0.column)" } == [
            "1:18", "2:23", "6:13", "7:7", "8:13", "9:16", "9:20",
        ])
}

@Test("A duplicate key is told with both of its places, however it is quoted, and hides no other problem")
private func duplicatesAreTold() {
    let text = """
        cores: 1
        "cores": 2
        'cores': x
        listeners: [{ listen: 127.0.0.1:8080, listen: 127.0.0.1:8081 }]
        models: [{ name: m, versions: { v1: { endpoints: [127.0.0.1:9001] } }, name: n, shield: 1 }]
        """
    let problems = ConfigSample.file(text).problems
    #expect(problems.map { "\($0.line):\($0.column)" } == ["2:1", "3:1", "4:39", "5:72", "5:89"])
    #expect(
        problems[0].description.hasSuffix(
            "duplicate key 'cores'; expected it once; it stands first in line 1"))
}

@Test("Bytes that are not UTF-8 are refused with their place")
private func badBytesAreRefused() {
    let bytes = Array("cores: 2\nab: ".utf8) + [0xFF, 0x0A]
    guard
        case .failure(let problems) = ConfigLoader.parse(bytes: bytes, file: "w", resolve: ConfigSample.names)
    else {
        Issue.record("it was accepted")
        return
    }
    #expect(problems.description == "w:2:5: is not UTF-8 text")
}

@Test("A byte order mark, CRLF line ends and comments change nothing")
private func lineEndsChangeNothing() throws {
    let text = ConfigSample.model("weights: { v2: 5% } # five").text
    let plain = try ConfigSample.file(text).config().models
    #expect(try ConfigSample.file("\u{FEFF}" + text).config().models == plain)
    #expect(try ConfigSample.file(text.replacing("\n", with: "\r\n")).config().models == plain)
    let broken = text.replacing("5%", with: "5").replacing("\n", with: "\r\n")
    #expect(ConfigSample.file(broken).problems.map { "\($0.line):\($0.column)" } == ["9:20"])
}

@Test("The digest is SHA-256 of the file's bytes")
private func digestIsSHA256() throws {
    // FIPS 180-4, the example of one block.
    #expect(Digest.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    let sample = ConfigSample.top("cores: 2")
    #expect(try sample.config().digest == Digest.sha256(sample.text))
}

@Test(
    "A good file with random edits is accepted, or refused with places inside it",
    arguments: [11, 12, 13, 14])
private func editedFilesAreJudged(_ seed: UInt64) throws {
    let path = configTestRoot + "/deploy/weir.yaml"
    let good = try File.readAll(path, bytesMax: 1 << 20)
    let lines = good.split(separator: 0x0A, omittingEmptySubsequences: false)
    var random = Random64(seed: seed)
    for round in 0..<60 {
        var edited = lines.filter { !$0.starts(with: Array("#".utf8)) }
        for _ in 0...random.below(3) {
            let at = Int(random.below(UInt64(edited.count)))
            let other = Int(random.below(UInt64(edited.count)))
            switch random.below(5) {
            case 0: edited.remove(at: at)
            case 1: edited.insert(edited[other], at: at)
            case 2: edited.swapAt(at, other)
            case 3 where !edited[at].isEmpty:
                let cut = Int(random.below(UInt64(edited[at].count)))
                edited[at] = edited[at].prefix(cut)
            default:
                var line = Array(edited[at])
                let bytes = Array("{}[]:,&*!|>'\"%@-#?~ \t0\u{E9}\0".utf8)
                line.insert(
                    bytes[Int(random.below(UInt64(bytes.count)))],
                    at: Int(random.below(UInt64(line.count + 1))))
                edited[at] = line[...]
            }
        }
        let bytes = Array(edited.joined(separator: [0x0A]))
        let result = ConfigLoader.parse(bytes: bytes, file: "w", resolve: ConfigSample.names)
        guard case .failure(let problems) = result else { continue }
        #expect(!problems.all.isEmpty)
        for problem in problems.all {
            #expect(problem.line <= edited.count + 1, "seed \(seed) round \(round): \(problem)")
            #expect(!problem.message.contains("defect"), "seed \(seed) round \(round): \(problem)")
        }
    }
}
