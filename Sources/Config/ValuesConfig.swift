// What a model's traffic is read for: named numbers in bodies and headers, which guardrails compare between
// versions. Made by `ConfigLoader+Values`; `ValueExtractor` reads them out of sampled exchanges.
// Invariant: names are unique in the model; at most `valuesMax`, which one scan of a body can follow.

import Payload

/// The values of a model.
package struct ValuesConfig: Sendable, Hashable {
    package static let valuesMax = 32

    /// In file order; empty: nothing is read.
    package var all: [ValueConfig] = []
    /// Share of the model's exchanges that are read, parts per million.
    package var samplePPM: UInt32 = 1_000_000

    package init() {}
}

/// One named number.
package struct ValueConfig: Sendable, Hashable {
    package var name: String
    package var source: ValueSource
}

/// Where a value stands.
package enum ValueSource: Sendable, Hashable {
    /// In a JSON body; where the path can name several values, the first one.
    case requestBody(JSONPath)
    case responseBody(JSONPath)
    /// The field of that name, lower-case, as a decimal number; the first where there are several.
    case requestHeader(String)
    case responseHeader(String)
}
