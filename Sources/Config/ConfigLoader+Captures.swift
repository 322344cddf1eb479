// `models[].captures`: one line per key, in the order of the reference page. Every key has a default, so an
// empty section keeps one exchange in a hundred for a week and masks what carries credentials.
// Invariant: what comes out fits the data plane's slots and the masker's bound.

import Payload
import Platform
import Proxy

extension Kind where Value == CapturesConfig {
    static var captures: Kind {
        .section("a mapping such as {sample: 1%}") { section in
            var captures = CapturesConfig()
            captures.samplePPM = section.value("sample", .percentage(), or: captures.samplePPM)
            captures.aroundTrip = section.value("around_a_trip", .count(0...1_000), or: captures.aroundTrip)
            captures.bodyBytesMax = section.value(
                "body_bytes", .size(0...Limits.tapBodyBytes), or: captures.bodyBytesMax)
            if let mask = section.optional("mask", .mask) {
                captures.maskedHeaders.formUnion(mask.headers)
                captures.maskedQuery.formUnion(mask.query)
                captures.maskedPaths = mask.paths
                captures.excepted = mask.excepted
            }
            captures.keepBytes = section.value(
                "keep_bytes", .size((1 << 20)...(1 << 40)), or: captures.keepBytes)
            captures.keepAge = section.value(
                "keep_age", .duration(.seconds(60) ... .days(3_650)), or: captures.keepAge)
            return captures
        }
    }
}

/// What is not to be kept.
private struct MaskDraft {
    var headers: [String]
    var query: [String]
    var paths: [JSONPath]
    var excepted: Set<String>
}

extension Kind where Value == MaskDraft {
    fileprivate static var mask: Kind {
        .section("a mapping with headers, query, json and except") { section in
            let excepted = section.value(
                "except",
                .list(of: .marked(.text("the name of a header or of a query parameter")), count: 0...64),
                or: [])
            let headers = section.value("headers", .list(of: .headerName, count: 0...64), or: [])
            let query = section.value(
                "query", .list(of: .text("the name of a query parameter"), count: 0...64), or: []
            ).map { $0.lowercased() }
            for name in excepted {
                guard let problem = objection(to: name.value.lowercased(), headers, query) else { continue }
                section.reading.report(
                    name.place, problem, value: name.value,
                    expected: "a name that only its words make a secret, such as x-session-id")
            }
            return MaskDraft(
                headers: headers, query: query,
                paths: section.value("json", .list(of: .jsonPath, count: 0...JSONMask.pathsMax), or: []),
                excepted: Set(excepted.map { $0.value.lowercased() }))
        }
    }

    /// Why an exception would change nothing; nil when it does.
    private static func objection(to name: String, _ headers: [String], _ query: [String]) -> String? {
        let always = CapturesConfig.alwaysMasked.union(CapturesConfig.alwaysMaskedQuery)
        if always.contains(name) { return "is a credential's name and always masked:" }
        let isName =
            name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"&=#?".utf8.contains($0) } && name.last != ":"
        if !isName { return "is no name that a header or a query parameter can have:" }
        if !SecretName.matches(name) { return "is not masked anyway:" }
        if headers.contains(name), query.contains(name) { return "is also listed under headers and query:" }
        return nil
    }
}
