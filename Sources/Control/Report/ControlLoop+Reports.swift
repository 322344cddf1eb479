// The control loop's side of reports and ledger: what each step of the machine means to them, and the timing
// of cuts. Everything here comes after the cut itself.
// Place: called by `apply`, by `cut` and at the end of each turn.
// Invariant: a report is journaled once, in the step that completes it.

import Metrics
import Platform
import Proxy
import Rollout

extension ControlLoop {
    /// Notes what a step of the machine did, and says what the journal is to be told of it.
    func report(_ i: Int, before: RolloutState, _ actions: [RolloutAction]) -> [JournalEvent] {
        let name = models[i].config.name
        let after = models[i].decided
        var events: [JournalEvent] = []
        var isNoted = false
        for case .journal(let event) in actions {
            if case .cut(let record) = event {
                // A second cut ends the watch over the first one.
                if let open = closeReport(i, nil) { events.append(open.event) }
                openReport(i, record, before: before)
                desk.saved.tallies[name, default: Tally()].note(record)
            } else if case .promoted(let record) = event {
                desk.saved.tallies[name, default: Tally()].note(promoted: record.version)
                isNoted = true
            } else if case .recovery(_, let reading) = event {
                answerReport(i, reading)
            } else if event.kind == JournalEvent.Kind.alert.rawValue {
                desk.saved.tallies[name, default: Tally()].noteAlert()
                isNoted = true
            }
        }
        // An operator who leaves the cut ends the watch, and with it the wait for what is under way.
        let isOver = after.recovery == nil || after.recovery != .watching && !isReportAwaited(i)
        if isOver, let done = closeReport(i, nil) { events.append(done.event) }
        alignTrials(i)
        if isNoted || !events.isEmpty || before.weights != after.weights { saved.reports = desk.saved }
        return events
    }

    /// Candidates that got weight, or lost it.
    /// - Parameter isResumed: whether those that are exposed may have been before this process.
    func alignTrials(_ i: Int, isResumed: Bool = false) {
        let (config, state) = (models[i].config, models[i].decided)
        let weighted = config.candidates.filter { state.weights[$0] ?? 0 > 0 }.sorted()
        let alpha = config.allGuardrails.reduce(0) { $0 + ($1.rule.isSequential ? $1.alpha : 0) }
        let new = desk.saved.tallies[config.name, default: Tally()].align(weighted: weighted, alpha: alpha)
        // Copies are an exposure too: of the version, not of its users.
        let copied = config.candidates.filter { state.shadow?.version == $0 || config.shadow?.version == $0 }
        // So is a cohort, whose users need no weight.
        let cohorts = config.cohorts.map(\.version).filter(config.candidates.contains)
        let exposed = Set(weighted + copied + cohorts)
        for version in config.candidates {
            let isKnown = desk.exposures[config.name]?[version] != nil
            if exposed.contains(version), new.contains(version) || !isKnown {
                guard state.quarantined[version] == nil else { continue }
                var begun = exposure(i, version)
                begun.isOlder = isResumed && !new.contains(version)
                desk.exposures[config.name, default: [:]][version] = begun
                desk.unexposed[config.name]?[version] = nil
            } else if !isKnown, desk.unexposed[config.name]?[version] == nil {
                desk.unexposed[config.name, default: [:]][version] = exposure(i, version)
            }
        }
        if !new.isEmpty { saved.reports = desk.saved }
    }

    private func exposure(_ i: Int, _ version: String) -> ReportDesk.Exposure {
        ReportDesk.Exposure(
            since: wallMicros, tick: lastTick, counts: counts(i, version), times: times(i, version))
    }

    /// Ticks within which a resting model is looked at.
    private static let lookedAtTicks: UInt64 = 5

    /// Candidates that nothing exposes and that callers ask for by name: since the tick of their first
    /// request, at most `lookedAtTicks` ago.
    func exposeForced(_ i: Int) {
        let name = models[i].config.name
        for (version, before) in desk.unexposed[name] ?? [:] {
            guard let v = models[i].config.index(of: version),
                models[i].meters[v].reduce(0, { $0 &+ $1.started }) != before.counts.started
            else { continue }
            var exposure = before
            let back = min(Self.lookedAtTicks, lastTick.number)
            exposure.tick = max(before.tick, Tick(number: lastTick.number - back))
            exposure.since = max(before.since, wallMicros - min(wallMicros, back * Tick.micros))
            desk.exposures[name, default: [:]][version] = exposure
            desk.unexposed[name]?[version] = nil
        }
    }

    private func counts(_ i: Int, _ version: String) -> VersionCounts {
        var counts = VersionCounts()
        guard let v = models[i].config.index(of: version) else { return counts }
        for meter in models[i].meters[v] { meter.read(into: &counts) }
        return counts
    }

    private func times(_ i: Int, _ version: String) -> HistogramSnapshot {
        var times = HistogramSnapshot()
        guard let v = models[i].config.index(of: version) else { return times }
        for meter in models[i].meters[v] { meter.histogram(WatchedModel.judged).snapshot(into: &times) }
        return times
    }

    private func openReport(_ i: Int, _ record: CutRecord, before: RolloutState) {
        let model = models[i]
        let spec = record.guardrail.flatMap { name in
            model.config.allGuardrails.first { $0.name == name }
        }
        var report = RollbackReport(
            model: model.config.name, stable: model.decided.setup.stable, cut: record,
            epochBefore: before.epoch, epochAfter: model.decided.epoch,
            runbookURL: record.evidence.first { $0.name == record.guardrail }?.runbookURL
                ?? model.config.runbookURL)
        let isLoss = report.trip?.unanswered != nil
        report.measure = isLoss ? .unanswered : spec.map { RollbackReport.Measure($0.measure) }
        report.slowLimits = slowLimits(i, report)
        for version in record.versions {
            guard let v = model.config.index(of: version) else { continue }
            let exposed = desk.exposures[report.model]?[version]?.tick
            // An operator cut what was not under trial: what is in the rings is of an earlier trial.
            guard exposed != nil || record.guardrail != nil else { continue }
            let found = model.onset(
                v, spec, isLoss: isLoss, known: report.trip?.stable, since: exposed, now: lastTick)
            if isLoss {
                desk.exposures[report.model]?[version]?.left = ReportDesk.Left(
                    before: model.cancelled(v, since: found?.tick, now: lastTick),
                    cancels: counts(i, version)[.clientCancel])
            }
            guard let onset = found else { continue }
            // The tick in which the exposure began had begun before it.
            let since = desk.exposures[report.model]?[version]?.since ?? 0
            let start = max(wall(of: onset.tick), since)
            if start < report.firstBad ?? .max {
                // Before it came under trial the version had no request that could have been bad.
                let isCutOff = desk.exposures[report.model]?[version]?.isOlder ?? true
                let isForgotten = exposed.map { lastTick.number - $0.number > Onset.span } ?? true
                report.firstBad = start
                report.isFirstBadBound = onset.isBound && (isCutOff || isForgotten)
            }
        }
        report.exposedSince = record.versions.compactMap { desk.exposures[report.model]?[$0]?.since }.min()
        desk.saved.open[report.model] = report
        countReport(i)
    }

    // MARK: The end of a report

    /// How long a report waits for the end of what its versions were assigned, once recovery has answered.
    private static let unfinishedWithin = Interval.seconds(10)

    /// Takes the answer of the recovery check.
    private func answerReport(_ i: Int, _ reading: RecoveryReading) {
        let name = models[i].config.name
        guard desk.saved.open[name] != nil else { return }
        desk.saved.open[name]?.recovery = reading
        saved.reports = desk.saved
        desk.closing[name] = now + Self.unfinishedWithin
    }

    /// Whether an answered report still has to wait: for requests that the cut versions were assigned, and
    /// for those of them that stable is answering. What is under way has harmed nobody yet.
    private func isReportAwaited(_ i: Int) -> Bool {
        let name = models[i].config.name
        guard let deadline = desk.closing[name], now < deadline else { return false }
        countReport(i)
        return desk.saved.open[name]?.unfinished ?? 0 > 0
    }

    /// Closes the answered reports whose requests have ended; a line each.
    func closeReports() {
        for (name, report) in desk.saved.open where report.recovery != nil {
            guard let i = indexByName[name], !isReportAwaited(i), let done = closeReport(i, nil) else {
                continue
            }
            saved.reports = desk.saved
            record([done.event])
            _ = announce([done.event])
        }
    }

    /// Takes the last counts, and closes the report.
    /// - Parameter recovery: nil: what has been answered, if anything has.
    private func closeReport(_ i: Int, _ recovery: RecoveryReading?) -> RollbackReport? {
        let name = models[i].config.name
        guard desk.saved.open[name] != nil else { return nil }
        settleTimings(orGiveUp: name)
        countReport(i)
        desk.closing[name] = nil
        let report = desk.complete(name, at: wallMicros, recovery ?? desk.saved.open[name]?.recovery)
        for version in report?.cut.versions ?? [] { desk.exposures[name]?[version] = nil }
        return report
    }

    /// Brings an open report's counts up to date; those of a process before this one stay.
    func countReport(_ i: Int) {
        let name = models[i].config.name
        guard var report = desk.saved.open[name] else { return }
        let exposures = desk.exposures[name] ?? [:]
        let known = report.cut.versions.filter { exposures[$0] != nil }
        guard !known.isEmpty else {
            desk.saved.open[name]?.unfinished = nil
            return
        }
        (report.requests, report.failures, report.shielded) = (0, 0, 0)
        (report.rescued, report.copies, report.copyFailures) = (0, 0, 0)
        let limits = report.slowLimits ?? slowLimits(i, report)
        var felt = [Double](repeating: 0, count: limits.count)
        let harms = harms(i, report)
        report.events = harms.isEmpty ? nil : 0
        report.unfinished = 0
        // Where client errors are failures they are counted as such.
        let counts4xx = models[i].config.clientErrors != .count
        for version in known {
            var now = counts(i, version)
            if let before = exposures[version]?.counts { now.subtract(before) }
            report.requests += now.started
            report.failures += now.failed(countingClientErrors: models[i].config.clientErrors == .count)
            // What was not sent to the version was stable's from the start: no failure, and nobody harmed.
            report.shielded += now.shielded
            // A user is as well off whoever mended the failure: stable, or another attempt.
            report.rescued? += now.rescued + now.mended
            report.copies? += now.shadowSent
            report.copyFailures? += Outcome.allCases.reduce(0) {
                $1.isFailure ? $0 + now.shadowOutcomes[Int($1.rawValue)] : $0
            }
            if report.measure == .unanswered, let left = exposures[version]?.left {
                // Whoever still waited at the cut and leaves later had no answer either.
                let later = counts(i, version)[.clientCancel]
                report.events = (report.events ?? 0) + left.before + (later - min(left.cancels, later))
            }
            for harm in harms { report.events? += now.count(of: harm.event, beyond: harm.share, counts4xx) }
            report.unfinished? += now.unfinished
            guard !limits.isEmpty else { continue }
            var taken = times(i, version)
            if let before = exposures[version]?.times { taken.subtract(before) }
            for (k, limit) in limits.enumerated() { felt[k] += limit.felt(taken) }
        }
        let most = felt.indices.max { felt[$0] < felt[$1] }
        report.slow = most.map { UInt64(felt[$0].rounded()) }
        report.slowBy = most.map { limits[$0] }
        if let last = known.compactMap({ models[i].lastStart($0, now: lastTick) }).max() {
            // A tick's end, but not later than what the cut's timing proves.
            let end = wall(of: Tick(number: last.number + 1))
            report.lastRequest = min(end, report.cut.wallMicros + (report.cutNanos ?? .max / 2) / 1_000 + 1)
        }
        desk.saved.open[name] = report
    }

    /// After a cut for latency: what a client feels as slow; nothing else.
    private func slowLimits(_ i: Int, _ report: RollbackReport) -> [SlowLimit] {
        guard let trip = report.trip, let micros = trip.threshold, micros > 0, micros < 1e12,
            let spec = models[i].config.allGuardrails.first(where: { $0.name == trip.name }),
            case .latency(let quantile) = spec.measure, spec.time == WatchedModel.judged
        else { return [] }
        return SlowLimit.limits(
            thresholdNanos: UInt64(micros) * 1_000, quantile: quantile, stable: times(i, report.stable))
    }

    /// The events other than failures by which the cut's rule says that clients were harmed, and the share of
    /// each that stable had. Who gave up was harmed by slowness as well.
    private func harms(_ i: Int, _ report: RollbackReport) -> [(event: BadEvent, share: Double)] {
        let events: [BadEvent] =
            switch report.measure {
            case .rejected?: [.rejected]
            case .cancelled?, .latency?: [.cancelled]
            case .empty?: [.empty]
            case .failures?, .unanswered?, .health?, .values?, nil: []
            }
        let specs = models[i].config.allGuardrails
        return events.map { event in
            let names = Set(specs.filter { $0.measure.event == event && $0.rule.isRelative }.map(\.name))
            let known = report.trip.flatMap { names.contains($0.name) ? $0.stable : nil }
            let other = report.cut.evidence.first { names.contains($0.name) && $0.stable != nil }?.stable
            return (event, known ?? other ?? 0)
        }
    }

    /// When a tick began, by the wall clock of this turn.
    private func wall(of tick: Tick) -> UInt64 {
        let (start, end) = (tick.number * Tick.micros, now.nanos / 1_000)
        return start <= end ? wallMicros - min(wallMicros, end - start) : wallMicros + (start - end)
    }

    // MARK: Timing

    /// Flips the switch and begins to look for the last assignment.
    func timeCut(_ i: Int, _ versions: [String], _ flip: () -> Void) {
        let verdict = clock()
        flip()
        let meters = versions.compactMap(models[i].config.index(of:)).map { models[i].meters[$0] }
        desk.timings.append(
            ReportDesk.Timing(
                model: models[i].config.name, meters: meters, verdict: verdict, now: clock))
    }

    /// Looks once more; a timing ends when every core obeys a plan without the version.
    /// - Parameter model: whose timing ends now in any case.
    func settleTimings(orGiveUp model: String? = nil) {
        guard !desk.timings.isEmpty else { return }
        let timings = desk.timings
        desk.timings = []
        for var timing in timings {
            timing.look(clock)
            let i = indexByName[timing.model]
            if let i, barredModels.contains(i), timing.model != model {
                desk.timings.append(timing)
                continue
            }
            let nanos = (timing.since - timing.verdict).nanos
            desk.cutTimes.record(nanos: nanos)
            desk.saved.open[timing.model]?.cutNanos = nanos
            if let i { countReport(i) }
            saved.reports = desk.saved
            saveState()
        }
    }

    // MARK: The split

    /// Asks whether requests are assigned as the weights say.
    func checkSplit(_ i: Int) {
        guard models[i].config.stickyKeys.isEmpty else { return }
        for version in models[i].checkSplit(now: lastTick) {
            let model = models[i].config.name
            let name = models[i].name(version)
            let sentence =
                "the router is broken: \(name) does not get the share of requests that its weight says; "
                + "comparisons with stable cannot be trusted, and nothing was cut for it"
            log.critical("\(sentence)", metadata: ["model": "\(model)"])
            let event = JournalEvent(
                at: wallMicros, .sampleRatio, model: model, reason: sentence,
                details: [
                    .init("version", .string(name)),
                    .init("log_e", .number(models[i].splitCheck.logE(version) ?? 0)),
                ])
            let told = addressed(event, i, models[i].decided)
            // Said once for good, so that it was said is saved with it.
            saved.models[model] = models[i].saved(at: clocks)
            note([told])
            saveState()
            _ = announce([told])
        }
    }
}

extension VersionCounts {
    /// Requests that have not ended, and those that stable was asked for and has not answered; clients that
    /// left meanwhile are among the latter.
    fileprivate var unfinished: UInt64 {
        let answered = rescued &+ unrescued &+ unreached
        return inFlight &+ (shielded > answered ? shielded &- answered : 0)
    }

    /// How many events of a kind there were beyond a share of the requests that could have had one.
    fileprivate func count(of event: BadEvent, beyond share: Double, _ counts4xx: Bool) -> UInt64 {
        let (bad, all): (UInt64, UInt64) =
            switch event {
            case .failure: (0, 0)
            case .rejected: (statuses[1] &+ (counts4xx ? statuses[2] : 0), counted)
            case .cancelled: (self[.clientCancel], counted &+ self[.clientCancel])
            case .empty: (empty, counted)
            }
        return UInt64(max(0, Double(bad) - share * Double(all)).rounded())
    }
}

extension WatchedModel {
    /// When a version began to be bad by a rule; see `Onset`.
    /// - Parameters:
    ///   - known: stable's rate that the rule compared with.
    ///   - since: before that tick the version was not under trial; nil: not known.
    func onset(
        _ version: Int, _ spec: GuardrailSpec?, isLoss: Bool, known: Double?, since: Tick?, now: Tick
    ) -> Onset? {
        Onset.find(spec, isLoss: isLoss, known: known, reference: reference, now: now) { tick in
            since.map { tick < $0 } ?? false ? nil : pair(version, at: tick, now: now)
        }
    }

    /// Requests of a version whose clients left, as far as the rings remember them.
    /// - Parameter since: of the tick in which it began; nil: nothing began.
    func cancelled(_ version: Int, since: Tick?, now: Tick) -> UInt64 {
        guard let since else { return 0 }
        return (since.number...max(since.number, now.number)).reduce(0) { sum, number in
            let bucket = VersionMeter.evidence(meters[version], at: Tick(number: number))
            return sum + UInt64(bucket?.randomised.cancelled ?? 0)
        }
    }

    /// The newest tick in which a request was assigned to a version; nil when the rings remember none.
    func lastStart(_ version: String, now: Tick) -> Tick? {
        guard let v = config.index(of: version) else { return nil }
        for back in 0..<UInt64(EvidenceRing.buckets - 16) where back <= now.number {
            let tick = Tick(number: now.number - back)
            if VersionMeter.evidence(meters[v], at: tick) != nil { return tick }
        }
        return nil
    }

    /// Steps the check of the split; the versions whose split is newly proven broken.
    mutating func checkSplit(now: Tick) -> [Int] {
        var check = splitCheck
        let broken = check.step(now: now, candidates: watches.keys) { pair($0, at: $1, now: now) }
        splitCheck = check
        return broken
    }

    /// What stable is judged by after the cut that holds.
    var recoveryMeasure: RecoveryMeasure {
        guard case .cut(let record) = decided.phase, let name = record.guardrail,
            let spec = config.allGuardrails.first(where: { $0.name == name })
        else { return .errors }
        let trip = record.evidence.first { $0.name == name && $0.verdict == .fail }
        return RecoveryMeasure(spec, trip, reference)
    }

    /// What stable's histogram of a time says of a threshold.
    func endedOnStable(_ time: TimeKind, overMicros micros: UInt32) -> EndedCounts {
        var times = HistogramSnapshot()
        for meter in meters[stable] { meter.histogram(time).snapshot(into: &times) }
        return EndedCounts(
            requests: times.count, slow: times.count - times.countAtMost(nanos: UInt64(micros) * 1_000))
    }
}
