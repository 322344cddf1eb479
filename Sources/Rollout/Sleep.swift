// Which rules sleep. A rule against stable compares nothing while stable has no traffic, as after a
// promotion: what it last said was of another time, and a pass would be a promise that nobody keeps.
// Place: asked by `CandidateWatch` after its guards; rules against a constant stay awake.
// Invariant: a trip stays one; sleeping is never a pass and never a fail.

import Metrics

/// Since when a candidate has had requests and stable none to compare them with. A pause of both is no sleep:
/// the time counts from the candidate's first request alone.
struct Sleep: Sendable {
    /// The newest tick with requests of the two that can be compared.
    private var stable: UInt64
    /// Whether there was one; else it is the tick in which the watch began.
    private var isKnown = false
    /// The candidate's first tick with requests since then; nil while it has none.
    private var alone: UInt64?
    /// Whether the newest split leaves stable nothing.
    private(set) var isWithoutWeight = false
    /// Whether it leaves stable a tenth at most.
    private(set) var isStableThin = false
    private var looked: UInt64

    /// Ticks without requests of a stable that has weight, and of one that has none.
    private static let quietTicks: UInt64 = 600
    private static let weightlessTicks: UInt64 = 10

    init(from: Tick) { (stable, looked) = (from.number, from.number) }

    /// Goes on from the last tick with requests of both that an earlier process had seen, by this clock.
    mutating func restore(_ last: Tick) {
        guard last.number <= looked else { return }
        (stable, isKnown) = (last.number, true)
    }

    /// Goes on asleep, as an earlier process was: a trip of then stands in the first reading.
    mutating func restore(isWithoutWeight: Bool) {
        self.isWithoutWeight = isWithoutWeight
        alone = looked - min(looked, Sleep.quietTicks + 1)
    }

    /// Whether stable has no weight; nil while the rules are awake.
    var isWeightless: Bool? { since(Tick(number: looked)) == nil ? nil : isWithoutWeight }

    /// The last tick with requests of both; nil: none was seen.
    var last: Tick? { isKnown ? Tick(number: stable) : nil }

    /// Looks at the ticks since the last call, and at the two before: cores may still have been counting.
    mutating func look(at now: Tick, read: (UInt64) -> PairTick?) {
        let oldest = now.number - min(now.number, UInt64(EvidenceRing.buckets - 2))
        for number in max(oldest, looked - min(looked, 2))..<max(oldest, now.number) {
            guard let pair = read(number) else { continue }
            let copies = pair.candidate.copied.started > 0 && pair.stable.copied.started > 0
            if copies || pair.split?.share != nil && pair.stable.randomised.started > 0 {
                (stable, alone, isKnown) = (max(stable, number), nil, true)
            } else if number > stable, pair.candidate.all.started > 0 || pair.candidate.copied.started > 0 {
                alone = min(alone ?? number, number)
            }
            if let split = pair.split {
                (isWithoutWeight, isStableThin) = (split.stablePPM == 0, split.isStableThin)
            }
        }
        looked = now.number
    }

    /// The last tick in which there was something to compare with; nil while there is.
    func since(_ now: Tick) -> Tick? {
        let quiet = isWithoutWeight ? Sleep.weightlessTicks : Sleep.quietTicks
        guard let alone, now.number > alone, now.number - alone > quiet else { return nil }
        return Tick(number: stable)
    }
}

extension GuardrailReading {
    /// Says that the rule sleeps, unless it has tripped.
    /// - Parameter known: as `asleepKnown`.
    mutating func sleep(since tick: Tick, isKnown: Bool = true, known: Int? = nil) {
        guard verdict != .fail else { return }
        verdict = .notEnoughData
        asleepSince = tick
        isAsleepLonger = !isKnown
        asleepKnown = known
        reason = "asleep: no stable traffic"
    }
}
