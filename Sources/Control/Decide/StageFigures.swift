// What watches the stage in force of a model's rollout: its time, requests and keys, its gates, and the
// guardrails that hold in this stage only. Made when a place is entered, dropped when it is left.
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
        reading = watch.reading([])
    }

    /// What a step is told beside the evidence.
    struct Facts {
        var reference: LatencyReference
        /// Different keys in this visit, and whether keys are what is assigned.
        var keys: Int
        var isSticky = false
        /// What the model's own guardrails have just said, and what they are.
        var readings: [GuardrailReading]
        var specs: [GuardrailSpec]
    }

    /// Takes in what has happened before `now`; closures as in `CandidateWatch.step`.
    /// - Returns: the readings of the stage's own guardrails.
    mutating func step(
        now: Tick, _ facts: Facts, windows: (WindowQuery) -> WindowPair?, values: ValueFeed,
        health: () -> HealthShares, read: (Tick) -> PairTick?
    ) -> [GuardrailReading] {
        let found = guards.step(
            now: now, reference: facts.reference, windows: windows, values: values, health: health,
            read: read)
        let proven = gates.step(
            now: now, reference: facts.reference, readings: facts.readings + found,
            guardrails: facts.specs + guards.specs, keys: facts.isSticky ? facts.keys : nil, values: values,
            read: read)
        reading = watch.step(now: now, visit: visit, keys: facts.keys, gates: proven) { read($0)?.candidate }
        return found
    }

    /// Lets the stage's guardrails know stable by what the model's own, and those of the stage before, have
    /// counted of it: in a stage without stable's traffic they have nothing else to compare with.
    mutating func learnStable(from watch: CandidateWatch?, _ before: StageFigures?) {
        if let watch { guards.learnStable(from: watch) }
        if let before { guards.learnStable(from: before.guards) }
    }

    /// As for `CandidateWatch`.
    mutating func forfeitProven() { guards.forfeitProven() }

    /// What must survive a restart inside the stage.
    var saved: Saved { Saved(watch: watch.saved, gates: gates.saved, guards: guards.saved) }

    struct Saved: Codable, Equatable, Sendable {
        var watch: StageWatch.Saved
        var gates: GateWatch.Saved
        var guards: CandidateWatch.Saved
    }
}
