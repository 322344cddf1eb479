// The page's part on the sidecar itself: connections, refusals, time limits, buffers, control, process.
// Invariant: each of the cores' counters has a family of its own and each refusal and limit a label, also
// while it is zero, so that a rate can be taken from its first event.

import Metrics

extension MetricsPage {
    func writeCores(to writer: inout ExpositionWriter) {
        writer.begin("weir_connections", .gauge, help: "Open connections, by side.")
        writer.sample(core[.downstreams], ["side": "downstream"])
        writer.sample(core[.upstreams], ["side": "upstream"])
        writer.begin("weir_exchanges", .gauge, help: "Exchanges in progress.")
        writer.sample(core[.exchanges])
        writer.begin("weir_shadows_inflight", .gauge, help: "Shadow copies in progress.")
        writer.sample(core[.shadows])
        writer.begin("weir_buffers_free", .gauge, help: "Free buffer blocks.")
        writer.sample(core[.buffersFree])
        writer.begin("weir_draining", .gauge, help: "Whether the process accepts no more connections.")
        writer.sample(core[.draining] > 0 ? 1 : 0)
        writeLimits(to: &writer)
        writer.begin("weir_cores", .gauge, help: "Event loops.")
        writer.sample(cores)
        for counter in CoreCounter.allCases {
            writer.begin(Self.name(of: counter), .counter, help: Self.help(of: counter))
            writer.sample(core[counter])
        }
        writer.begin("weir_refused", .counter, help: "Requests that Weir answered itself, by cause.")
        for cause in RefusalCause.allCases { writer.sample(core[cause], ["cause": cause.label]) }
        writer.begin("weir_timeouts", .counter, help: "Time limits that ran out, by limit.")
        for limit in TimeLimit.allCases { writer.sample(core[limit], ["limit": limit.label]) }
    }

    /// The bounds in force, over all cores.
    private func writeLimits(to writer: inout ExpositionWriter) {
        guard let resources else { return }
        let (limits, cores) = (resources.limits, resources.cores)
        writer.begin("weir_connections_max", .gauge, help: "Most open connections, by side.")
        writer.sample(cores * limits.downstreamsMax, ["side": "downstream"])
        writer.sample(cores * limits.upstreamsMax, ["side": "upstream"])
        writer.begin("weir_exchanges_max", .gauge, help: "Most exchanges in progress.")
        writer.sample(cores * limits.exchangesMax)
        writer.begin("weir_buffers_max", .gauge, help: "Buffer blocks in all.")
        writer.sample(cores * limits.blocksMax)
        writer.begin(
            "weir_descriptors_reserved", .gauge,
            help: "File descriptors kept for everything but connections of the data plane.")
        writer.sample(resources.reserved)
    }

    func writeProcess(to writer: inout ExpositionWriter) {
        writer.begin("weir_plan_epoch", .gauge, help: "Epoch of the plan that every core obeys.")
        writer.sample(control.obeyedEpoch)
        writer.begin("weir_config_reloads", .counter, help: "Config reloads, by result.")
        writer.sample(control.reloadsApplied, ["result": "applied"])
        writer.sample(control.reloadsRefused, ["result": "refused"])
        writer.begin("weir_journal_failures", .counter, help: "Decisions that could not be made durable.")
        writer.sample(control.journalFailures)
        writeState(to: &writer)
        writer.begin("weir_plan_failures", .counter, help: "Plans that could not be built; the old stays.")
        writer.sample(control.planFailures)
        writer.begin(
            "weir_group_uncut", .gauge, help: "Members of a group that a cut has not fully reached.")
        for group in groups { writer.sample(group.uncut.count, ["group": group.name]) }
        writer.begin("weir_journal_rotations", .counter, help: "Journal files closed, by result.")
        writer.sample(control.journalRotations, ["result": "done"])
        writer.sample(control.journalRotationFailures, ["result": "failed"])
        writeActions(to: &writer)
        writeSources(to: &writer)
        writer.begin("weir_access_log_lines", .counter, help: "Access log lines, by result.")
        writer.sample(control.accessLines, ["result": "written"])
        writer.sample(control.accessLinesLost, ["result": "lost"])
        writer.begin("weir_captures", .counter, help: "Captured exchanges, by result.")
        writer.sample(control.captures, ["result": "written"])
        writer.sample(control.capturesLost, ["result": "lost"])
        writer.begin("weir_build_info", .gauge, help: "The running release; always 1.")
        writer.sample(1, ["version": buildVersion])
        writer.begin("process_cpu_seconds", .counter, help: "User and system CPU time of the process.")
        writer.sample(process.cpuSeconds)
        writer.begin("process_resident_memory_bytes", .gauge, help: "Resident memory.")
        writer.sample(process.residentBytes)
        writer.begin("process_virtual_memory_bytes", .gauge, help: "Reserved address space.")
        writer.sample(process.virtualBytes)
        writer.begin("process_open_fds", .gauge, help: "Open file descriptors.")
        writer.sample(process.openDescriptors)
        writer.begin("process_max_fds", .gauge, help: "Most file descriptors that may be open.")
        writer.sample(process.descriptorsMax)
        writer.begin("process_start_time_seconds", .gauge, help: "Start of the process, seconds since 1970.")
        writer.sample(process.startSeconds)
    }

    private func writeState(to writer: inout ExpositionWriter) {
        writer.begin(
            "weir_state_damaged", .gauge,
            help: "Whether journal lines or rollouts.json were missing or altered at the start.")
        writer.sample(control.stateIsDamaged ? 1 : 0)
        writer.begin(
            "weir_state_replayed_lines", .gauge,
            help: "Journal lines that rollouts.json did not include at the start.")
        writer.sample(control.linesReplayed)
        writer.begin(
            "weir_state_owed", .gauge, help: "Whether rollouts.json cannot be written; the journal holds it.")
        writer.sample(control.stateIsOwed ? 1 : 0)
        writer.begin(
            "weir_journal_reserve_bytes", .gauge, help: "Space kept for decisions when the disk is full.")
        writer.sample(control.reserveBytes)
        writer.begin(
            "weir_journal_reserve_in_use", .gauge,
            help: "Whether the disk is full and only decisions are written.")
        writer.sample(control.reserveIsInUse ? 1 : 0)
    }

    private func writeActions(to writer: inout ExpositionWriter) {
        writer.begin("weir_actions_pending", .gauge, help: "Notices that an action has not been told of.")
        for action in actions { writer.sample(action.pending, ["action": action.name]) }
        writer.begin("weir_actions", .counter, help: "Notices and attempts of actions, by result.")
        for action in actions {
            let results = [
                ("done", action.done), ("retried", action.retried), ("failed", action.failed),
                ("refused", action.refused),
            ]
            for (result, count) in results {
                writer.sample(count, ["action": action.name, "result": result])
            }
        }
    }

    private func writeSources(to writer: inout ExpositionWriter) {
        guard !sources.isEmpty else { return }
        writer.begin("weir_source_polls", .counter, help: "Polls of a candidate's registry, by result.")
        for source in sources {
            for result in SourcePoll.allCases {
                writer.sample(
                    source.polls[result] ?? 0, ["model": source.model, "result": result.rawValue])
            }
        }
        writer.begin(
            "weir_source_info", .gauge, help: "The version that an alias makes the candidate; always 1.")
        for source in sources {
            writer.sample(
                1,
                [
                    "model": source.model, "alias": source.pointer.alias,
                    "version": source.candidate ?? "none", "registry_version": source.number ?? "none",
                ])
        }
        writer.begin(
            "weir_source_trouble", .gauge, help: "Whether the last poll brought nothing that can be followed."
        )
        for source in sources { writer.sample(source.trouble == nil ? 0 : 1, ["model": source.model]) }
        writer.begin(
            "weir_source_answered_timestamp_seconds", .gauge,
            help: "Last answer of the registry, seconds since 1970; 0 before the first.")
        for source in sources {
            writer.sample(Double(source.answeredMicros ?? 0) / 1_000_000, ["model": source.model])
        }
    }

    /// A core counter's family; the words that say too little alone get the thing they count.
    static func name(of counter: CoreCounter) -> String {
        switch counter {
        case .turns: "weir_event_loop_turns"
        case .requests: "weir_core_requests"
        case .responses: "weir_core_responses"
        case .accepted: "weir_connections_accepted"
        case .ejections: "weir_endpoint_ejections"
        case .upstreamReused, .upstreamConnects, .acceptsPaused,
            .upstreamConnectFailures, .unrouted, .accessRecords, .accessRecordsDropped, .buffersExhausted,
            .tunnels, .plansAdopted, .taps, .tapsDroppedFull, .tapsDroppedReserved, .splicedBytes,
            .downstreamsEvicted, .upstreamsEvicted:
            "weir_" + counter.label
        }
    }

    static func help(of counter: CoreCounter) -> String {
        switch counter {
        case .turns: "Turns of the event loops."
        case .requests: "Requests that were given a version."
        case .responses: "Responses written."
        case .upstreamReused: "Requests sent over a pooled connection."
        case .accepted: "Client connections accepted."
        case .upstreamConnects: "Connections opened to endpoints."
        case .acceptsPaused: "Times that accepting was put off because no slot was free."
        case .upstreamConnectFailures: "Connections to endpoints that failed."
        case .unrouted: "Requests that no model matched."
        case .accessRecords: "Access records handed to control."
        case .accessRecordsDropped: "Access records lost because control did not keep up."
        case .buffersExhausted: "Turns that ran out of buffer blocks."
        case .tunnels: "Connections that became tunnels after a 101."
        case .ejections: "Endpoints left alone for a while after failing real requests."
        case .plansAdopted: "Plans taken over by cores."
        case .taps: "Copies of exchanges handed to control."
        case .tapsDroppedFull: "Drawn copies lost because control did not keep up."
        case .tapsDroppedReserved: "Other copies lost because half of the slots are kept for drawn ones."
        case .splicedBytes: "Body bytes that went from socket to socket inside the kernel."
        case .downstreamsEvicted: "Idle client connections closed to make room for new ones."
        case .upstreamsEvicted: "Pooled connections closed to make room for connections to other endpoints."
        }
    }
}
