// The laws of the exposition: the exact text of both formats, and the choice between them.
// The Accept headers are those of Prometheus 2 and 3, of browsers, and of nobody in his right mind.
// What Prometheus' own tools say about the same page is in PromtoolTests.

import Foundation
import Metrics
import Testing

@Suite struct ExpositionTests {
    /// A page with one family of each kind.
    static func page(_ format: Exposition.Format) -> String {
        var writer = ExpositionWriter(format)
        writer.begin("weir_requests", .counter, help: "Requests by outcome.")
        writer.sample(3, ["model": "a", "outcome": "success"])
        writer.sample(0, ["model": "a\\b \"c\"\nd", "outcome": "reset"])
        writer.begin("weir_traffic_weight_ratio", .gauge, help: "Share of traffic.")
        writer.sample(0.05)
        writer.begin("weir_request_duration_seconds", .histogram, help: "Time taken.")
        var times = HistogramSnapshot()
        for nanos: UInt64 in [500_000, 1_500_000, 2_000_000_000, 9_000_000_000_000] {
            times.record(nanos: nanos)
        }
        writer.sample(times, ["kind": "total"], bounds: [0.001, 1, 2.5, 3600])
        return writer.finish()
    }

    static let prometheusPage = #"""
        # HELP weir_requests_total Requests by outcome.
        # TYPE weir_requests_total counter
        weir_requests_total{model="a",outcome="success"} 3
        weir_requests_total{model="a\\b \"c\"\nd",outcome="reset"} 0
        # HELP weir_traffic_weight_ratio Share of traffic.
        # TYPE weir_traffic_weight_ratio gauge
        weir_traffic_weight_ratio 0.05
        # HELP weir_request_duration_seconds Time taken.
        # TYPE weir_request_duration_seconds histogram
        weir_request_duration_seconds_bucket{kind="total",le="0.001"} 1
        weir_request_duration_seconds_bucket{kind="total",le="1.0"} 2
        weir_request_duration_seconds_bucket{kind="total",le="2.5"} 3
        weir_request_duration_seconds_bucket{kind="total",le="3600.0"} 3
        weir_request_duration_seconds_bucket{kind="total",le="+Inf"} 4
        weir_request_duration_seconds_sum{kind="total"} 9002.002
        weir_request_duration_seconds_count{kind="total"} 4

        """#

    static let openMetricsPage = #"""
        # HELP weir_requests Requests by outcome.
        # TYPE weir_requests counter
        weir_requests_total{model="a",outcome="success"} 3
        weir_requests_total{model="a\\b \"c\"\nd",outcome="reset"} 0
        # HELP weir_traffic_weight_ratio Share of traffic.
        # TYPE weir_traffic_weight_ratio gauge
        # UNIT weir_traffic_weight_ratio ratio
        weir_traffic_weight_ratio 0.05
        # HELP weir_request_duration_seconds Time taken.
        # TYPE weir_request_duration_seconds histogram
        # UNIT weir_request_duration_seconds seconds
        weir_request_duration_seconds_bucket{kind="total",le="0.001"} 1
        weir_request_duration_seconds_bucket{kind="total",le="1.0"} 2
        weir_request_duration_seconds_bucket{kind="total",le="2.5"} 3
        weir_request_duration_seconds_bucket{kind="total",le="3600.0"} 3
        weir_request_duration_seconds_bucket{kind="total",le="+Inf"} 4
        weir_request_duration_seconds_sum{kind="total"} 9002.002
        weir_request_duration_seconds_count{kind="total"} 4
        # EOF

        """#

    @Test(
        "The same calls write the text of either format to the letter",
        arguments: [(Exposition.Format.prometheusText, prometheusPage), (.openMetrics, openMetricsPage)])
    func exactText(format: Exposition.Format, page: String) {
        #expect(Self.page(format) == page)
    }

    @Test("Numbers that are not numbers have the format's words")
    func specialNumbers() {
        var writer = ExpositionWriter(.prometheusText)
        writer.begin("weir_x", .gauge, help: "X.")
        for value in [Double.nan, .infinity, -.infinity, 1e-5, 12] { writer.sample(value) }
        let page = writer.finish().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(page == ["weir_x NaN", "weir_x +Inf", "weir_x -Inf", "weir_x 1e-05", "weir_x 12.0"])
    }

    @Test("A histogram's buckets grow from bound to bound and end at its count")
    func cumulativeBuckets() {
        var random = SeededRandom()
        var times = HistogramSnapshot()
        for _ in 0..<5_000 { times.record(nanos: random.logUniform(1e3...1e13)) }
        var writer = ExpositionWriter(.openMetrics)
        writer.begin("weir_y_seconds", .histogram, help: "Y.")
        writer.sample(times)
        let counts = writer.finish().split(separator: "\n").filter { $0.contains("_bucket") }
            .compactMap { $0.split(separator: " ").last.flatMap { UInt64($0) } }
        #expect(counts == counts.sorted())
        #expect(counts.count == ExpositionWriter.secondsBounds.count + 1)
        #expect(counts.last == 5_000)
        for (bound, count) in zip(ExpositionWriter.secondsBounds, counts) {
            #expect(count == times.countAtMost(nanos: UInt64((bound * 1e9).rounded())))
        }
    }

    /// What Prometheus 2.5 to 3 and others send.
    static let accepts: [(accept: String?, format: Exposition.Format)] = [
        (nil, .prometheusText),
        ("", .prometheusText),
        ("*/*", .prometheusText),
        ("text/plain", .prometheusText),
        ("text/html,application/xhtml+xml,*/*;q=0.8", .prometheusText),
        ("application/openmetrics-text", .openMetrics),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", .openMetrics),
        ("application/openmetrics-text;version=\"1.0.0\"", .openMetrics),
        ("Application/OpenMetrics-Text;Version=1.0.0;Q=0.5,text/plain;q=0.4", .openMetrics),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;"
                + "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
                + "openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
                + "q=0.7,text/plain;version=0.0.4;q=0.3", .prometheusText
        ),
        ("application/openmetrics-text;version=0.0.1", .prometheusText),
        ("application/openmetrics-text;version=2.0.0,text/plain", .prometheusText),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.8", .prometheusText),
        ("application/openmetrics-text;q=0,*/*", .prometheusText),
        ("application/openmetrics-text,text/plain", .openMetrics),
        ("application/openmetrics-text,*/*", .openMetrics),
        ("application/*;q=0.9,text/plain;q=0.5", .openMetrics),
        ("text/*;q=0.1,application/openmetrics-text;q=0.2", .openMetrics),
        ("text/plain;q=0", .prometheusText),
        ("application/openmetrics-text;q=abc", .prometheusText),
        ("application/openmetrics-text;q=1.5", .prometheusText),
        ("application/openmetrics-text;q=0.0000", .prometheusText),
        (",;,/,=;q=", .prometheusText),
        (" \t application/openmetrics-text \t ; q=1 ", .openMetrics),
    ]

    @Test("The Accept header's qualities choose the format", arguments: accepts)
    func negotiation(accept: String?, format: Exposition.Format) {
        #expect(Exposition.format(accept: accept) == format)
    }

    @Test("The content types are the registered ones")
    func contentTypes() {
        #expect(Exposition.Format.prometheusText.contentType == "text/plain; version=0.0.4; charset=utf-8")
        #expect(
            Exposition.Format.openMetrics.contentType
                == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    }
}
