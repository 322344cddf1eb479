// "for 5 m": the timer of the industry's rules. It starts at the first evaluation that holds; any that does
// not, and any without enough data, resets it.
// Source: guardrails/statistics.md, sections 4.3 and 7.

/// How long a condition has held without a gap.
public struct Debounce: Sendable, Hashable, Codable {
    /// The tick since which it has held.
    private var since: UInt64?

    public init() {}

    /// Takes in one evaluation. `holds` is nil where there is not enough data.
    /// - Returns: whether the condition has held for at least `forTicks`.
    public mutating func evaluate(_ holds: Bool?, tick: UInt64, forTicks: UInt64) -> Bool {
        guard holds == true else {
            since = nil
            return false
        }
        let start = since ?? tick
        since = start
        return tick - start >= forTicks
    }

    /// How many ticks the condition has held at `tick`; nil when it does not.
    public func held(at tick: UInt64) -> UInt64? {
        since.map { tick - $0 }
    }
}
