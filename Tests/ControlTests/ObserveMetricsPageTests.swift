// The laws of the metrics page: it says what it was given, every family and series once, and Prometheus'
// own tool accepts it. The sample has hostile names, since a config may.
// promtool is of the Debian package `prometheus`; without it that suite does not run.

import ConfigSamples
import Foundation
import Metrics
import Testing

@testable import Control
@testable import Sidecar

@Suite struct ObserveMetricsPageTests {
    @Test("Every metric that is served stands in Observing.md")
    func documented() throws {
        let path = configTestRoot + "/Sources/Sidecar/Sidecar.docc/Observing.md"
        let page = try String(contentsOfFile: path, encoding: .utf8)
        let families = Self.sample.text(.prometheusText).split(separator: "\n")
            .filter { $0.hasPrefix("# TYPE weir_") }.map { $0.split(separator: " ")[2] }
        #expect(families.count > 40)
        for family in families {
            #expect(page.contains("`\(family)"), "\(family)")
        }
    }

    /// A process with two models, one of them with hostile names, and something of everything.
    static let sample: MetricsPage = {
        var core = CoreMeterSnapshot()
        for index in core.counters.indices { core.counters[index] = UInt64(index) + 1 }
        core.refusals[0] = 3
        var control = ControlCounts()
        control.reloadsApplied = 2
        control.obeyedEpoch = 7
        return MetricsPage(
            buildVersion: "1.0.0", cores: 2,
            versions: [
                .init(
                    model: "m", version: "v1", role: "stable", weight: 0.95, endpoints: 2,
                    healthyEndpoints: 1, snapshot: snapshot(requests: 19, failures: 0)),
                .init(
                    model: "m", version: "v2", role: "candidate", weight: 0.05,
                    isQuarantined: true, endpoints: 1, healthyEndpoints: 1,
                    snapshot: snapshot(requests: 4, failures: 3)),
                .init(
                    model: "odd \"name\"\\\n", version: "ü", role: "shadow", weight: 0,
                    snapshot: snapshot(requests: 0, failures: 0)),
            ],
            guardrails: [
                .init(
                    model: "m", version: "v2", guardrail: "errors",
                    progress: 1, verdict: "fail")
            ],
            cuts: [.init(model: "m", guardrail: "errors", count: 1)],
            core: core, control: control,
            process: .init(
                cpuSeconds: 1.5, residentBytes: 9_000_000, virtualBytes: 4_000_000_000, openDescriptors: 40,
                descriptorsMax: 1_024, startSeconds: 1_795_252_450.25))
    }()

    static func snapshot(requests: UInt64, failures: UInt64) -> VersionMeterSnapshot {
        var snapshot = VersionMeterSnapshot()
        snapshot.counts.started = requests + 1
        snapshot.counts[.success] = requests - failures
        snapshot.counts[.upstreamError] = failures
        for _ in 0..<requests { snapshot[.total].record(nanos: 2_000_000) }
        return snapshot
    }

    static func lines(_ format: Exposition.Format) -> [Substring] {
        sample.text(format).split(separator: "\n")
    }

    @Test(
        "The page says what it was given",
        arguments: [
            #"weir_requests_total{model="m",version="v2",role="candidate",outcome="upstream_error"} 3"#,
            #"weir_requests_total{model="odd \"name\"\\\n",version="ü",role="shadow",outcome="success"} 0"#,
            #"weir_inflight_requests{model="m",version="v1",role="stable"} 1"#,
            #"weir_request_duration_seconds_count{model="m",version="v1",role="stable",kind="total"} 19"#,
            #"weir_request_duration_seconds_bucket{model="m",version="v2",role="candidate",kind="total","#
                + #"le="0.0025"} 4"#,
            #"weir_traffic_weight_ratio{model="m",version="v2",role="candidate"} 0.05"#,
            #"weir_quarantined_versions{model="m",version="v2",role="candidate"} 1"#,
            #"weir_endpoints{model="m",version="v1",role="stable",state="unhealthy"} 1"#,
            #"weir_guardrail_progress_ratio{model="m",version="v2",guardrail="errors"} 1.0"#,
            #"weir_cuts_total{model="m",guardrail="errors"} 1"#,
            #"weir_shadow_dropped_total{model="odd \"name\"\\\n",version="ü",role="shadow","#
                + #"reason="in_flight"} 0"#,
            #"weir_refused_total{cause="malformed"} 3"#,
            #"weir_config_reloads_total{result="applied"} 2"#,
            #"weir_build_info{version="1.0.0"} 1"#,
            "process_resident_memory_bytes 9000000",
            "process_cpu_seconds_total 1.5",
        ])
    func content(line: String) {
        #expect(Self.lines(.prometheusText).contains(line[...]))
        #expect(Self.lines(.openMetrics).contains(line[...]))
    }

    @Test("Every family and every series stands once on the page", arguments: Exposition.Format.allCases)
    func uniqueness(format: Exposition.Format) {
        let lines = Self.lines(format)
        let families = lines.filter { $0.hasPrefix("# TYPE") }
        #expect(Set(families).count == families.count)
        let series = lines.filter { !$0.hasPrefix("#") }
            .compactMap { line in line.lastIndex(of: " ").map { line[..<$0] } }
        #expect(Set(series).count == series.count)
    }

    @Test("Shadow families appear only where there is a shadow")
    func noShadow() {
        var page = Self.sample
        page.versions.removeLast()
        #expect(!page.text(.prometheusText).contains("weir_shadow_sent"))
    }

    @Test("A page without models is a page")
    func empty() {
        var page = Self.sample
        page.versions = []
        page.guardrails = []
        page.cuts = []
        #expect(page.text(.openMetrics).hasSuffix("# EOF\n"))
        #expect(page.text(.prometheusText).contains("weir_build_info"))
    }
}

private let promtool = "/usr/bin/promtool"

@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool), "promtool is not installed"))
struct ObservePromtoolTests {
    @Test("promtool finds nothing to say about the page as Prometheus text")
    func text() throws {
        let (status, output) = try check(ObserveMetricsPageTests.sample.text(.prometheusText))
        #expect(status == 0, "\(output)")
    }

    @Test("promtool, which reads the text format alone, misses in OpenMetrics only the counters' help")
    func openMetrics() throws {
        let (_, output) = try check(ObserveMetricsPageTests.sample.text(.openMetrics))
        let others = output.split(separator: "\n").filter { !$0.hasSuffix("_total no help text") }
        #expect(others.isEmpty)
    }

    private func check(_ page: String) throws -> (status: Int32, output: String) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "weir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "page.txt")
        try Data(page.utf8).write(to: file)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: promtool)
        process.arguments = ["check", "metrics"]
        let output = Pipe()
        process.standardInput = try FileHandle(forReadingFrom: file)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
