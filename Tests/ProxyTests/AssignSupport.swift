// What the tests of assignment share: requests as text, plans in few words, and a seed that is printed when
// a random test fails.
// Place: beside the tests named Assign…; requests go through Wire's parser, as they do in a core.
// Invariant: the seed can be given back by WEIR_TEST_SEED.

import Glibc
import Platform
import Testing
import Wire

@testable import Proxy

/// A request as a client would write it.
struct Ask {
    var method = "GET"
    var target = "/"
    var host = "example.test"
    var headers: [(String, String)] = []
    var client = IPAddress(ipv4: 0xC000_0201)

    var bytes: [UInt8] {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// Parses the request and hands head, parser and bytes over.
    func parsed<Result>(_ body: (RequestHead, borrowing HeadParser, RawSpan) -> Result) -> Result? {
        var parser = HeadParser(limits: HeadLimits(headBytesMax: 1 << 20, fieldsMax: 256))
        let bytes = self.bytes
        switch parser.request(bytes.span.bytes, scanned: 0) {
        case .complete(let head): return body(head, parser, bytes.span.bytes)
        case .needMore, .refused: return nil
        }
    }
}

extension AssignTable {
    /// Assigns `ask` to model 0, or to another.
    func assign(
        _ ask: Ask, model: Int = 0, isTrusted: Bool = false, switches: Switches = .none,
        random: inout Random64
    ) -> Assignment? {
        var stream = random
        defer { random = stream }
        return ask.parsed { head, parser, bytes in
            assign(
                model, head: head, fields: parser, bytes: bytes,
                caller: Caller(client: ask.client, isTrusted: isTrusted), switches: switches,
                random: &stream)
        }
    }

    func assign(
        _ ask: Ask, model: Int = 0, isTrusted: Bool = false, switches: Switches = .none
    ) -> Assignment? {
        var random = Random64(seed: 1)
        return assign(ask, model: model, isTrusted: isTrusted, switches: switches, random: &random)
    }

    func route(_ path: String, host: String = "") -> Int? {
        // One byte more, so that an empty text has an address too.
        Array((path + " ").utf8).withUnsafeBytes { path in
            Array((host + " ").utf8).withUnsafeBytes { host in
                guard let first = path.baseAddress, let second = host.baseAddress else { return nil }
                return route(
                    path: ByteView(first, path.count - 1), host: ByteView(second, host.count - 1))
            }
        }
    }
}

/// Versions by name and weight.
func versions(_ weights: KeyValuePairs<String, UInt32>) -> [VersionPlan] {
    weights.enumerated().map { index, pair in
        VersionPlan(slot: index, name: pair.key, weightPPM: pair.value, endpoints: [])
    }
}

/// A model that matches everything, with v1 stable.
func model(
    _ weights: KeyValuePairs<String, UInt32> = ["v1": 950_000, "v2": 50_000], cohorts: [CohortPlan] = [],
    sticky: [StickyKey] = [], salt: UInt64 = 7, shadow: ShadowPlan? = nil
) -> ModelPlan {
    ModelPlan(
        slot: 0, name: "m", matches: [RouteMatch(host: nil, path: .prefix("/"))],
        versions: versions(weights), stable: 0, cohorts: cohorts, stickyKeys: sticky, salt: salt,
        shadow: shadow)
}

/// The seed of a random test: WEIR_TEST_SEED, or the one given.
func testSeed(_ usual: UInt64) -> UInt64 {
    getenv("WEIR_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? usual
}
