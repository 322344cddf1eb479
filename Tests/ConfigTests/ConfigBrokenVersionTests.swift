// Broken versions and guardrails: endpoints, rewrites, health checks, and rules that mean two things at once.
// Line 8 is the first of a version's sample; line 10 is the guardrail's. Names are resolved by the samples'
// own table, never by the network.

import ConfigSamples
import Testing

@testable import Config

/// Versions and guardrails that are wrong.
private let brokenVersions: [Broken] = [
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:9002]
            health_check: {}
            """),
        [
            "9:23: models[0].versions.v2.health_check: lacks 'path'",
            "expected a path that starts with /, perhaps",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:9002]
            health_check: { path: ready }
            """),
        [
            "9:31: models[0].versions.v2.health_check.path: wrong value 'ready'",
            "expected a path that starts with /, perhaps",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:9002]
            health_check: { path: /r, status: 99 }
            """),
        [
            "9:43: models[0].versions.v2.health_check.status: wrong value '99'",
            "expected a whole number from 100 to 599",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:9002]
            health_check: { path: /r, interval: 1s, timeout: 2s }
            """),
        [
            "9:58: models[0].versions.v2.health_check.timeout: is longer than the interval: '2s'",
            "expected at most 1s",
        ]),
    Broken(
        .version("endpoints: [127.0.0.1:9002, 127.0.0.1:9002]"),
        [
            "8:37: models[0].versions.v2.endpoints[1]: 127.0.0.1:9002 stands here already:",
            "expected each address once",
        ]),
    Broken(
        .version("endpoints: [pool:9002, 10.0.0.1:9002]"),
        [
            "8:32: models[0].versions.v2.endpoints[1]: 10.0.0.1:9002 stands here already:",
            "expected each address once",
        ]),
    Broken(
        .version("endpoints: 127.0.0.1:9002"),
        [
            "8:20: models[0].versions.v2.endpoints: wrong value '127.0.0.1:9002'",
            "expected a list, each item an address:",
        ]),
    Broken(
        .version("endpoints: [nowhere:80]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: the name does not resolve (Name or",
            "expected a name with an address",
        ]),
    Broken(
        .version("endpoints: [wide:80]"),
        ["8:20: models[0].versions.v2.endpoints: its names have 300 addresses", "expected at most 256"]),
    Broken(
        .version("endpoints: [127.0.0.1:0]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: wrong value '127.0.0.1:0'",
            "expected a port from 1 to 65535",
        ]),
    Broken(
        .version("endpoints: [http://127.0.0.1:9002/x]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: wrong value 'http://127.0.0.1:9002/x'",
            "expected an address: host:port, [IPv6]:port or",
            "did you mean '127.0.0.1:9002'?",
        ]),
    Broken(
        .version("endpoints: [1.2.3:80]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: wrong value '1.2.3:80'",
            "expected an address: host:port, [IPv6]:port or",
        ]),
    Broken(
        .version("endpoint: [127.0.0.1:80]"),
        [
            "8:9: models[0].versions.v2: unknown key 'endpoint'",
            "expected one of endpoints, rewrite,",
            "did you mean 'endpoints'?",
        ]),
    Broken(
        .version("endpoints: [/run/x.sock]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: wrong value '/run/x.sock'",
            "expected an address: host:port, [IPv6]:port or",
            "did you mean 'unix:/run/x.sock'?",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { path_prefix: /a }
            """),
        [
            "9:33: models[0].versions.v2.rewrite.path_prefix: wrong value '/a'",
            "expected a mapping with from and to",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { path_prefix: { from: /a } }
            """),
        [
            "9:33: models[0].versions.v2.rewrite.path_prefix: lacks 'to'",
            "expected a path that starts with / and has no",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { add_headers: { host: a } }
            """),
        [
            "9:35: models[0].versions.v2.rewrite.add_headers: wrong value 'host'",
            "expected rewrite.host, for Host",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { remove_headers: [content-length] }
            """),
        [
            "9:37: models[0].versions.v2.rewrite.remove_headers[0]: wrong value 'content-length'",
            "expected a header that Weir does not set itself",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { add_headers: { a: "b\\r\\nc: d" } }
            """),
        [
            "9:38: models[0].versions.v2.rewrite.add_headers.a: wrong value 'b\\r\\nc: d'",
            "expected a header value without control",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { add_headers: { a: } }
            """),
        [
            "9:38: models[0].versions.v2.rewrite.add_headers.a: has no value",
            "expected a header value without control",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            outlier_ejection: { time: 1m, max_time: 10s }
            """),
        [
            "9:49: models[0].versions.v2.outlier_ejection.max_time: is shorter than time: '10s'",
            "expected at least 1m",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            outlier_detection: { time: 1m }
            """),
        [
            "9:9: models[0].versions.v2: unknown key 'outlier_detection'",
            "expected one of endpoints, rewrite,",
            "did you mean 'outlier_ejection'?",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            queue: { size: 3 }
            """),
        ["9:18: models[0].versions.v2.queue: unknown key 'size'", "expected one of max, timeout"]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            max_in_flight: 1k
            """),
        [
            "9:24: models[0].versions.v2.max_in_flight: wrong value '1k'",
            "expected a whole number from 0 to 1000000",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            slow_start: 10
            """),
        [
            "9:21: models[0].versions.v2.slow_start: wrong value '10'",
            "expected a duration such as 500ms, 10s or 5m,",
            "did you mean '10s'?",
        ]),
    Broken(
        .version("v2"),
        ["8:9: models[0].versions.v2: wrong value 'v2'", "expected a version: a mapping with endpoints"]),
    Broken(
        .version("endpoints: [\"[::1]:80x\"]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: wrong value '[::1]:80x'",
            "expected an address: host:port, [IPv6]:port or",
        ]),
    Broken(
        .version("endpoints: [\"::1:80\"]"),
        [
            "8:21: models[0].versions.v2.endpoints[0]: wrong value '::1:80'",
            "expected an address: host:port, [IPv6]:port or",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            max_in_flight: -1
            """),
        [
            "9:24: models[0].versions.v2.max_in_flight: wrong value '-1'",
            "expected a whole number from 0 to 1000000",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            health_check: { path: /r, status: [200, ok] }
            """),
        [
            "9:49: models[0].versions.v2.health_check.status[1]: wrong value 'ok'",
            "expected a whole number from 100 to 599",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { host: "a b" }
            """),
        [
            "9:26: models[0].versions.v2.rewrite.host: wrong value 'a b'",
            "expected a host, perhaps with :port",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { path_prefix: { from: /a, to: //b///c } }
            """),
        [
            "9:49: models[0].versions.v2.rewrite.path_prefix.to: wrong value '//b///c'",
            "expected a path without // in it",
            "did you mean '/b/c'?",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            rewrite: { path_prefix: { from: a, to: / } }
            """),
        [
            "9:41: models[0].versions.v2.rewrite.path_prefix.from: wrong value 'a'",
            "expected a path that starts with / and has no",
            "did you mean '/a'?",
        ]),
    Broken(
        .version(
            """
            endpoints: [127.0.0.1:80]
            queue: { max: -1, timeout: 0s }
            """),
        [
            "9:23: models[0].versions.v2.queue.max: wrong value '-1'",
            "expected a whole number from 0 to 1000000",
        ],
        [
            "9:36: models[0].versions.v2.queue.timeout: wrong value '0s'",
            "expected a duration such as 500ms, 10s or 5m,",
        ]),
    Broken(
        .model("guardrails: some"),
        ["9:17: models[0].guardrails: wrong value 'some'", "or none"]),
    Broken(
        .guardrail("kind: error_rate, above: 0.02"),
        ["10:36: models[0].guardrails[0].above: wrong value '0.02'", "did you mean '2%'?"]),
    Broken(
        .guardrail("kind: latency, quantile: p99, above: 300"),
        ["10:48: models[0].guardrails[0].above: wrong value '300'", "did you mean '300ms'?"]),
    Broken(
        .guardrail("kind: eror_rate, above: 2%"),
        [
            "10:17: models[0].guardrails[0].kind: wrong value 'eror_rate'",
            "expected one of error_rate, non_2xx, cancels, empty, latency",
            "did you mean 'error_rate'?",
        ]),
    Broken(
        .guardrail("kind: error_rate"),
        ["10:9: models[0].guardrails[0]: says nothing", "expected one of above, worse_than_stable,"]),
    Broken(
        .guardrail("above: 2%"),
        [
            "10:9: models[0].guardrails[0]: lacks 'kind'",
            "expected one of error_rate, non_2xx, cancels, empty, latency",
        ]),
    Broken(
        .guardrail("kind: latency, above: 1s"),
        [
            "10:9: models[0].guardrails[0]: lacks 'quantile'",
            "expected a quantile such as p50, p99 or p99.9",
        ]),
    Broken(
        .guardrail("kind: latency, quantile: p100, above: 1s"),
        [
            "10:36: models[0].guardrails[0].quantile: wrong value 'p100'",
            "expected a quantile such as p50, p99 or p99.9",
        ]),
    Broken(
        .guardrail("kind: latency, quantile: p99, above: 2%"),
        [
            "10:48: models[0].guardrails[0].above: wrong value '2%'",
            "expected a duration such as 500ms, 10s or 5m,",
        ]),
    Broken(
        .guardrail("kind: error_rate, quantile: p99, above: 2%"),
        [
            "10:9: models[0].guardrails[0]: kind error_rate has no quantile",
            "expected of these: above, window,",
        ]),
    Broken(
        .guardrail("kind: error_rate, above: 2%, worse_than_stable: true"),
        [
            "10:9: models[0].guardrails[0]: has both above and worse_than_stable",
            "expected one of above, worse_than_stable,",
        ]),
    Broken(
        .guardrail("kind: error_rate, worse_than_stable: false"),
        [
            "10:48: models[0].guardrails[0].worse_than_stable: wrong value 'false'",
            "expected true, or no such key",
        ]),
    Broken(
        .guardrail("kind: error_rate, worse_than_stable: true, window: 5m"),
        [
            "10:9: models[0].guardrails[0]: a window rule has no measure of its own for",
            "expected worse_than_stable_by with a",
        ]),
    Broken(
        .guardrail("kind: error_rate, above: 2%, for: 5m, alpha: 1%"),
        [
            "10:9: models[0].guardrails[0]: has both alpha and for",
            "expected alpha for a sequential rule, or",
        ]),
    Broken(
        .guardrail("kind: error_rate, above: 2%, action: page"),
        ["10:48: models[0].guardrails[0].action: wrong value 'page'", "expected one of cut, hold, alert"]),
    Broken(
        .guardrail("kind: error_rate, above: 2%, window: 2h"),
        [
            "10:48: models[0].guardrails[0].window: wrong value '2h'",
            "expected a duration such as 10s or 5m,",
        ]),
    Broken(
        .guardrail("kind: error_rate, above: 2%, min_requests: 0"),
        [
            "10:54: models[0].guardrails[0].min_requests: wrong value '0'",
            "expected a whole number from 1 to 1000000000",
        ]),
    Broken(
        .guardrail("kind: error_rate, above: 100%"),
        [
            "10:36: models[0].guardrails[0].above: wrong value '100%'",
            "expected a percentage such as 5% or 0.1%, from",
        ]),
    Broken(
        .model(
            """
            guardrails:
              - { kind: error_rate, above: 2% }
              - { kind: error_rate, above: 3% }
            """),
        [
            "11:9: models[0].guardrails[1]: another guardrail has the name 'error_rate_above'",
            "expected a `name` of its own",
        ]),
    Broken(
        .model(
            """
            guardrails:
              - { kind: latency, quantile: p50, worse_than_stable: true }
              - { kind: latency, quantile: p90, worse_than_stable: true }
              - { kind: latency, quantile: p95, worse_than_stable: true }
              - { kind: latency, quantile: p99, worse_than_stable: true }
            """),
        [
            "13:9: models[0].guardrails[3]: the sequential latency guardrails need 8 thresholds",
            "expected at most 6: two per relative rule, one",
        ]),
    Broken(
        .model("guardrails: [{ kind: latency, quantile: 0.99, above: 300ms }]"),
        [
            "9:45: models[0].guardrails[0].quantile: wrong value '0.99'",
            "expected a quantile such as p50, p99 or p99.9",
            "did you mean 'p99'?",
        ]),
    Broken(
        .model("guardrails: [{ kind: latency, quantile: p99, worse_than_stable_by: 30, name: a }]"),
        [
            "9:72: models[0].guardrails[0].worse_than_stable_by: wrong value '30'",
            "expected a percentage such as 5% or 20%, from",
            "did you mean '30%'?",
        ]),
]

@Test(
    "A broken version or guardrail gives exactly these problems, each with its place",
    arguments: brokenVersions)
private func brokenVersion(_ broken: Broken) { broken.check() }
