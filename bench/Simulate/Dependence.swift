// The dependent table: what the default guardrails make of traffic whose requests are not independent. Rows
// in which the versions are equal state how many runs may be cut; rows with a change state how many must be,
// and how fast. `measured` is what the rules did before the method accounted for dependence.
// Source: guardrails/dependence.md.

import Glibc
import Metrics
import Rollout

/// A row of the table.
struct DependenceRow: Sendable {
    enum Bound: Sendable {
        /// At most this share of runs is cut.
        case silent(Double)
        /// At least this share is cut after the change, with a median of at most this many seconds, and of
        /// candidate requests.
        case found(Double, seconds: Double = .infinity, requests: Int = .max)
        /// Shown only: outside of what is promised.
        case shown
    }

    var name: String
    var measured: String
    var bound: Bound
    var setting: Setting

    init(_ name: String, _ measured: String, _ bound: Bound, _ change: (inout Setting) -> Void) {
        (self.name, self.measured, self.bound) = (name, measured, bound)
        setting = Setting()
        change(&setting)
    }

    /// What a run comes to.
    struct Run: Sendable {
        /// Seconds and candidate requests from the change to the cut; nil for a cut before it.
        var seconds = 0.0
        var requests = 0
        var isEarly = false
        var rule = ""
    }

    /// The default rules, as control makes them of this setting.
    var specs: [GuardrailSpec] {
        GuardrailSpec.defaults(alpha: 0.01).map {
            var spec = $0
            spec.countsKeysOnce = setting.keys != nil && spec.isRequestBet
            if let tolerated = setting.tolerates, spec.rule.isSequential {
                spec.toleratedTicks = Int(tolerated * 10)
            }
            return spec.comparing(
                endpoints: setting.candidateEndpoints, setting.controlEndpoints ?? setting.stableEndpoints)
        }
    }

    /// The first cut of a run; nil without one.
    func run(_ run: Int) -> Run? {
        let seed = name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let specs = specs
        var world = World(setting, specs, Seeded(seed &+ UInt64(run) &* 0x2545_F491_4F6C_DD1D))
        while world.now < world.first { world.tick() }
        var watch = CandidateWatch(specs: specs, from: Tick(number: world.first))
        var arm = setting.controlEndpoints.map {
            ControlWatch(
                attempt: "", countsKeysOnce: setting.keys != nil, endpoints: [$0, setting.stableEndpoints],
                from: Tick(number: world.first))
        }
        let change = world.first + UInt64(setting.changesAt * 10)
        var before = 0
        while world.now < world.first + UInt64(setting.minutes * 600) {
            if world.now == change { before = world.candidateRequests }
            world.tick()
            guard world.now % setting.stepTicks == 0 else { continue }
            let readings = watch.step(
                now: Tick(number: world.now), reference: world.reference, windows: { _ in nil },
                read: { world.read($0) })
            if let failed = arm?.step(
                now: Tick(number: world.now), reference: world.reference, read: { world.readControl($0) })
            {
                world.isControlWithdrawn = true
                arm = nil
                if setting.tellsControl {
                    return Run(
                        seconds: (Double(world.now) - Double(change)) / 10,
                        requests: world.candidateRequests - before, isEarly: world.now <= change,
                        rule: "arm \(failed.name)")
                }
            }
            // Of a row at 100 % only what is compared with stable as it was: others have rows of their own.
            let isOfRow = { (reading: GuardrailReading) in setting.promotedAt == nil || reading.isPinned }
            guard let trip = readings.first(where: { $0.verdict == .fail && isOfRow($0) }) else { continue }
            return Run(
                seconds: (Double(world.now) - Double(change)) / 10,
                requests: world.candidateRequests - before, isEarly: world.now <= change, rule: trip.name)
        }
        return nil
    }

    static let head = "| row | before | here | bound | |\n|---|---|---|---|---|"

    /// The row's line, and whether it is within its bound.
    func report(_ options: Options) -> (line: String, agrees: Bool) {
        let runs = Crew.run(options.runs, threads: options.threads) { run($0) }
        let cuts = runs.compactMap { $0 }
        let share = Double(cuts.count) / Double(runs.count)
        var rules: [String: Int] = [:]
        for cut in cuts { rules[cut.rule, default: 0] += 1 }
        let named = rules.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }
        let what = named.isEmpty ? "" : " (\(named.joined(separator: ", ")))"
        switch bound {
        case .silent(let most):
            let isKept = share <= most + 1e-9
            return (
                "| \(name) | \(measured) | \(Report.percent(share))\(what) | <= \(Report.percent(most)) |"
                    + " \(isKept ? "OK" : "missed") |", isKept
            )
        case .shown:
            return ("| \(name) | \(measured) | \(Report.percent(share))\(what) | - | |", true)
        case .found(let least, let seconds, let requests):
            let found = cuts.filter { !$0.isEarly }
            let times = found.map(\.seconds).sorted()
            let counts = found.map(\.requests).sorted()
            let rate = Double(found.count) / Double(runs.count)
            let time = times.isEmpty ? Double.infinity : times[times.count / 2]
            let count = counts.isEmpty ? Int.max : counts[counts.count / 2]
            let isKept = rate >= least - 1e-9 && time <= seconds && count <= requests
            var limits = ">= \(Report.percent(least))"
            if seconds < .infinity { limits += ", <= \(seconds) s" }
            if requests < .max { limits += ", <= \(requests)" }
            let here =
                times.isEmpty
                ? "never" : "\(Report.percent(rate)), \((time * 10).rounded() / 10) s, \(count) requests"
            return (
                "| \(name) | \(measured) | \(here)\(what) | \(limits) | \(isKept ? "OK" : "missed") |", isKept
            )
        }
    }
}
