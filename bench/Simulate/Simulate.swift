// Runs the guardrails through simulated rollouts and prints the result beside what was measured for the
// method: false trips when nothing is wrong, and candidate requests until a trip when something is. Seeded:
// equal arguments give equal figures, on any number of threads. Run it as a release build:
//   swift run -c release bench-simulate [--runs 2000] [--requests 100000] [--threads 2] [--only words]
//   swift run -c release bench-simulate --dependence [--runs 200]    traffic whose requests are not
//   independent
//   swift run -c release bench-simulate --cost    time per tick and bytes of state of every kind

import Glibc

@main
struct Simulate {
    static func main() {
        let options = Options(CommandLine.arguments.dropFirst())
        guard !options.isCost else { return Cost.report() }
        guard !options.isDependence else { exit(dependence(options) ? 0 : 1) }
        let start = Cost.wallSeconds()
        var (rows, different) = (0, 0)
        for section in Row.sections {
            let wanted = section.rows.filter { $0.matches(options.only) }
            guard !wanted.isEmpty else { continue }
            show("\n\(section.title)\n\n\(Report.head)")
            for row in wanted {
                let report = Report(row, options)
                rows += 1
                if !report.agrees { different += 1 }
                show(report.line)
            }
        }
        let seconds = Int(Cost.wallSeconds() - start)
        show(
            "\n\(rows) rows of \(options.runs) runs in \(seconds) s on \(options.threads) threads,"
                + " \(different) differ")
        exit(different == 0 ? 0 : 1)
    }

    /// The dependent table; whether every row is within its bound.
    private static func dependence(_ options: Options) -> Bool {
        let start = Cost.wallSeconds()
        var (rows, missed) = (0, 0)
        for section in DependenceRow.sections {
            let wanted = section.rows.filter { options.only.isEmpty || $0.name.contains(options.only) }
            guard !wanted.isEmpty else { continue }
            show("\n\(section.title)\n\n\(DependenceRow.head)")
            for row in wanted {
                let (line, agrees) = row.report(options)
                rows += 1
                if !agrees { missed += 1 }
                show(line)
            }
        }
        let seconds = Int(Cost.wallSeconds() - start)
        show(
            "\n\(rows) rows of \(options.runs) runs in \(seconds) s on \(options.threads) threads,"
                + " \(missed) missed")
        return missed == 0
    }

    static func show(_ line: String) {
        print(line)
        fflush(nil)
    }
}

/// What the command line asks for.
struct Options {
    var runs = 0
    var requests = 100_000
    var threads = Crew.cpus
    var only = ""
    var isCost = false
    var isDependence = false

    init(_ arguments: some Sequence<String>) {
        var rest = Array(arguments)
        while !rest.isEmpty {
            let name = rest.removeFirst()
            if name == "--cost" {
                isCost = true
                continue
            }
            if name == "--dependence" {
                isDependence = true
                continue
            }
            let value = rest.isEmpty ? "" : rest.removeFirst()
            switch name {
            case "--runs": runs = Options.count(name, value)
            case "--requests": requests = Options.count(name, value)
            case "--threads": threads = Options.count(name, value)
            case "--only": only = value
            default:
                print(
                    "unknown option \(name); known are --runs, --requests, --threads, --only, --dependence"
                        + " and --cost")
                exit(2)
            }
        }
        if runs == 0 { runs = isDependence ? 200 : 2000 }
    }

    private static func count(_ name: String, _ value: String) -> Int {
        guard let count = Int(value), count > 0 else {
            print("\(name) takes a number of at least 1, not \"\(value)\"")
            exit(2)
        }
        return count
    }
}
