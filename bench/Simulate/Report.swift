// A row's result beside the method's figure, as a line of a markdown table, with a verdict that allows for
// the error of the simulation: shares within three standard errors of their difference and false trips at
// most alpha plus three, medians within 10 %.

import Glibc

/// One line of the table.
struct Report {
    let line: String
    let agrees: Bool

    static let head = "| row | here | results.md | |\n|---|---|---|---|"

    init(_ row: Row, _ options: Options) {
        let delays = Crew.run(
            row, runs: options.runs, requests: row.requests > 0 ? row.requests : options.requests,
            threads: options.threads)
        let verdict: String
        var (ours, theirs) = ("", "-")
        switch row.reference {
        case .falseTrips(let measured):
            let rate = Report.rate(delays)
            ours = Report.percent(rate)
            theirs = measured.map(Report.percent) ?? "-"
            let bound = row.alpha + 3 * Report.error(row.alpha, options.runs)
            // Fewer than the method's own are no fault.
            let known = measured.map { max($0, rate) == $0 ? rate : $0 }
            verdict = rate > bound ? "TOO MANY" : Report.verdict(rate, known, options.runs)
        case .trips(let measured):
            let rate = Report.rate(delays)
            (ours, theirs) = (Report.percent(rate), Report.percent(measured))
            verdict = Report.verdict(rate, measured, options.runs)
        case .delay(let median, let late):
            let sorted = delays.map { $0 ?? .max }.sorted()
            let middle = sorted[sorted.count / 2]
            ours = "\(Report.count(middle)) / \(Report.count(sorted[sorted.count * 95 / 100]))"
            theirs = "\(median) / \(late.map { "\($0)" } ?? "never")"
            // Small counts are whole numbers; a difference of a tick is not a percentage.
            let allowed = max(Double(row.tick), 0.1 * Double(median))
            let ratio = Double(middle) / Double(median)
            let isClose = middle < .max && abs(Double(middle - median)) <= allowed
            verdict = "\(isClose ? "OK" : "DIFFERS") \((ratio * 100).rounded() / 100)"
        }
        agrees = verdict.hasPrefix("OK")
        line = "| \(row.name) | \(ours) | \(theirs) | \(verdict) |"
    }

    /// Runs of the method's own simulation.
    private static let measuredRuns = 2000

    private static func verdict(_ rate: Double, _ measured: Double?, _ runs: Int) -> String {
        guard let measured else { return "OK" }
        // Half an event is assumed where none was seen.
        func variance(_ p: Double, _ n: Int) -> Double {
            let error = error(min(max(p, 0.5 / Double(n)), 1 - 0.5 / Double(n)), n)
            return error * error
        }
        let allowed = 3 * (variance(rate, runs) + variance(measured, measuredRuns)).squareRoot()
        return abs(rate - measured) <= allowed ? "OK" : "DIFFERS"
    }

    private static func rate(_ delays: [Int?]) -> Double {
        Double(delays.count { $0 != nil }) / Double(delays.count)
    }

    private static func error(_ p: Double, _ n: Int) -> Double { (p * (1 - p) / Double(n)).squareRoot() }

    private static func count(_ n: Int) -> String { n == .max ? "never" : "\(n)" }

    static func percent(_ rate: Double) -> String { "\((rate * 10_000).rounded() / 100) %" }
}
