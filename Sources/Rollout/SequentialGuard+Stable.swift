// A rule without stable's traffic, or with little of it: which stage it knows stable from, and what goes on
// beside the ordinary comparison. Place: called by `SequentialGuard` for every tick that it commits, and
// after it. Invariant: what is pinned is of stages whose ticks the ordinary comparison has passed; the replay
// of unsettled ticks changes nothing here.

import Metrics
import Statistics

extension SequentialGuard {
    /// What goes on without stable: nil before there has been such a time.
    var pinned: PinnedStable? { aside.first?.pinned }

    /// The stage that says most of stable: an earlier one, or the one under way.
    var reference: StableReference? {
        guard spec.watchesPinned else { return nil }
        guard var found = StableReference.better(aside.first?.reference, committed.reference(until: nil))
        else { return nil }
        guard found != aside.first?.reference else { return found }
        // Without traffic of stable the stage under way is over since then.
        let isOver = pinned.map { $0.isAlone && $0.isPinned } ?? false
        found.until = isOver ? pinned?.until : next - min(next, 1)
        return found
    }

    /// Whether it can hold the candidate to stable as it was.
    var knowsStable: Bool { reference.flatMap(spec.pinnedLimit) != nil }

    /// Takes over what another rule, or an earlier process, has known of stable, if that says more.
    mutating func learnStable(_ known: StableReference) {
        guard spec.watchesPinned else { return }
        makeAside()
        guard let old = aside[0].reference else {
            aside[0].reference = known
            return
        }
        aside[0].reference = StableReference.better(old, known)
    }

    mutating func makeAside() {
        if aside.isEmpty { aside = [StableAside()] }
    }

    /// Keeps what a stage has shown of stable when it ends, unless an earlier one says more. Beside another
    /// arm of stable than before nothing of it counts.
    mutating func keepStage(before split: PairSplit?) {
        guard spec.watchesPinned, let split, committed.ends(with: split) else { return }
        let ended = committed.reference(until: next - min(next, 1))
        let isSameArm = ended.isAgainstControl == split.isAgainstControl
        let kept = isSameArm ? StableReference.better(aside.first?.reference, ended) : nil
        guard kept != nil || !aside.isEmpty else { return }
        makeAside()
        aside[0].reference = kept
    }

    /// Begins to, at the first tick in which stable has little or nothing, once something is known of it.
    mutating func watchPinned(_ split: PairSplit?) {
        guard spec.watchesPinned, let split, split.isCandidateAlone || split.isStableThin,
            aside.isEmpty || aside[0].pinned == nil
        else { return }
        let known = split.isCandidateAlone ? reference : aside.first?.reference
        guard let known, known.counts.stableRequests > 0 else { return }
        makeAside()
        aside[0].pinned = PinnedStable(from: next)
    }

    /// Takes in what the candidate did without stable, no further than the ordinary evidence has come.
    mutating func advancePinned(_ ticks: TickCache, lag: UInt64, slots: (evidence: Int, size: Int)?) {
        guard !aside.isEmpty, aside[0].pinned != nil else { return }
        let (spec, now) = (spec, ticks.now.number)
        let (kept, stage) = (aside[0].reference, committed.reference(until: nil))
        while let number = aside[0].pinned?.next, number < min(next, now) {
            if let pair = ticks.pair(number)?.compared(for: .worse) {
                let isDone = aside[0].pinned?.take(pair, spec, kept: kept, stage: stage) {
                    spec.alone(pair, age: now - number - 1, lag: lag, slots: slots)
                }
                guard isDone ?? true else { return }
            }
            aside[0].pinned?.move()
        }
    }

    /// Requests of stable that there are to compare with where it has no traffic; nil: the rule does not.
    var knownOfStable: Int? { spec.watchesPinned ? reference?.counts.stableRequests ?? 0 : nil }

    /// Whether stable as it was is known by more requests than stable as it is, and these are few.
    var knowsMoreOfThen: Bool {
        guard let pinned, pinned.isPinned else { return false }
        let live = committed.materiality.stage.pooled.stableRequests
        return live < min(pinned.counts.stableRequests, SequentialGuard.liveMin)
    }

    /// Live requests of stable that are enough whatever is known of it from before.
    private static let liveMin = 1_000

    /// Whether what goes on without stable trips.
    mutating func tripsPinned(now: UInt64) -> Bool {
        !aside.isEmpty && aside[0].pinned?.trips(spec, now: now) ?? false
    }
}
