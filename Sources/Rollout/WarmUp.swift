// When a candidate is taken for warm, so that its latency says something about the version and not about cold
// caches. A candidate that is as slow as a cold one may be cold; one that is as fast as stable is not. So
// the bet begins when its slow requests, of two hundred or of a minute, are no more than stable's and two
// standard errors; else after the rule's number of requests, or after ten minutes.
// Invariant: the answer for a tick depends on earlier ticks alone, and a bet may begin at any such moment:
// the evidence stays an e-process. Source: guardrails/dependence.md, section 5.

/// A candidate's warm-up, as one rule sees it.
struct WarmUp: Sendable {
    /// Requests of a block, and fewer if a minute has passed.
    private static let blockRequests: UInt32 = 200
    private static let blockRequestsMin: UInt32 = 30
    private static let blockTicks: UInt32 = 600
    /// Ticks after the candidate's first request at which it is taken for warm anyhow.
    private static let ticksMax: UInt32 = 6_000
    /// Standard errors by which a share may be above stable's.
    private static let errors = 2.0
    private static let never = UInt32.max

    /// Requests of the candidate that have started, and the lower half of the tick of the first.
    private var startedCount: UInt32 = 0
    private var firstStart = WarmUp.never
    /// The block under way, and the lower half of its first tick.
    private var blockStart = WarmUp.never
    private var candidateSlow: UInt32 = 0
    private var candidate: UInt32 = 0
    private var stableSlow: UInt32 = 0
    private var stable: UInt32 = 0
    private var isAsFast = false

    /// Requests of the candidate that have started, as far as they matter.
    var started: Int { Int(startedCount) }

    /// It is over, because an earlier process had seen it, or as good as.
    mutating func end(after requests: Int) {
        startedCount = UInt32(clamping: max(requests, 1))
        isAsFast = true
    }

    /// Whether the candidate was warm before the tick; `requests` is the rule's number.
    func isOver(_ requests: Int, at number: UInt64) -> Bool {
        if isAsFast || started >= requests { return true }
        return firstStart != WarmUp.never
            && UInt32(truncatingIfNeeded: number) &- firstStart >= WarmUp.ticksMax
    }

    /// Counts a tick.
    mutating func count(_ tick: TickView, at number: UInt64) {
        guard !isAsFast else { return }
        let low = UInt32(truncatingIfNeeded: number)
        startedCount = UInt32(clamping: started + tick.started)
        if tick.started > 0, firstStart == WarmUp.never { firstStart = low }
        guard tick.share != nil else { return }
        if blockStart == WarmUp.never { blockStart = low }
        func add(_ count: inout UInt32, _ more: Int) { count = UInt32(clamping: Int(count) + more) }
        add(&candidateSlow, tick.candidate.bad)
        add(&candidate, tick.candidate.bad + tick.candidate.good)
        add(&stableSlow, tick.stable.bad)
        add(&stable, tick.stable.bad + tick.stable.good)
        let isLong = low &- blockStart >= WarmUp.blockTicks
        let needed = isLong ? WarmUp.blockRequestsMin : WarmUp.blockRequests
        guard candidate >= needed, stable > 0 else { return }
        let (n, m) = (Double(candidate), Double(stable))
        let share = Double(candidateSlow + stableSlow) / (n + m)
        let error = (share * (1 - share) * (1 / n + 1 / m)).squareRoot()
        isAsFast = Double(candidateSlow) / n <= Double(stableSlow) / m + WarmUp.errors * error
        (candidateSlow, candidate, stableSlow, stable) = (0, 0, 0, 0)
        blockStart = WarmUp.never
    }
}
