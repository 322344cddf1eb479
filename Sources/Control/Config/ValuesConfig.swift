// What a model's traffic is read for: named numbers in bodies and headers, which guardrails compare between
// versions. Made by `ConfigLoader+Values`; `ValueExtractor` reads them out of sampled exchanges.
// Invariant: names are unique in the model; at most `valuesMax`, which one scan of a body can follow.

import Payload

/// The values of a model.
public struct ValuesConfig: Sendable, Hashable {
    public static let valuesMax = 32

    /// In file order; empty: nothing is read.
    public var all: [ValueConfig] = []
    /// Share of the model's exchanges that are read, parts per million.
    public var samplePPM: UInt32 = 1_000_000

    public init() {}
}

/// One named number.
public struct ValueConfig: Sendable, Hashable {
    public var name: String
    public var source: ValueSource
}

/// Where a value stands.
public enum ValueSource: Sendable, Hashable {
    /// In a JSON body; where the path can name several values, the first one.
    case requestBody(JSONPath)
    case responseBody(JSONPath)
    /// The field of that name, lower-case, as a decimal number; the first where there are several.
    case requestHeader(String)
    case responseHeader(String)
}
