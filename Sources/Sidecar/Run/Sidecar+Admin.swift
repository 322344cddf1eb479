// The admin API's answers, gathered from the sidecar's parts: probes from flags, status and metrics from a
// snapshot of the controller and the meters of the moment, verbs through the controller.
// Invariant: nothing here waits; what the controller owes comes through a mailbox.

import Control
import Glibc
import Metrics
import Payload
import Platform
import Proxy
import Rollout

extension Sidecar {
    /// What the admin server asks.
    var handlers: AdminHandlers {
        AdminHandlers(
            readiness: { [self] in readiness },
            metrics: { [self] accept, answer in
                ask(answer) { snapshot in
                    let format = Exposition.format(accept: accept)
                    return AdminResponse(
                        status: 200, contentType: format.contentType,
                        body: Array(self.metricsPage(snapshot).text(format).utf8))
                }
            },
            status: { [self] answer in
                ask(answer) { .json(200, self.statusPage($0).json) }
            },
            reports: { [self] answer in
                ask(answer) { .json(200, ["reports": .array($0.reports.map(\.json))]) }
            },
            ledger: { [self] answer in ask(answer) { .json(200, $0.ledger) } },
            verb: { [self] verb, peer, answer in obey(verb, peer, answer) },
            feedback: { [self] body, isLines, answer in post(body, isLines, answer) })
    }

    /// Gets a snapshot from the controller; the page is rendered on the admin thread.
    private func ask(
        _ answer: @escaping AdminReturn, _ render: @escaping @Sendable (StatusSnapshot) -> AdminResponse
    ) {
        let isPosted = controller.post(.snapshot { snapshot in answer { render(snapshot) } })
        if !isPosted { answer { .refusal(503, "the controller is busy") } }
    }

    /// Parsed here, on the admin thread; answered when the accepted ones are in the log.
    private func post(_ body: [UInt8], _ isLines: Bool, _ answer: @escaping AdminReturn) {
        do throws(FeedbackProblem) {
            let batch = try FeedbackBatch(body, isLines: isLines, key: idKey)
            let reply: @Sendable (AdminResponse) -> Void = { response in answer { response } }
            if !controller.post(.feedback(batch, reply: reply)) {
                reply(FeedbackTally.busy("the controller is busy"))
            }
        } catch {
            answer { .refusal(error.status, error.sentence) }
        }
    }

    private func obey(_ verb: AdminVerb, _ peer: String, _ answer: @escaping AdminReturn) {
        let reply: @Sendable (AdminResponse) -> Void = { response in answer { response } }
        guard verb.word != .reload else {
            let actor = verb.actor.map { "\($0) (\(peer))" } ?? peer
            return reload(ReloadRequest(actor: actor, reason: verb.reason, reply: reply))
        }
        if !controller.post(.verb(verb, actor: peer, reply: reply)) {
            reply(.refusal(503, "the controller is busy; nothing was changed"))
        }
    }

    /// 200 while requests are taken; the reasons why not, or what is not as it should be, one per line.
    private var readiness: AdminResponse {
        var reasons: [String] = []
        if isDraining.load(ordering: .acquiring) { reasons.append("draining") }
        if plane.obeyedEpoch == 0 { reasons.append("no plan is obeyed yet") }
        let known = controller.troubles.withLock { $0 }
        if known == nil { reasons.append("what the start found is not known yet") }
        guard let known, reasons.isEmpty else {
            return .text(503, "not ready: " + reasons.joined(separator: "; "))
        }
        let troubles = known + [sources.trouble].compactMap { $0 }
        // What registries and disks said is in there.
        let sentence = ForeignText.line(troubles.joined(separator: "; "))
        return .text(200, troubles.isEmpty ? "ready" : "ready, but \(sentence)")
    }

    func statusPage(_ snapshot: StatusSnapshot) -> StatusPage {
        StatusPage(
            snapshot: snapshot,
            process: StatusPage.Process(
                state: isDraining.load(ordering: .acquiring) ? "draining" : "running",
                startedAtMicros: startedAtMicros, now: Clock.wallMicros(), pid: getpid(),
                stateDir: directory.path, listeners: addresses, cores: cores, actions: actions.status,
                sources: sources.status, resources: resources, stateWarnings: directory.warnings)
        ) { [plane] slot in
            var counts = VersionCounts()
            for meter in plane.meters(slot) { meter.read(into: &counts) }
            return counts
        }
    }

    private func metricsPage(_ snapshot: StatusSnapshot) -> MetricsPage {
        var known = snapshot
        known.counts.accessLines = accessLog.counts.written
        known.counts.accessLinesLost = accessLog.counts.lost
        known.counts.captures = taps.captured.load(ordering: .relaxed)
        known.counts.capturesLost = taps.lost.load(ordering: .relaxed)
        let sources = sources.status
        var page = known.metricsPage(cores: cores, core: CoreMeterSnapshot.sum(plane.coreMeters())) { slot in
            VersionMeter.sum(plane.meters(slot))
        }
        page.samples = sampleCounters.all.sorted { $0.key < $1.key }.map {
            .init(model: $0.key, counts: $0.value)
        }
        page.sources = sources
        page.actions = actions.status
        page.resources = resources
        return page
    }
}
