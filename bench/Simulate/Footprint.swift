// What the only guardrail of a watch keeps in memory, found by reflection: its bytes in place and in arrays.
// Left out are its rule, which is configuration, and the tables of logarithms at the weight in force, which
// any guardrail could make anew.
// Invariant: `FootprintTests` counts in the same way, and fails where this exceeds a kilobyte (drift four).

import Rollout

enum Footprint {
    static func bytes(of watch: CandidateWatch) -> Int {
        let lists = Mirror(reflecting: watch).children.filter {
            !($0.value is [GuardrailSpec]) && $0.label != "places"
        }
        let found = lists.flatMap { Array(Mirror(reflecting: $0.value).children) }
        return found.reduce(0) { $0 + size($1.value) + beyond($1.value) }
    }

    private static func size<T>(_ value: T) -> Int { MemoryLayout<T>.stride }

    /// What a value keeps in arrays, less what is left out and lies in place.
    private static func beyond(_ value: Any) -> Int {
        let name = "\(type(of: value))"
        if value is GuardrailSpec || value is String || name == "OddsTable" { return -size(value) }
        if name.hasPrefix("InlineArray") { return 0 }
        // Every bet has the room of the largest, which has two tables.
        if name == "Bet", let table = table(in: value) { return -2 * size(table) }
        let parts = Mirror(reflecting: value).children.reduce(0) { $0 + beyond($1.value) }
        return parts + ((value as? any Listed)?.listBytes ?? 0)
    }

    private static func table(in value: Any) -> Any? {
        let name = "\(type(of: value))"
        if name == "OddsTable" { return value }
        if name.hasPrefix("InlineArray") { return nil }
        return Mirror(reflecting: value).children.lazy.compactMap { table(in: $0.value) }.first
    }
}

/// An array's own memory: its header and its elements.
private protocol Listed {
    var listBytes: Int { get }
}

extension Array: Listed {
    fileprivate var listBytes: Int { capacity == 0 ? 0 : 32 + capacity * MemoryLayout<Element>.stride }
}
