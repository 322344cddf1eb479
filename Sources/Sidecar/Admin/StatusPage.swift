// The status page: a snapshot of the controller with the meters of the moment, as JSON for people and tools.
// Field names are an interface: the CLI, the demo and dashboards read them (Administration.md lists them).
// Invariant: rendering reads values and meters only, so that it may run on any thread.

import Config
import Control
import Metrics
import Payload
import Platform
import Proxy
import Rollout

/// Renders /status.
struct StatusPage {
    /// What the process says about itself.
    struct Process: Sendable {
        var state: String
        var startedAtMicros: UInt64
        var now: UInt64
        var pid: Int32
        var stateDir: String
        var listeners: [SocketAddress]
        var cores: Int
        var actions: [ActionStatus] = []
        var sources: [SourceStatus] = []
        var resources: ResourceLimits?
        /// What is doubtful about the state directory.
        var stateWarnings: [String] = []
    }

    let snapshot: StatusSnapshot
    let process: Process
    /// The counts of a version, summed over cores.
    let counts: (Int) -> VersionCounts

    var json: JSON {
        [
            "version": .string(Release.version), "state": .string(process.state),
            "pid": .integer(Int64(process.pid)),
            "started_at": .string(Timestamp.text(wallMicros: process.startedAtMicros)),
            "at": .string(Timestamp.text(wallMicros: process.now)),
            "listeners": .array(process.listeners.map { .string($0.description) }),
            "cores": .integer(Int64(process.cores)), "epoch": .count(snapshot.epoch),
            "obeyed_epoch": .count(snapshot.obeyedEpoch), "config_digest": .string(snapshot.digest),
            "journal": [
                "path": .string(FileStorage.journalPath(in: process.stateDir)),
                "writable": .bool(snapshot.journalTrouble == nil),
                "trouble": .optional(snapshot.journalTrouble),
                "failures": .count(snapshot.counts.journalFailures),
                "loss": .optional(snapshot.durability.loss),
                "recovered": .optional(snapshot.durability.gain),
                "withheld": .array(
                    snapshot.models.filter(\.state.isWithheld).map { .string($0.config.name) }),
                "state_trouble": .optional(snapshot.durability.stateOwed),
                "reserve": reserve,
            ],
            "limits": process.resources?.json ?? .null,
            "state_dir": [
                "path": .string(process.stateDir), "warnings": .array(process.stateWarnings.map(JSON.string)),
            ],
            "actions": .array(process.actions.map(\.json)),
            "plan_trouble": .optional(snapshot.planTrouble),
            "groups": .array(snapshot.groups.map(\.json)),
            "models": .array(snapshot.models.map(model)),
        ]
    }

    private var reserve: JSON {
        let reason: String? =
            switch snapshot.durability.reserve {
            case .filled: nil
            case .inUse(_, let reason), .none(let reason): reason
            }
        return [
            "bytes": .integer(Int64(snapshot.durability.reserve.bytesLeft)),
            "in_use": .bool(snapshot.durability.reserve.isInUse), "trouble": .optional(reason),
        ]
    }

    private func model(_ model: StatusSnapshot.Model) -> JSON {
        let state = model.state
        return [
            "name": .string(model.config.name), "phase": .string(state.phase.word),
            "stable": .string(model.config.stable),
            "candidates": .array(model.config.candidates.map(JSON.string)),
            "candidate_source": process.sources.first { $0.model == model.config.name }?.json ?? .null,
            "weights": JSON(shares: state.weights), "rollout_epoch": .count(state.epoch),
            "cuts": .integer(Int64(state.cutCount)),
            "cool_down_until": isCoolingDown(state) ? state.coolDownUntil.map(coolDown) ?? .null : .null,
            "rollout": model.rollout(wallMicros: process.now), "shadow": shadow(model),
            "runbook_url": .optional(model.config.runbookURL),
            "promoted": promoted(state),
            "held": .array(
                model.held.map { ["version": .string($0.version), "reason": .string($0.reason)] }),
            "withheld_cuts": .array(
                model.withheldCuts.map {
                    [
                        "version": .string($0.version), "guardrail": .string($0.guardrail),
                        "reason": .string($0.because),
                    ]
                }),
            "stable_unreached": .optional(model.unreached), "unserved": unserved(model),
            "sticky": .bool(!model.config.stickyKeys.isEmpty),
            "guarded": .bool(model.isGuarded), "recovery": recovery(model),
            "last_cut": model.lastCut?.json ?? .null,
            "quarantined": .object(
                state.quarantined.sorted { $0.key < $1.key }.map {
                    .init($0.key, Self.quarantine($0.value))
                }),
            "feedback": .array(model.feedback.map { feedback($0, of: model) }),
            "versions": .array(model.config.versions.indices.map { version($0, of: model) }),
        ]
    }

    /// What is copied now: by a shadow stage, else as the file says.
    private func shadow(_ model: StatusSnapshot.Model) -> JSON {
        let written = model.config.shadow
        guard let version = model.state.shadow?.version ?? written?.version else { return .null }
        return [
            "version": .string(version),
            "share": .string(Notation.text(ppm: model.state.shadow?.ppm ?? written?.ppm ?? 0)),
            "conditional": .bool(model.state.shadow == nil && written?.conditions.isEmpty == false),
        ]
    }

    private func unserved(_ model: StatusSnapshot.Model) -> JSON {
        guard let run = model.unserved else { return .null }
        return [
            "requests": .count(run.all.all), "failed": .count(run.all.failed),
            "reason": .optional(model.unservedReason),
        ]
    }

    private func promoted(_ state: RolloutState) -> JSON {
        guard case .promoted(let record) = state.phase else { return .null }
        return [
            "version": .string(record.version), "by": .string(record.actor),
            "at": .string(Timestamp.text(wallMicros: record.wallMicros)), "reason": .string(record.reason),
        ]
    }

    private func recovery(_ model: StatusSnapshot.Model) -> JSON {
        if let reading = model.recovery { return reading.json }
        return model.state.recovery.map { ["verdict": .string($0.rawValue)] } ?? .null
    }

    private func isCoolingDown(_ state: RolloutState) -> Bool {
        state.isCoolingDown(steadyMicros: snapshot.clocks.steadyMicros ?? snapshot.clocks.wallMicros)
    }

    /// The end of a cool-down by the wall clock, as that goes now.
    private func coolDown(until: UInt64) -> JSON {
        let clocks = snapshot.clocks
        let left = Int64(clamping: until) - Int64(clamping: clocks.steadyMicros ?? clocks.wallMicros)
        let end = Int64(clamping: clocks.wallMicros).addingReportingOverflow(left)
        return .string(Timestamp.text(wallMicros: end.overflow ? .max : UInt64(max(0, end.partialValue))))
    }

    private static func quarantine(_ record: QuarantineRecord) -> JSON {
        [
            "cut": .string(record.cutID), "at": .string(Timestamp.text(wallMicros: record.wallMicros)),
            "reason": .string(record.reason),
        ]
    }

    private func version(_ i: Int, of model: StatusSnapshot.Model) -> JSON {
        let config = model.config.versions[i]
        let name = config.name
        let ppm = model.config.weight(of: name, under: model.state)
        let totals = counts(model.versionSlots[i])
        return [
            "name": .string(name), "role": .string(model.role(of: name)),
            "weight": .string(Notation.text(ppm: ppm)), "weight_ppm": .integer(Int64(ppm)),
            "quarantined": .bool(model.state.quarantined[name] != nil),
            "live": live(model.live[i]),
            "totals": [
                "started": .count(totals.started), "completed": .count(totals.completed),
                "failed": .count(
                    totals.failed(countingClientErrors: model.config.clientErrors == .count)),
                "excluded": .count(totals.excluded),
                "in_flight": .count(totals.inFlight), "shielded": .count(totals.shielded),
                "retries": .count(totals.retries), "shadow_sent": .count(totals.shadowSent),
            ],
            "endpoints": .array(
                model.endpoints[i].map {
                    [
                        "address": .string($0.address.description),
                        "checked": .bool(config.healthCheck != nil),
                        "health": .string(snapshot.health(of: $0, config).rawValue),
                        "healthy": .bool(snapshot.health(of: $0, config) == .healthy),
                    ]
                }),
            "split_log_e": model.splitLogE[i].map(JSON.number) ?? .null,
            "guardrails": .array(model.readings[i].map(\.json)),
        ]
    }

    private func feedback(_ figures: FeedbackFigures, of model: StatusSnapshot.Model) -> JSON {
        [
            "metric": .string(figures.metric), "window_s": .number(Double(figures.windowMillis) / 1_000),
            "versions": .array(
                zip(model.config.versions, zip(figures.posted, figures.matured)).map { version, counts in
                    let (posted, matured) = counts
                    return [
                        "name": .string(version.name), "posted": .count(posted.count),
                        "posted_sum": .number(posted.sum), "requests": .count(matured.requests),
                        "mean": matured.mean.map(JSON.number) ?? .null,
                    ]
                }),
        ]
    }

    private func live(_ window: Window?) -> JSON {
        guard let window, let content = window.content else { return .null }
        let figures = LiveFigures(content, ticks: window.observedTicks)
        func millis(_ micros: UInt64?) -> JSON { micros.map { .number(Double($0) / 1_000) } ?? .null }
        return [
            "rps": .number(figures.requestsPerSecond), "requests": .count(figures.requests),
            "p50_ms": millis(figures.p50Micros), "p99_ms": millis(figures.p99Micros),
            "error_share": figures.errorShare.map(JSON.number) ?? .null,
            "cancelled_share": figures.cancelledShare.map(JSON.number) ?? .null,
            "window_s": .number(Double(window.observedTicks) / 10),
        ]
    }
}

extension GroupStatus {
    var json: JSON {
        [
            "name": .string(name), "models": .array(models.map(JSON.string)),
            "uncut": .array(
                uncut.map { ["model": .string($0.model), "reason": .string($0.reason)] }),
        ]
    }
}

extension ActionStatus {
    var json: JSON {
        [
            "name": .string(name), "sink": .string(sink), "pending": .integer(Int64(pending)),
            "done": .count(done), "retried": .count(retried), "failed": .count(failed),
            "refused": .count(refused), "last_failure": .optional(lastFailure),
            "last_done_at": lastDoneMicros.map { .string(Timestamp.text(wallMicros: $0)) } ?? .null,
        ]
    }
}

extension StatusSnapshot.Model {
    /// stable, candidate, shadow, control or none.
    func role(of version: String) -> String { config.role(of: version)?.rawValue ?? "none" }
}

/// What is known of an endpoint; the words are an interface.
enum EndpointHealth: String, CaseIterable {
    /// Its last checks passed, or nobody checks it.
    case healthy
    case unhealthy
    /// It has a check, which has neither passed nor failed yet.
    case unchecked
}

extension StatusSnapshot {
    func health(of endpoint: EndpointPlan, _ version: VersionConfig) -> EndpointHealth {
        guard version.healthCheck != nil else { return .healthy }
        return health[endpoint.slot].map { $0 ? .healthy : .unhealthy } ?? .unchecked
    }

    /// The page behind /metrics, from this snapshot and the meters of the moment.
    func metricsPage(
        cores: Int, core: CoreMeterSnapshot, meters: (Int) -> VersionMeterSnapshot
    ) -> MetricsPage {
        var versions: [MetricsPage.Version] = []
        var guardrails: [MetricsPage.Guardrail] = []
        for model in models {
            for (i, version) in model.config.versions.enumerated() {
                let ppm = model.config.weight(of: version.name, under: model.state)
                versions.append(
                    MetricsPage.Version(
                        model: model.config.name, version: model.config.label(of: version.name),
                        role: model.role(of: version.name),
                        weight: Double(ppm) / 1_000_000,
                        isQuarantined: model.state.quarantined[version.name] != nil,
                        endpoints: model.endpoints[i].count,
                        healthyEndpoints: model.endpoints[i].count { health(of: $0, version) == .healthy },
                        uncheckedEndpoints: model.endpoints[i].count {
                            health(of: $0, version) == .unchecked
                        },
                        splitLogE: model.splitLogE[i],
                        snapshot: meters(model.versionSlots[i])))
                guardrails += model.readings[i].map {
                    MetricsPage.Guardrail(
                        model: model.config.name, version: version.name, guardrail: $0.name,
                        progress: $0.progress, verdict: $0.verdict.rawValue)
                }
            }
        }
        var page = MetricsPage(
            buildVersion: Release.version, cores: cores, versions: versions, guardrails: guardrails,
            cuts: cuts.map { .init(model: $0.model, guardrail: $0.guardrail, count: $0.count) }, core: core,
            control: counts,
            process: MetricsPage.Process(
                cpuSeconds: ProcessUsage.cpuSeconds, residentBytes: ProcessUsage.residentBytes,
                virtualBytes: ProcessUsage.virtualBytes, openDescriptors: ProcessUsage.openDescriptors,
                descriptorsMax: ProcessUsage.descriptorsMax, startSeconds: ProcessUsage.startSeconds))
        page.feedback = feedback
        page.groups = groups
        page.feedbackMeans = models.flatMap { model in
            model.feedback.flatMap { model.config.means(of: $0) }
        }
        return page
    }
}

extension ModelConfig {
    /// The mean of the feedback, by version; those of a control arm are stable's.
    fileprivate func means(of figures: FeedbackFigures) -> [MetricsPage.FeedbackMean] {
        let part = (control?.version).flatMap(index(of:)).map { figures.matured[$0] }
        return zip(versions, figures.matured).compactMap { version, matured in
            guard version.name != control?.version else { return nil }
            let more = version.name == stable ? part : nil
            return MetricsPage.FeedbackMean(
                model: name, version: version.name, metric: figures.metric,
                requests: matured.requests + (more?.requests ?? 0), sum: matured.sum + (more?.sum ?? 0))
        }
    }
}
