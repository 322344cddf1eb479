// The page behind /metrics: the whole process as text, from values alone. Whoever serves it gathers the
// snapshots; nothing here knows a socket, a core or a clock.
//
// Names: prefix `weir_`, base units, counters end in `_total`, ratios 0...1; `process_*` as every exporter
// has them. Label values come from bounded sets: names of the config, and the words of our own enums. No
// path, key, client or error text is ever a label.

import Control
import Metrics

/// Everything that one page says.
struct MetricsPage: Sendable {
    /// One version of one model.
    struct Version: Sendable {
        var model: String
        var version: String
        /// What the version is to the model now: stable, candidate, shadow or none.
        var role: String
        /// Its share of the split in force, 0...1.
        var weight: Double
        /// Barred from traffic until an operator says otherwise.
        var isQuarantined: Bool
        /// Endpoints in all, those that may be sent requests, and those whose checks have said nothing yet.
        var endpoints: Int
        var healthyEndpoints: Int
        var uncheckedEndpoints: Int
        /// Natural log of the evidence that the split is not what its weights say; nil: not checked.
        var splitLogE: Double?
        /// Summed over cores.
        var snapshot: VersionMeterSnapshot

        init(
            model: String, version: String, role: String, weight: Double, isQuarantined: Bool = false,
            endpoints: Int = 0, healthyEndpoints: Int = 0, uncheckedEndpoints: Int = 0,
            splitLogE: Double? = nil,
            snapshot: VersionMeterSnapshot
        ) {
            self.model = model
            self.version = version
            self.role = role
            self.weight = weight
            self.isQuarantined = isQuarantined
            self.endpoints = endpoints
            self.healthyEndpoints = healthyEndpoints
            self.uncheckedEndpoints = uncheckedEndpoints
            self.splitLogE = splitLogE
            self.snapshot = snapshot
        }

        var labels: Labels { ["model": model, "version": version, "role": role] }
    }

    /// One guardrail of one candidate.
    struct Guardrail: Sendable {
        var model: String
        var version: String
        var guardrail: String
        /// Share of the way to a trip, 0...1.
        var progress: Double
        /// The word of its verdict: pass, fail, not_enough_data.
        var verdict: String

        init(model: String, version: String, guardrail: String, progress: Double, verdict: String) {
            self.model = model
            self.version = version
            self.guardrail = guardrail
            self.progress = progress
            self.verdict = verdict
        }

        var labels: Labels { ["model": model, "version": version, "guardrail": guardrail] }
    }

    /// How often a model was cut back by one guardrail (`operator`, `group`) since the process started.
    struct Cuts: Sendable {
        var model: String
        var guardrail: String
        var count: UInt64

        init(model: String, guardrail: String, count: UInt64) {
            self.model = model
            self.guardrail = guardrail
            self.count = count
        }
    }

    /// The process as the kernel sees it.
    struct Process: Sendable {
        var cpuSeconds: Double
        var residentBytes: Int
        var virtualBytes: Int
        var openDescriptors: Int
        var descriptorsMax: Int
        /// Since 1970.
        var startSeconds: Double

        init(
            cpuSeconds: Double, residentBytes: Int, virtualBytes: Int, openDescriptors: Int,
            descriptorsMax: Int, startSeconds: Double
        ) {
            self.cpuSeconds = cpuSeconds
            self.residentBytes = residentBytes
            self.virtualBytes = virtualBytes
            self.openDescriptors = openDescriptors
            self.descriptorsMax = descriptorsMax
            self.startSeconds = startSeconds
        }
    }

    /// Release of the binary.
    var buildVersion: String
    var cores: Int
    var versions: [Version]
    var guardrails: [Guardrail]
    var cuts: [Cuts]
    /// Summed over cores.
    var core: CoreMeterSnapshot
    var control: ControlCounts
    var actions: [ActionStatus]
    var process: Process
    /// By model; models without `values` are not in it.
    var samples: [Samples] = []
    var feedback: [FeedbackCount] = []
    /// Of models whose candidate a registry names.
    var sources: [SourceStatus] = []
    var resources: ResourceLimits?
    var feedbackMeans: [FeedbackMean] = []
    var groups: [GroupStatus] = []

    init(
        buildVersion: String, cores: Int, versions: [Version], guardrails: [Guardrail], cuts: [Cuts],
        core: CoreMeterSnapshot, control: ControlCounts, actions: [ActionStatus] = [], process: Process
    ) {
        self.buildVersion = buildVersion
        self.cores = cores
        self.versions = versions
        self.guardrails = guardrails
        self.cuts = cuts
        self.core = core
        self.control = control
        self.actions = actions
        self.process = process
    }

    /// The page in either format; serve it with `format.contentType`.
    func text(_ format: Exposition.Format) -> String {
        var writer = ExpositionWriter(format)
        writeRequests(to: &writer)
        writeShadows(to: &writer)
        writeRollout(to: &writer)
        writeSamples(to: &writer)
        writeFeedback(to: &writer)
        writeCores(to: &writer)
        writeProcess(to: &writer)
        return writer.finish()
    }
}
