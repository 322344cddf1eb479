// All guardrails of one candidate against stable, fed tick by tick.

import Metrics
import Statistics

/// The guardrails of one candidate: one watch per model and candidate, stepped every tick by control.
public struct CandidateWatch: Sendable {
    public let specs: [GuardrailSpec]

    /// Starts watching with the requests of tick `from`.
    public init(specs: [GuardrailSpec], from: Tick) {
        self.specs = specs
    }

    /// Takes over what an earlier process had seen. A guardrail whose spec has changed starts anew.
    public init(restoring saved: Saved, specs: [GuardrailSpec], from: Tick) {
        self.init(specs: specs, from: from)
    }

    /// Takes in what has happened before tick `now` and says where every guardrail stands, in the order of
    /// `specs`.
    /// - Parameters:
    ///   - now: the current tick; grows by at least one from call to call.
    ///   - reference: the model's latency thresholds, refreshed before this call.
    ///   - windows: the pair over the last `ticks` ticks, with the latency quantile asked for if any; nil
    ///     where nothing has been counted yet.
    ///   - read: the pair's counts of one tick, zeros where nothing started; nil when they are lost.
    public mutating func step(
        now: Tick, reference: LatencyReference, windows: (_ ticks: Int, _ quantile: Double?) -> WindowPair?,
        read: (Tick) -> PairTick?
    ) -> [GuardrailReading] {
        []
    }

    /// What must survive a restart; losing it spends another alpha.
    public var saved: Saved { Saved() }

    /// The evidence so far, by guardrail.
    public struct Saved: Sendable, Hashable, Codable {
        public init() {}
    }
}
