// What watches the stage in force of a model's rollout: its time, requests and keys, its gates, and the
// guardrails that hold in this stage only. Made when a place is entered, dropped when it is left.
//
// In a shadow stage the candidate answers copies that no evidence ring knows: they are counted by when they
// end, from the meters' totals, which is enough for a minimum and for a gate against a constant.
// Invariant: nothing that was seen before the visit began is part of it.

import Metrics
import Proxy
import Rollout

/// The watches of one visit to one stage.
struct StageFigures: Sendable {
    let visit: StageVisit
    /// Index of the climbing version.
    let candidate: Int
    private var watch: StageWatch
    private var gates: GateWatch
    /// The stage's own guardrails.
    private var guards: CandidateWatch
    private var copies: CopyCounts?
    private(set) var reading: StageReading

    /// Goes on with what an earlier process saw of the same visit.
    /// - Parameter valuesFrom: as for `CandidateWatch`.
    init(
        _ visit: StageVisit, stage: RolloutStage?, candidate: Int, saved: Saved?, stableErrorRate: Double?,
        from: Tick, valuesFrom: (Tick) -> Tick?
    ) {
        self.visit = visit
        self.candidate = candidate
        watch = StageWatch(restoring: saved?.watch, visit: visit, from: from)
        let kept = saved.flatMap { $0.watch.visit == visit ? $0 : nil }
        if let kept {
            gates = GateWatch(
                restoring: kept.gates, specs: stage?.gates ?? [], from: from, valuesFrom: valuesFrom)
            guards = CandidateWatch(
                restoring: kept.guards, specs: stage?.guardrails ?? [], from: from,
                valuesFrom: valuesFrom)
        } else {
            gates = GateWatch(specs: stage?.gates ?? [], from: from, stableErrorRate: stableErrorRate)
            guards = CandidateWatch(specs: stage?.guardrails ?? [], from: from)
        }
        let isShadow = (stage?.shadowPPM ?? 0) > 0 && stage?.weightPPM == 0
        if isShadow { copies = CopyCounts() }
        reading = watch.reading([])
    }

    /// What a step is told beside the evidence.
    struct Facts {
        var reference: LatencyReference
        /// Different keys in this visit.
        var keys: Int
        /// What the candidate made of copies, since the start of the process.
        var copied: VersionCounts
        /// What the model's own guardrails have just said, and what they are.
        var readings: [GuardrailReading]
        var specs: [GuardrailSpec]
    }

    /// Takes in what has happened before `now`; closures as in `CandidateWatch.step`.
    /// - Returns: the readings of the stage's own guardrails.
    mutating func step(
        now: Tick, _ facts: Facts, windows: (WindowQuery) -> WindowPair?, values: ValueFeed,
        health: () -> Double?, read: (Tick) -> PairTick?
    ) -> [GuardrailReading] {
        copies?.take(facts.copied, at: now)
        let copies = copies
        func seen(_ tick: Tick) -> PairTick? {
            guard let copies else { return read(tick) }
            return PairTick(tick: tick, split: nil, candidate: copies.tick(tick), stable: ArmTick())
        }
        let found = guards.step(
            now: now, reference: facts.reference, windows: windows, values: values, health: health,
            read: read)
        let proven = gates.step(
            now: now, reference: facts.reference, readings: facts.readings + found,
            guardrails: facts.specs + guards.specs, values: values, read: seen)
        reading = watch.step(now: now, visit: visit, keys: facts.keys, gates: proven) { seen($0)?.candidate }
        return found
    }

    /// What must survive a restart inside the stage.
    var saved: Saved { Saved(watch: watch.saved, gates: gates.saved, guards: guards.saved) }

    struct Saved: Codable, Equatable, Sendable {
        var watch: StageWatch.Saved
        var gates: GateWatch.Saved
        var guards: CandidateWatch.Saved
    }
}

/// Copies that ended, by the tick in which they were seen to have.
struct CopyCounts: Sendable {
    private var last: VersionCounts?
    private var ended: [UInt64: ArmCounts] = [:]

    /// Takes the totals of a moment.
    mutating func take(_ totals: VersionCounts, at now: Tick) {
        defer { last = totals }
        guard let last, now.number > 0 else { return }
        var arm = ArmCounts()
        for outcome in Outcome.allCases {
            let raw = Int(outcome.rawValue)
            let count = UInt32(
                clamping: totals.shadowOutcomes[raw]
                    - min(last.shadowOutcomes[raw], totals.shadowOutcomes[raw]))
            arm.started += count
            arm.completed += count
            if outcome.isFailure { arm.failed += count }
            if outcome.isExcluded { arm.excluded += count }
        }
        ended[now.number - 1] = arm
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets))
        ended = ended.filter { $0.key >= oldest }
    }

    func tick(_ tick: Tick) -> ArmTick { ArmTick(randomised: ended[tick.number] ?? ArmCounts()) }
}
