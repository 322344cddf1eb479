// Runs the guardrails through simulated rollouts and prints the result beside what was measured for the
// method: false trips when nothing is wrong, and candidate requests until a trip when something is. Seeded:
// equal arguments give equal figures. Run it as a release build:
//   swift run -c release bench-simulate [--runs 2000] [--requests 100000] [--only words-of-a-row]

import Glibc
import Statistics

@main
struct Simulate {
    static func main() {
        var options = Options()
        options.read(CommandLine.arguments.dropFirst())
        print("false trips over \(options.requests) candidate requests, \(options.runs) runs, alpha 1 %")
        for row in Row.nulls where row.matches(options.only) { show(Report.null(row, options)) }
        print("\nvalues: false trips over \(options.requests / 10) candidate requests, alpha 1 %")
        for row in Row.valueNulls where row.matches(options.only) { show(Report.null(row, options)) }
        print("\ngates: promotions at the margin over 30,000 candidate requests (clicks 100,000), alpha 5 %")
        for row in Row.gateNulls where row.matches(options.only) { show(Report.null(row, options)) }
        print("\ncandidate requests until a trip, median of \(options.runs) runs")
        for row in Row.changes + Row.valueChanges where row.matches(options.only) {
            show(Report.delay(row, options))
        }
        print("\ncandidate requests until a gate passes, median of \(options.runs) runs")
        for row in Row.gateChanges where row.matches(options.only) { show(Report.delay(row, options)) }
        guard options.only.isEmpty else { return }
        print("\ncost of a tick, default guardrails")
        Cost.report()
        Cost.values()
    }

    private static func show(_ line: String) {
        print(line)
        fflush(nil)
    }
}

/// What the command line asks for.
struct Options {
    var runs = 2000
    var requests = 100_000
    var only = ""

    mutating func read(_ arguments: some Sequence<String>) {
        var rest = Array(arguments)
        while !rest.isEmpty {
            let name = rest.removeFirst()
            let value = rest.isEmpty ? "" : rest.removeFirst()
            switch name {
            case "--runs": runs = Int(value) ?? runs
            case "--requests": requests = Int(value) ?? requests
            case "--only": only = value
            default:
                print("unknown option \(name); known are --runs, --requests, --only")
                exit(2)
            }
        }
    }
}

/// SplitMix64.
struct Seeded {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
    mutating func chance(_ p: Double) -> Bool { uniform() < p }

    /// Failures before the first success of probability `p`.
    mutating func geometric(_ p: Double) -> Int {
        if p >= 1 { return 0 }
        return Int((log1p(-uniform()) / log1p(-p)).rounded(.down))
    }
}

enum Report {
    static func null(_ row: Row, _ options: Options) -> String {
        var trips = 0
        for run in 0..<options.runs where row.requestsToTrip(UInt64(run), options.requests) != nil {
            trips += 1
        }
        let rate = Double(trips) / Double(options.runs)
        // Three standard errors above alpha.
        let bound = row.alpha + 3 * (row.alpha * (1 - row.alpha) / Double(options.runs)).squareRoot()
        let verdict = rate <= bound ? "ok" : "TOO MANY"
        return "\(pad(row.name, 52)) \(pad(percent(rate), 8)) reference \(pad(row.reference, 8)) \(verdict)"
    }

    static func delay(_ row: Row, _ options: Options) -> String {
        var delays: [Int] = []
        for run in 0..<options.runs {
            delays.append(row.requestsToTrip(UInt64(run), options.requests) ?? .max)
        }
        delays.sort()
        let median = delays[delays.count / 2]
        let expected = Double(row.reference) ?? .nan
        let ratio = Double(median) / expected
        // Small counts are whole numbers; a difference of one or two is not a percentage.
        let isClose = abs(Double(median) - expected) <= max(2, 0.1 * expected)
        return "\(pad(row.name, 52)) \(pad(String(median), 8)) reference \(pad(row.reference, 8)) "
            + "\(isClose ? "ok" : "DIFFERS") (\(Double(Int(ratio * 100)) / 100))"
    }

    static func percent(_ rate: Double) -> String { "\(Double(Int(rate * 10_000)) / 100) %" }

    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
