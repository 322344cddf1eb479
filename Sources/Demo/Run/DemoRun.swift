// A demo from its first request to its summary: a few times a second, ask Weir how it stands, show it, and
// move the plot on. The plot: the candidate is well, then goes bad, then is cut; a little later it ends.
// Place: called by `weir demo` on the main thread, before any other thread exists.
// Invariant: standard output carries the view and the summary, or in JSON mode one object and nothing else.

import Control
import Payload
import Platform
import Sidecar

/// Gives a demo and reports it on standard output.
/// - Returns: 0 when the scenario went as it should (a bad candidate was cut, a healthy one was not), else 1.
package func runDemo(_ options: DemoOptions) -> Int32 {
    // Blocked before any thread starts, so that Ctrl-C ends the demo with its summary.
    Signals.block([DemoRun.interrupt, DemoRun.terminate])
    do throws(DemoFailure) {
        var run = try DemoRun(options)
        let summary = run.play()
        switch options.output {
        case .json: Terminal.write(summary.json + "\n")
        case .text: Terminal.write("\n" + summary.page + summary.lines.joined(separator: "\n") + "\n")
        }
        return summary.isAsItShould ? 0 : 1
    } catch {
        Terminal.write("weir demo: \(error)\n", to: .error)
        return 1
    }
}

/// The plot of one demo.
struct DemoRun: ~Copyable {
    static let interrupt: Int32 = 2
    static let terminate: Int32 = 15
    /// Between two looks at Weir; also the live view's frame time.
    private static let frame = Interval.millis(250)
    /// From the cut to the end, and how much longer at most for the report's last answer: did stable recover.
    private static let afterCut = Interval.seconds(3)
    private static let recoveryMax = Interval.seconds(12)
    private static let afterPromotion = Interval.seconds(2)

    private let options: DemoOptions
    private let stage: DemoStage
    private let signals: Descriptor
    private var poller: Poller
    private var view: View
    private var events: [DemoEvent] = []
    private var badAt: Interval?
    private var cut: StatusReading.Cut?
    private var cutAt: Interval?
    private var recovery: StatusReading.Recovery?
    /// Whether the cut's report is complete.
    private var isReported = false
    private var promotedAt: Interval?
    private var stageShown: String?
    private var isInterrupted = false
    private var report: JSON?
    private var ledger: JSON?
    private var steps: [JSON] = []

    /// How the demo is shown.
    private enum View {
        case live(LiveView)
        case lines(LineLog)
        case none
    }

    init(_ options: DemoOptions) throws(DemoFailure) {
        let stage = try DemoStage(options)
        let poller = try DemoFailure.of { () throws(SystemFailure) in try Poller(eventsMax: 4) }
        let signals = try DemoFailure.of { () throws(SystemFailure) in
            try Signals.descriptor(for: [Self.interrupt, Self.terminate])
        }
        self.options = options
        self.stage = stage
        self.signals = signals
        self.poller = poller
        switch options.output {
        case .json: view = .none
        case .text where Terminal.isAttached(.output):
            view = .live(
                LiveView(
                    scenario: options.scenario, rate: options.rate, columns: Terminal.columns ?? 80,
                    usesColor: Terminal.wantsColor))
        case .text: view = .lines(LineLog())
        }
    }

    /// Whether it is time for the candidate to go bad: after a sixth of the time, 3 to 5 s, and after some
    /// requests, unless a third of the time is over. A latency is judged once the candidate has been as fast
    /// as stable for two hundred requests; a drift, after stable's first thousand.
    private func isBadDue(at elapsed: Interval) -> Bool {
        let soonest = min(max(Interval(nanos: options.duration.nanos / 6), .seconds(3)), .seconds(5))
        guard elapsed >= soonest else { return false }
        return stage.traffic.requests >= Self.requestsBefore || elapsed.nanos >= options.duration.nanos / 3
    }

    private static let requestsBefore: UInt64 = 2_500

    /// Plays to the end.
    mutating func play() -> Summary {
        _ = poller.add(signals, token: Token(bits: 0), interest: .readable)
        announce()
        var nextFrame = stage.begin
        while !isOver(at: Clock.now()) {
            move(at: Clock.now())
            show()
            nextFrame = max(nextFrame + Self.frame, Clock.now())
            while Clock.now() < nextFrame, !isInterrupted {
                if poller.wait(until: nextFrame) > 0 { isInterrupted = Signals.next(signals) != nil }
            }
        }
        stage.traffic.stop()
        show()
        if case .live = view { Terminal.write(LiveView.showCursor) }
        if cut != nil { report = stage.ask("/reports")?["reports"]?.elements.last }
        ledger = stage.ask("/ledger")?["total"]
        steps = stage.steps
        stage.strike()
        return summary
    }

    private func announce() {
        let text = "state and journal of this demo: \(stage.stateFolder)\n"
        switch view {
        case .live: Terminal.write(text + "\n" + LiveView.hideCursor)
        case .lines: Terminal.write(text)
        case .none: Terminal.write(text, to: .error)
        }
    }

    private func isOver(at now: Instant) -> Bool {
        let elapsed = now - stage.begin
        if isInterrupted || elapsed >= options.duration { return true }
        if let cutAt {
            return elapsed >= cutAt + Self.afterCut + (isReported ? .zero : Self.recoveryMax)
        }
        return promotedAt.map { elapsed >= $0 + Self.afterPromotion } ?? false
    }

    /// Makes the candidate go bad when it is time.
    private mutating func move(at now: Instant) {
        let elapsed = now - stage.begin
        guard options.scenario.isBad, badAt == nil, isBadDue(at: elapsed) else { return }
        stage.spoil(options.scenario)
        badAt = elapsed
        events.append(DemoEvent(at: elapsed, text: options.scenario.sentence))
    }

    private mutating func show() {
        guard let page = stage.sidecar.status(within: .seconds(2)) else { return }
        let reading = StatusReading(page)
        note(reading)
        let sample = Sample(
            elapsed: Clock.now() - stage.begin, versions: reading.versions, guardrails: reading.guardrails,
            requests: stage.traffic.requests, userErrors: stage.traffic.errors,
            errorsOfStableAlone: stage.errorsOfStableAlone)
        switch view {
        case .live(var live):
            Terminal.write(live.redraw(sample, events))
            view = .live(live)
        case .lines(var log):
            for line in log.lines(sample, events) { Terminal.write(line + "\n") }
            view = .lines(log)
        case .none: break
        }
    }

    /// Remembers the cut and what came after it.
    private mutating func note(_ reading: StatusReading) {
        if cut == nil, let found = reading.cut {
            cut = found
            let micros = StatusReading.micros(to: found.at, from: stage.beginMicros)
            let at = micros.map { Interval.micros($0) } ?? (Clock.now() - stage.begin)
            cutAt = at
            events.append(DemoEvent(at: at, text: "cut: \(found.reason)"))
        }
        let elapsed = Clock.now() - stage.begin
        if let place = reading.stage, place != stageShown, !reading.isPromoted {
            stageShown = place
            let weight = reading.versions.first { $0.name == DemoConfig.candidate }?.weightPPM ?? 0
            events.append(DemoEvent(at: elapsed, text: "\(place): the candidate has \(weight / 10_000) %"))
        }
        if reading.isPromoted, promotedAt == nil {
            promotedAt = elapsed
            events.append(DemoEvent(at: elapsed, text: "promoted: the candidate has all traffic"))
        }
        if !isReported, recovery.map({ $0.verdict != "watching" }) ?? false {
            let last = stage.ask("/reports")?["reports"]?.elements.last
            isReported = last?["completed_at"]?.string != nil
        }
        if cut != nil, let found = reading.recovery, found.verdict != recovery?.verdict {
            recovery = found
            if found.verdict == "watching" { return }
            events.append(
                DemoEvent(at: Clock.now() - stage.begin, text: "stable after the cut: \(found.verdict)"))
        }
    }

    private var summary: Summary {
        Summary(
            scenario: options.scenario, badAtMillis: badAt?.millis, cutAtMillis: cutAt?.millis,
            candidateRequestsWhileBad: stage.candidate.requestsWhileFaulty,
            userErrors: stage.traffic.errors, errorsOfStableAlone: stage.errorsOfStableAlone,
            requests: stage.traffic.requests, rule: cut?.guardrail, evidence: cut?.reason,
            recovery: recovery.map { "stable \($0.verdict): \($0.reason)" },
            promotedAtMillis: promotedAt?.millis, clicks: stage.audience.map { Summary.Clicks($0.counts) },
            report: report, steps: steps, ledger: ledger, stateFolder: stage.stateFolder,
            journal: stage.sidecar.journalPath)
    }
}
