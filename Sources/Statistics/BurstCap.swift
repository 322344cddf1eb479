// What a single second may prove. A pause of one version's process (a collector, a noisy neighbour) makes all
// of its requests of that moment slow at once: that is no news about the version, however many they are. So
// the gain of a bet within a slot of time is capped, and several slots have to agree before a test can trip.
//
// Invariant: a capped bet never has more than the uncapped one, at any moment; min(wealth, cap) is a concave
// function of it, so the evidence stays an e-process.

/// The gains of a mixture's bets within the current slot of time.
public struct BurstCap: Sendable {
    /// The largest log factor that a slot may add to a bet: 3, so that two slots in a row, which a pause of
    /// up to a second touches, stay below ln(1/1 %) + ln 2, and the third may trip.
    public static let standard = 3.0

    private let most: Double
    private var gains = Lanes(repeating: 0)
    private var slot: UInt64?

    public init(most: Double = BurstCap.standard) {
        precondition(most > 0)
        self.most = most
    }

    /// Says which slot the next tick belongs to; the schedule of slots is a matter of time alone.
    public mutating func enter(slot: UInt64) {
        guard slot != self.slot else { return }
        self.slot = slot
        gains = Lanes(repeating: 0)
    }

    /// What of a tick's log factors counts, by alternative.
    mutating func limit(_ increments: Lanes) -> Lanes {
        guard most < .infinity else { return increments }
        var counted = increments
        for k in increments.indices {
            let before = min(gains[k], most)
            gains[k] += increments[k]
            counted[k] = min(gains[k], most) - before
        }
        return counted
    }
}
