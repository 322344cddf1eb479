// The page's part on traffic: requests by version, their times, shadow copies, the split and its guardrails.
// Invariant: every version of every model has every series, also while it is zero; shadow families appear
// with the first shadow.

import Metrics

extension MetricsPage {
    func writeRequests(to writer: inout ExpositionWriter) {
        writer.begin(
            "weir_requests", .counter, help: "Requests ended, by the version assigned and the outcome.")
        for version in versions {
            for outcome in Outcome.allCases {
                writer.sample(
                    version.snapshot.counts[outcome], version.labels.with("outcome", outcome.label))
            }
        }
        writer.begin(
            "weir_responses", .counter, help: "Responses sent, by the version assigned and the status class.")
        for version in versions {
            for (count, word) in zip(version.snapshot.counts.statuses, ["2xx", "3xx", "4xx", "5xx", "other"])
            {
                writer.sample(count, version.labels.with("code", word))
            }
        }
        writer.begin("weir_inflight_requests", .gauge, help: "Requests in progress.")
        for version in versions { writer.sample(version.snapshot.counts.inFlight, version.labels) }
        writer.begin(
            "weir_request_duration_seconds", .histogram,
            help: "Times of a request: upstream (sent to last byte), first_byte, added by the proxy, total;"
                + " and of opening connections: connect.")
        for version in versions {
            for kind in TimeKind.allCases {
                writer.sample(version.snapshot[kind], version.labels.with("kind", kind.label))
            }
        }
        counter("weir_request_bytes", "Bytes read from clients.", \.bytesIn, to: &writer)
        counter("weir_response_bytes", "Bytes sent to clients.", \.bytesOut, to: &writer)
        counter("weir_retries", "Further attempts on the same version.", \.retries, to: &writer)
        counter(
            "weir_shielded", "Failures of a candidate that stable answered in its place.", \.shielded,
            to: &writer)
        counter(
            "weir_empty_responses", "Responses with 2xx and no body, where there may be one.", \.empty,
            to: &writer)
        counter(
            "weir_mended", "Requests that ended well although their first attempt failed.", \.mended,
            to: &writer)
        writer.begin("weir_fallbacks", .counter, help: "Requests that went to stable from the start.")
        for version in versions {
            for reason in FallbackReason.allCases {
                writer.sample(
                    version.snapshot.counts.fallbacks[Int(reason.rawValue)],
                    version.labels.with("reason", reason.label))
            }
        }
    }

    /// Versions that have ever been sent a shadow copy, or are meant to be.
    private var shadowed: [Version] {
        versions.filter {
            $0.role == "shadow" || $0.snapshot.counts.shadowSent > 0
                || $0.snapshot.counts.shadowDrops.contains { $0 > 0 }
        }
    }

    func writeShadows(to writer: inout ExpositionWriter) {
        let shadowed = shadowed
        guard !shadowed.isEmpty else { return }
        writer.begin("weir_shadow", .counter, help: "Shadow copies ended, by outcome.")
        for version in shadowed {
            for outcome in Outcome.allCases {
                writer.sample(
                    version.snapshot.counts.shadowOutcomes[Int(outcome.rawValue)],
                    version.labels.with("outcome", outcome.label))
            }
        }
        writer.begin("weir_shadow_sent", .counter, help: "Shadow copies begun.")
        for version in shadowed { writer.sample(version.snapshot.counts.shadowSent, version.labels) }
        writer.begin("weir_shadow_dropped", .counter, help: "Shadow copies not sent or given up, by reason.")
        for version in shadowed {
            for reason in ShadowDrop.allCases {
                writer.sample(
                    version.snapshot.counts.shadowDrops[Int(reason.rawValue)],
                    version.labels.with("reason", reason.label))
            }
        }
        writer.begin(
            "weir_shadow_duration_seconds", .histogram,
            help: "Time of a shadow copy from its first byte sent to the last byte of its answer.")
        for version in shadowed { writer.sample(version.snapshot.shadowTime, version.labels) }
    }

    func writeRollout(to writer: inout ExpositionWriter) {
        writer.begin(
            "weir_traffic_weight_ratio", .gauge, help: "Share of the model's traffic that the split gives.")
        for version in versions { writer.sample(version.weight, version.labels) }
        writer.begin(
            "weir_quarantined_versions", .gauge, help: "Whether a cut has barred the version from traffic.")
        for version in versions { writer.sample(version.isQuarantined ? 1 : 0, version.labels) }
        writer.begin("weir_endpoints", .gauge, help: "Endpoints of the version, by state.")
        for version in versions {
            let rest = version.endpoints - version.healthyEndpoints - version.uncheckedEndpoints
            writer.sample(version.healthyEndpoints, version.labels.with("state", "healthy"))
            writer.sample(rest, version.labels.with("state", "unhealthy"))
            writer.sample(version.uncheckedEndpoints, version.labels.with("state", "unchecked"))
        }
        if !guardrails.isEmpty {
            writer.begin(
                "weir_guardrail_progress_ratio", .gauge, help: "Share of the way to a trip; 1 is a trip.")
            for guardrail in guardrails { writer.sample(guardrail.progress, guardrail.labels) }
            writer.begin(
                "weir_guardrail_verdict", .gauge, help: "The guardrail's verdict: 1 for the one that holds.")
            for guardrail in guardrails {
                for verdict in ["pass", "fail", "not_enough_data"] {
                    writer.sample(
                        verdict == guardrail.verdict ? 1 : 0,
                        guardrail.labels.with("verdict", verdict))
                }
            }
        }
        let checked = versions.filter { $0.splitLogE != nil }
        if !checked.isEmpty {
            writer.begin(
                "weir_split_log_evidence", .gauge,
                help: "Log of the evidence that the split is not what its weights say; 6.9 is proof.")
            for version in checked { writer.sample(version.splitLogE ?? 0, version.labels) }
        }
        writer.begin(
            "weir_cut_seconds", .histogram,
            help: "From a cut's verdict until no core assigned to the cut version any more, at most.")
        writer.sample(control.cutTimes, bounds: Self.cutBounds)
        if !cuts.isEmpty {
            writer.begin("weir_cuts", .counter, help: "Cuts back to stable, by the guardrail that tripped.")
            for cut in cuts {
                writer.sample(cut.count, ["model": cut.model, "guardrail": cut.guardrail])
            }
        }
    }

    /// Microseconds to a second.
    private static let cutBounds = [
        1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 0.1, 1,
    ]

    private func counter(
        _ name: String, _ help: String, _ value: KeyPath<VersionCounts, UInt64>,
        to writer: inout ExpositionWriter
    ) {
        writer.begin(name, .counter, help: help)
        for version in versions { writer.sample(version.snapshot.counts[keyPath: value], version.labels) }
    }
}
