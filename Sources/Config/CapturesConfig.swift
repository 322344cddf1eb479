// What is kept of exchanges, per model: which share, how many around a trip, what is masked, for how long.
// Read from `captures:` (ConfigLoader+Captures); PlanBuilder makes the cores' `TapPlan` of it.
// Invariant: the headers and query parameters listed here are masked whatever the file says; others whose
// names say that they carry a credential (`SecretName`) are, unless the file excepts them by name.

import Payload
import Platform
import Proxy

/// What is kept of a model's exchanges.
package struct CapturesConfig: Sendable, Hashable {
    /// Share of exchanges that is kept, whatever their version, parts per million.
    package var samplePPM: UInt32 = 10_000
    /// The last exchanges of every version that are kept when a guardrail trips or an operator cuts; 0: none.
    package var aroundTrip = 50
    /// Bytes kept of each body, at most `Limits.tapBodyBytes`.
    package var bodyBytesMax = Limits.tapBodyBytes
    /// Lower-case names of headers whose values are not kept; includes `alwaysMasked`.
    package var maskedHeaders = CapturesConfig.alwaysMasked
    /// Lower-case names of query parameters whose values are not kept; includes `alwaysMaskedQuery`.
    package var maskedQuery = CapturesConfig.alwaysMaskedQuery
    /// Lower-case names of headers and parameters that are kept although `SecretName` would have them masked.
    package var excepted: Set<String> = []
    /// Paths in JSON bodies whose values are not kept, at most `JSONMask.pathsMax`.
    package var maskedPaths: [JSONPath] = []
    /// Bytes of this model's files. More: the oldest file goes first.
    package var keepBytes = 64 << 20
    /// A file that was last written longer ago goes.
    package var keepAge = Interval.days(7)

    package init() {}

    /// Headers with credentials.
    package static let alwaysMasked: Set<String> = [
        "api-key", "authorization", "cookie", "ocp-apim-subscription-key", "proxy-authorization",
        "set-cookie",
        "x-amz-security-token", "x-api-key", "x-auth-token", "x-goog-api-key",
    ]
    /// Query parameters with credentials.
    package static let alwaysMaskedQuery: Set<String> = [
        "access_token", "api-key", "api_key", "apikey", "auth", "authorization", "client_secret", "id_token",
        "key", "passwd", "password", "pwd", "refresh_token", "secret", "sig", "signature", "token",
        "x-amz-security-token", "x-amz-signature", "x-api-key", "x-goog-signature",
    ]
    /// How often a version's next exchange is copied to be at hand for a trip, on each core.
    static let recentEvery = Interval.millis(50)
}

extension CapturesConfig {
    /// Whether the values of a header are not kept.
    package func masks(header name: String) -> Bool { masks(name, named: maskedHeaders) }

    /// Whether the values of a parameter, of a query or of a form, are not kept.
    package func masks(parameter name: String) -> Bool { masks(name, named: maskedQuery) }

    private func masks(_ name: String, named: Set<String>) -> Bool {
        let lowered = name.lowercased()
        return named.contains(lowered) || SecretName.matches(name) && !excepted.contains(lowered)
    }
}

extension ModelConfig {
    /// Which exchanges the cores copy: as many, and as much of each, as captures or values ask for; nil where
    /// nobody wants any.
    package var tap: TapPlan? {
        guard captures != nil || !values.all.isEmpty else { return nil }
        var tap = TapPlan(ppm: 0, bodyBytesMax: 0)
        if let captures {
            tap.ppm = captures.samplePPM
            tap.bodyBytesMax = captures.bodyBytesMax
            if captures.aroundTrip > 0 { tap.recentEvery = CapturesConfig.recentEvery }
        }
        if !values.all.isEmpty {
            tap.ppm = max(tap.ppm, values.samplePPM)
            tap.bodyBytesMax = Limits.tapBodyBytes
        }
        return tap
    }
}
