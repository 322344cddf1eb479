// The open-loop load of the benchmarks as a command: Poisson arrivals from a seed, latency from the intended
// send time, one line of JSON at the end. The first fifth of the run warms up and is not counted in the
// latencies.
//
//   bench-load --port 8080 --method POST --body-bytes 1024 --rate 2000 --seconds 2 --seed 1
//              [--connections 64] [--path /v2/models/bench/infer]

import Load
import Metrics
import Platform

@main
struct BenchLoad {
    static func main() throws {
        let options = Options(CommandLine.arguments)
        let template = RequestTemplate(
            method: options.method, path: options.path, host: "127.0.0.1", body: body(options.bodyBytes))
        let plan = LoadPlan(
            target: .ip(IPAddress(ipv4: 0x7F00_0001), port: UInt16(options.port)),
            ratePerSecond: options.rate, request: template, connectionsMax: options.connections,
            timeout: .seconds(5), seed: UInt64(options.seed))
        var generator = try LoadGenerator(plan)
        var latencies = HistogramSnapshot()
        let begin = Clock.now()
        let length = Interval(nanos: UInt64(options.seconds * 1e9))
        let warm = begin + Interval(nanos: length.nanos / 5)
        generator.run(
            each: { result in
                if result.intended >= warm { latencies.record(nanos: result.latency.nanos) }
            }, while: { now in now < begin + length })
        let counts = generator.counts
        let quantiles = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)].map { name, q in
            "\"\(name)\": \(latencies.quantile(q) ?? 0)"
        }
        print(
            "{\"requests\": \(counts.due), \"bad\": \(counts.bad), \"timed_out\": \(counts.timedOut), "
                + quantiles.joined(separator: ", ") + "}")
    }

    /// JSON of so many bytes, as in the closed-loop load.
    private static func body(_ bytes: Int) -> [UInt8] {
        guard bytes > 0 else { return [] }
        let text = "{\"inputs\":[{\"data\":[" + String(repeating: "0.25,", count: bytes / 5 + 1)
        return Array(text.utf8.prefix(max(0, bytes - 5))) + Array("0]}]}".utf8)
    }
}

/// The command line: pairs of names and values.
private struct Options {
    var port = 0
    var method = "GET"
    var path = "/v2/models/bench/infer"
    var bodyBytes = 0
    var rate = 1000.0
    var seconds = 1.0
    var seed = 1
    var connections = 64

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let name = rest.popFirst(), let value = rest.popFirst() {
            switch name {
            case "--port": port = Int(value) ?? port
            case "--method": method = value
            case "--path": path = value
            case "--body-bytes": bodyBytes = Int(value) ?? bodyBytes
            case "--rate": rate = Double(value) ?? rate
            case "--seconds": seconds = Double(value) ?? seconds
            case "--seed": seed = Int(value) ?? seed
            case "--connections": connections = Int(value) ?? connections
            default: preconditionFailure("no such option: \(name)")
            }
        }
        precondition(port > 0 && port < 65_536, "--port is needed")
    }
}
