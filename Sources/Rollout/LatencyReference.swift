// The latency thresholds of a model's guardrails: tau, stable's own quantile, measured and then frozen, and
// what candidates are held to. One per model, because stable has one set of fast slots for all candidates.
//
// A sequential rule against stable takes two slots: one for the evidence (rho * tau for the candidate) and
// one for the size of the effect (materialRatio * tau); a constant threshold takes one. Equal slots are
// shared. Where sticky keys count once, they do so in the evidence's slot; sizes are over all requests.
//
// Invariant: a threshold is chosen from the past only and takes effect for ticks that start later.
// Source: guardrails/statistics.md, section 3.3 and trap 6.

import Metrics

/// Frozen latency thresholds, by fast slot, for the meters of stable and of every candidate. Control writes
/// them to the meters when it makes or restores a reference, and whenever `refresh` says so.
public struct LatencyReference: Sendable, Hashable, Codable {
    /// What a fast slot counts.
    private enum Slot: Sendable, Hashable, Codable {
        /// The candidate against `factor` times stable's quantile, stable against its quantile.
        case relative(quantile: Double, factor: Double)
        /// The same, a sticky key's slow requests counted once.
        case firstPerKey(quantile: Double, factor: Double)
        /// Both against microseconds.
        case constant(UInt32)
        /// Both against what is gross beside stable's latency.
        case gross

        /// The quantile of stable's and the candidate's factor; nil where there is no such factor.
        var share: (quantile: Double, factor: Double)? {
            switch self {
            case .relative(let quantile, let factor), .firstPerKey(let quantile, let factor):
                (quantile, factor)
            case .constant, .gross: nil
            }
        }
    }

    /// The slots in which a sticky key's slow requests count once.
    public var countsKeysOnce: KeyEvents {
        var events: KeyEvents = []
        for (i, slot) in slots.enumerated() {
            if case .firstPerKey = slot { events.insert(.slow(i)) }
        }
        return events
    }

    /// Thresholds in microseconds, by slot, at most `ArmCounts.fastSlots`; 0 where none is known yet.
    public private(set) var candidateThresholds: [UInt32]
    public private(set) var stableThresholds: [UInt32]
    /// Stable's p99 in ticks, rounded up: how long most of its requests may be in flight. Nil when unknown.
    public private(set) var stableLagTicks: UInt64?
    private let slots: [Slot]
    /// Slots that say how large an effect is and nothing else; nil in states saved before there were any.
    private let sizes: Set<Int>?
    /// Ticks of the first renewal, of the last one, and of the last look.
    private var firstRenewedAt: UInt64?
    private var renewedAt: UInt64?
    private var lookedAt: UInt64?

    /// Requests of stable without which no quantile is taken for a threshold. Any threshold that was chosen
    /// beforehand is sound, so the first is taken from few requests, and renewed soon.
    public static let requestsMin: UInt64 = 50
    /// The same for what is gross, which lies far from all of them.
    static let grossRequestsMin: UInt64 = 20
    /// Ticks between two looks before anything is known.
    private static let firstLookTicks: UInt64 = 3
    /// What is gross: above both stable's median and its p99 by that factor.
    public static let grossMedians = 4.0
    private static let grossTails = 1.3
    /// Where clocks have whole milliseconds, one more than the median may be twice the median: there an
    /// effect is large beyond the next value, the quantile of so much of the ranks above more.
    private static let rankStep = 0.1
    /// Ticks between two renewals: at first a second, because what a process serves in its first second is
    /// no measure of it, then as long as it has been, up to a minute.
    private static let renewalTicks = 10...600 as ClosedRange<UInt64>

    /// - Parameters:
    ///   - specs: every guardrail that may be in force.
    ///   - gates: every gate of every stage.
    public init(specs: [GuardrailSpec], gates: [GateSpec] = []) {
        var slots: [Slot] = []
        let needed =
            specs.flatMap { LatencyReference.slots(of: $0) }
            + gates.compactMap { LatencyReference.slot(of: $0) }
        for slot in needed where !slots.contains(slot) { slots.append(slot) }
        // What rules and gates leave free.
        if specs.contains(where: { $0.isLatencyBet && $0.watchesGrossSlowness }) { slots.append(.gross) }
        self.slots = Array(slots.prefix(ArmCounts.fastSlots))
        let compared =
            specs.compactMap { LatencyReference.slots(of: $0).first }
            + gates.compactMap { LatencyReference.slot(of: $0) }
        sizes = Set(self.slots.indices.filter { !compared.contains(slots[$0]) && slots[$0].share != nil })
        stableThresholds = self.slots.map { if case .constant(let micros) = $0 { micros } else { 0 } }
        candidateThresholds = stableThresholds
    }

    /// The reference of an earlier process or of another configuration goes on: what both count keeps its
    /// threshold until enough of stable's requests have been seen here.
    public init(
        specs: [GuardrailSpec], gates: [GateSpec] = [], keeping old: LatencyReference, at now: Tick
    ) {
        self.init(specs: specs, gates: gates)
        stableLagTicks = old.stableLagTicks
        for (i, slot) in slots.enumerated() {
            guard let k = old.slots.firstIndex(of: slot) else { continue }
            stableThresholds[i] = old.stableThresholds[k]
            candidateThresholds[i] = old.candidateThresholds[k]
        }
        if old.renewedAt != nil, !stableThresholds.contains(0) {
            firstRenewedAt = now.number
            renewedAt = now.number
        }
    }

    /// Latency slots that the sequential rules of `specs` need; more than `ArmCounts.fastSlots` cannot be
    /// served, and the rules left over never have data.
    public static func slotsNeeded(by specs: [GuardrailSpec], gates: [GateSpec] = []) -> Int {
        Set(specs.flatMap { slots(of: $0) } + gates.compactMap { slot(of: $0) }).count
    }

    /// A gate compares once, at its margin.
    private static func slot(of gate: GateSpec) -> Slot? {
        guard case .latency(let quantile) = gate.metric else { return nil }
        return .relative(quantile: quantile, factor: 1 + gate.margin)
    }

    /// Where a latency gate is counted; nil when the slots did not suffice.
    func slot(for gate: GateSpec) -> Int? {
        LatencyReference.slot(of: gate).flatMap { slots.firstIndex(of: $0) }
    }

    /// The evidence's slot, then that of the size.
    private static func slots(of spec: GuardrailSpec) -> [Slot] {
        guard case .latency(let quantile) = spec.measure else { return [] }
        switch spec.rule {
        case .sequentialWorseThanStable(let rho, let material, _):
            guard !spec.countsKeysOnce else {
                return [
                    .firstPerKey(quantile: quantile, factor: rho),
                    .relative(quantile: quantile, factor: max(material, rho)),
                ]
            }
            let evidence = Slot.relative(quantile: quantile, factor: rho)
            guard material > rho else { return [evidence] }
            return [evidence, .relative(quantile: quantile, factor: material)]
        case .sequentialAbove(let micros):
            return [.constant(LatencyReference.micros(micros))]
        default:
            return []
        }
    }

    /// Where requests are counted by the lowest quantile of stable's that is known, its median at the least.
    private var medianSlot: Int? {
        let known = slots.indices.filter {
            guard case .relative(let quantile, let factor) = slots[$0] else { return false }
            return quantile >= 0.5 && factor >= 1
        }
        func quantile(_ slot: Int) -> Double { slots[slot].share?.quantile ?? 1 }
        return known.min { quantile($0) < quantile($1) }
    }

    /// Where a sequential latency rule is counted; nil when the slots did not suffice. Of an outage rule,
    /// where stable's median is.
    func slots(for spec: GuardrailSpec) -> (evidence: Int, size: Int)? {
        if spec.watchesLoss {
            return medianSlot.map { ($0, $0) }
        }
        let needed = LatencyReference.slots(of: spec)
        guard let first = needed.first, let evidence = slots.firstIndex(of: first),
            let size = slots.firstIndex(of: needed[needed.count - 1])
        else { return nil }
        return (evidence, size)
    }

    /// Where what is grossly slow is counted; nil when no slot was left, or no rule asks.
    var grossSlot: Int? { slots.firstIndex(of: .gross) }

    /// Whether `refresh` would look at anything: at most once a second, until something is known every 0.3 s.
    public func isDue(at now: Tick) -> Bool {
        let shortest = UInt64(LatencyReference.renewalTicks.lowerBound)
        let pause = firstRenewedAt == nil ? LatencyReference.firstLookTicks : shortest
        if let lookedAt, now.number < lookedAt &+ pause { return false }
        guard let first = firstRenewedAt, let last = renewedAt else { return true }
        let range = LatencyReference.renewalTicks
        return now.number >= last &+ min(max(last - first, range.lowerBound), range.upperBound)
    }

    /// Looks at stable's latency and renews what is due: the first time with at least `requestsMin`
    /// requests, soon again at first, once a minute later on. Cheap when nothing is due.
    /// - Parameters:
    ///   - requests: settled requests of stable in the histogram.
    ///   - quantile: stable's quantile in microseconds, the upper edge of its bin.
    /// - Returns: whether thresholds changed; the caller then writes them to the meters at once.
    public mutating func refresh(now: Tick, requests: UInt64, quantile: (Double) -> UInt64?) -> Bool {
        guard requests > 0, isDue(at: now) else { return false }
        lookedAt = now.number
        if let p99 = quantile(0.99) { stableLagTicks = LatencyReference.ticks(p99) }
        let before = (candidateThresholds, stableThresholds)
        guard requests >= LatencyReference.requestsMin else {
            // Once, and soon again with all others.
            if requests >= LatencyReference.grossRequestsMin, let i = grossSlot, stableThresholds[i] == 0 {
                setGross(i, quantile)
            }
            return before != (candidateThresholds, stableThresholds)
        }
        firstRenewedAt = firstRenewedAt ?? now.number
        renewedAt = now.number
        for (i, slot) in slots.enumerated() {
            if case .gross = slot { setGross(i, quantile) }
            guard let (q, factor) = slot.share, let tau = quantile(q), tau > 0 else { continue }
            stableThresholds[i] = LatencyReference.micros(Double(tau))
            candidateThresholds[i] = LatencyReference.threshold(factor, of: stableThresholds[i])
            if sizes?.contains(i) == true, let next = quantile(q + LatencyReference.rankStep * (1 - q)) {
                candidateThresholds[i] = max(candidateThresholds[i], LatencyReference.micros(Double(next)))
            }
        }
        return before != (candidateThresholds, stableThresholds)
    }

    private mutating func setGross(_ slot: Int, _ quantile: (Double) -> UInt64?) {
        guard let median = quantile(0.5), let tail = quantile(0.99), tail > 0 else { return }
        let (medians, tails) = (LatencyReference.grossMedians, LatencyReference.grossTails)
        stableThresholds[slot] = LatencyReference.micros(
            max(medians * Double(median), tails * Double(tail)).rounded(.up))
        candidateThresholds[slot] = stableThresholds[slot]
    }

    /// Whole ticks that hold `micros`.
    static func ticks(_ micros: UInt64) -> UInt64 {
        (micros + Tick.micros - 1) / Tick.micros
    }

    /// What a candidate is held to beside stable's threshold `tau`.
    static func threshold(_ factor: Double, of tau: UInt32) -> UInt32 {
        micros((factor * Double(tau)).rounded(.up))
    }

    static func micros(_ value: Double) -> UInt32 {
        UInt32(min(max(value, 1), Double(UInt32.max)))
    }
}
