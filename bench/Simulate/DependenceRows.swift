// The rows of the dependent table, by the sections of the method's page: alpha 1 % over all default rules, a
// hundred requests a second, half an hour, unless a row says otherwise.
// Source: guardrails/dependence.md.

import Glibc
import Metrics

extension DependenceRow {
    static let sections: [(title: String, rows: [DependenceRow])] = [
        ("1. Sticky keys", sticky), ("2. Outages that both versions share", shared),
        ("3. Replicas", replicas + changes), ("5. Cold starts", cold), ("6. Long streams", streams),
        ("7. Other ways to be wrong", wrong), ("8. A control arm", control),
        ("9. At 100 %, without stable traffic", promoted),
    ]

    private static let wrong: [DependenceRow] = [
        row("30 % of 404 at both", "-", .silent(0.02)) { having(&$0, .rejected, 0.3, 0.3) },
        row("30 % of 404 at both, w 50 %", "-", .silent(0.02)) {
            having(&$0, .rejected, 0.3, 0.3)
            $0.weight = 0.5
        },
        row("5 % of clients leave after 100 ms, at both", "-", .silent(0.02)) {
            having(&$0, .cancelled, 0.05, 0.05)
        },
        row("20 % of empty answers at both", "-", .silent(0.02)) { having(&$0, .empty, 0.2, 0.2) },
        row("30 % of 404 at both, 100 keys, 5 % always failing", "-", .silent(0.02)) {
            having(&$0, .rejected, 0.3, 0.3)
            keys(&$0, 100, broken: 0.05)
        },
        row("30 % of 404 at both, stable fails for 10 s", "-", .silent(0.02)) {
            $0.weight = 0.5
            $0.fate = { request, random in
                if !request.isCandidate, request.at > 300, request.at < 310 {
                    (request.isFailure, request.event) = (random.chance(0.9), nil)
                } else if random.chance(0.3) {
                    request.event = .rejected
                }
            }
        },
        row("10 + 1 replicas, pausing 2 s every 5 min, clients leave after 1 s", "-", .shown) {
            $0.pause = (2, 300, false)
            $0.fate = { request, _ in
                if request.micros > 1_000_000 { (request.micros, request.event) = (1_000_000, .cancelled) }
            }
        },
        found("404 to everything", "never", .found(1, requests: 10)) { having(&$0, .rejected, 1, 0) },
        found("404 to everything, 30 % at stable", "never", .found(1, requests: 30)) {
            having(&$0, .rejected, 1, 0.3)
        },
        found("hangs, clients leave after 100 ms", "66 s", .found(1, requests: 10)) {
            having(&$0, .cancelled, 1, 0)
        },
        found("empty answers to everything", "never", .found(1, requests: 10)) { having(&$0, .empty, 1, 0) },
        found("35 % of 404 instead of 30 %, w 25 %", "never", .found(0.95)) {
            having(&$0, .rejected, 0.35, 0.3)
            $0.weight = 0.25
        },
        found("3 % of 429 instead of none", "never", .found(0.95)) { having(&$0, .rejected, 0.03, 0) },
    ]

    /// Requests that do not fail have an event in these shares, cancelled ones after 100 ms.
    private static func having(
        _ setting: inout Setting, _ event: BadEvent, _ candidate: Double, _ stable: Double
    ) {
        setting.fate = { request, random in
            guard !request.isFailure, random.chance(request.isCandidate ? candidate : stable) else { return }
            request.event = event
            if event == .cancelled { request.micros = 100_000 }
        }
    }

    private static let sticky: [DependenceRow] = [
        equal("10 keys, w 25 %", "-") { keys(&$0, 10, spread: 1) },
        equal("100 keys, w 25 %, rates lognormal", "-") { keys(&$0, 100, spread: 1) },
        equal("100 keys, 5 % of them always failing", "-") { keys(&$0, 100, broken: 0.05) },
        equal("1,000 keys, 5 % of them always failing", "-") { keys(&$0, 1000, spread: 1, broken: 0.05) },
        equal("1,000 keys, drifting rates", "-") { keys(&$0, 1000, spread: 1, drifts: true) },
        equal("100 keys, 4 h", "-") {
            keys(&$0, 100, spread: 1, drifts: true)
            $0.minutes = 240
        },
        found("100 keys at 25 %, all fail after 30 min", "0 %", .found(0.95, seconds: 300)) {
            keys(&$0, 100)
            failing(&$0, 1, from: 1800)
        },
        found("1,000 keys at 25 %, all fail after 30 min", "0 %", .found(0.95, seconds: 60)) {
            keys(&$0, 1000)
            failing(&$0, 1, from: 1800)
        },
        found("100 keys at 100 %, all fail after 30 min", "0 %", .found(0.95)) {
            keys(&$0, 100)
            $0.weight = 1
            failing(&$0, 1, from: 1800)
        },
        found("100 keys at 25 %, 30 % fail after 30 min", "0 %", .found(0.95)) {
            keys(&$0, 100)
            failing(&$0, 0.3, from: 1800)
        },
    ]

    private static let shared: [DependenceRow] = [
        row("outage of 60 % now and then, w 50 %", "62 %", .silent(0.02)) {
            $0.weight = 0.5
            $0.outage = .init(every: 60, seconds: 2, hits: 0.6)
        },
        row("outage of 60 % now and then, w 95 %", "99.7 %", .silent(0.02)) {
            $0.weight = 0.95
            $0.outage = .init(every: 60, seconds: 2, hits: 0.6)
        },
        row("outage of all, 5 s until it shows, w 5 %", "83 %", .silent(0.02)) {
            $0.weight = 0.05
            $0.outage = .init(every: 300, seconds: 10, hits: 1, micros: 5_000_000)
        },
        row("one outage of 10 s, w 99 %", "33 %", .silent(0.02)) {
            $0.weight = 0.99
            $0.outage = .init(every: nil, seconds: 10, hits: 1)
        },
        row("one outage of 10 s, promoted, 1 % held back", "100 %", .silent(0.02)) {
            $0.weight = 0.99
            $0.outage = .init(every: nil, seconds: 10, hits: 1)
        },
        row("outage of 60 % now and then, w 50 %, stepped every 300 ms", "-", .silent(0.02)) {
            $0.weight = 0.5
            $0.stepTicks = 3
            $0.outage = .init(every: 60, seconds: 2, hits: 0.6)
        },
        found("total failure at 9 %", "0.7 s, 6", .found(1, seconds: 1, requests: 10)) { failing(&$0, 1) },
        found("total failure at 9 %, after 25 min", "0.7 s, 6", .found(0.97, seconds: 1, requests: 10)) {
            failing(&$0, 1, from: 1500)
        },
        found("total failure at 95 %", "1.6 s", .found(1, seconds: 2)) {
            $0.weight = 0.95
            failing(&$0, 1)
        },
        found("total failure at 95 %, after 25 min", "1.6 s", .found(0.97, seconds: 2)) {
            $0.weight = 0.95
            failing(&$0, 1, from: 1500)
        },
        found("total failure at 100 %", "-", .found(0.97, seconds: 12)) {
            $0.weight = 1
            failing(&$0, 1, from: 1500)
        },
    ]

    private static let replicas: [DependenceRow] = [
        row("10 + 1 replicas, pausing 2 s every 5 min", "49 %", .silent(0.06)) {
            $0.pause = (2, 300, false)
            $0.tolerates = 0
        },
        row("the same, tolerated", "49 %", .silent(0.02)) { $0.pause = (2, 300, false) },
        row("10 + 3 replicas, pausing 2 s every 5 min, w 25 %", "80 %", .silent(0.06)) {
            ($0.candidateEndpoints, $0.weight) = (3, 0.25)
            $0.pause = (2, 300, false)
        },
        row("1 + 1, pausing 2 s every 5 min, w 50 %", "85 %", .silent(0.09)) {
            ($0.stableEndpoints, $0.weight) = (1, 0.5)
            $0.pause = (2, 300, false)
        },
        row("own queues, 19 + 1, load 0.5, not tolerated", "22 %", .silent(0.06)) {
            queues(&$0, 19, 0.5)
            $0.tolerates = 0
        },
        row("own queues, 19 + 1, load 0.7", "67 %", .silent(0.09)) { queues(&$0, 19, 0.7) },
        row("own queues, 19 + 1, load 0.9", "100 %", .silent(0.09)) { queues(&$0, 19, 0.9) },
        row("own queues, 1 + 1, load 0.8, w 50 %", "94 %", .silent(0.09)) { queues(&$0, 1, 0.8) },
        row("own queues, 1 + 1, load 0.9, w 50 %", "-", .silent(0.09)) { queues(&$0, 1, 0.9) },
        row("own queues, 12 + 4, load 0.7, w 25 %", "-", .silent(0.06)) {
            queues(&$0, 12, 0.7)
            ($0.candidateEndpoints, $0.weight) = (4, 0.25)
        },
        row("10 + 1 replicas, failing 2 s every 30 min", "58 %", .shown) { $0.pause = (2, 1800, true) },
        row("the same, all rules tolerate 5 s", "58 %", .silent(0.09)) {
            $0.pause = (2, 1800, true)
            $0.tolerates = 5
        },
    ]

    /// Independent requests, versions of three endpoints and more: the price of what the rows above gain.
    private static let changes: [DependenceRow] = [
        row("equal versions, 10 + 3 replicas", "0 %", .silent(0.02)) { $0.candidateEndpoints = 3 },
        found("p50 x 2 at 9 % after 2 min", "15.8 s", .found(0.97, seconds: 25)) { slower(&$0, 2) },
        found("p50 x 10 at 9 % after 2 min", "3.7 s", .found(0.97, seconds: 4.6)) { slower(&$0, 10) },
        found("5 % of requests 10 x slower after 2 min", "37.9 s", .found(0.97, seconds: 60)) {
            slower(&$0, 10, share: 0.05)
        },
        found("p50 x 1.3 after 2 min", "367 s", .found(0.8, seconds: 587)) { slower(&$0, 1.3) },
        found("p50 x 2 at 9 % after 2 min, 10 + 1, tolerated", "15.8 s", .found(0.97, seconds: 100)) {
            slower(&$0, 2)
            $0.candidateEndpoints = 1
        },
        found("p50 x 10 at 9 % after 2 min, 10 + 1, tolerated", "3.7 s", .found(0.97, seconds: 12)) {
            slower(&$0, 10)
            $0.candidateEndpoints = 1
        },
        found("p50 x 5 at 9 % after 2 min, 10 + 1, tolerated", "-", .found(0.97, seconds: 20)) {
            slower(&$0, 5)
            $0.candidateEndpoints = 1
        },
        found("total failure at 9 %, all rules tolerate 5 s", "0.7 s", .found(0.97, seconds: 25)) {
            failing(&$0, 1, from: 300)
            $0.tolerates = 5
        },
    ]

    private static let cold: [DependenceRow] = [
        row("first 2,000 candidate requests 2 x slower", "100 %", .silent(0.02)) { cold(&$0, 2) },
        row("first 2,000 candidate requests 1.2 x slower", "83 %", .silent(0.02)) { cold(&$0, 1.2) },
        row("p99 25 % longer than stable's", "50 %", .silent(0.02)) { tail(&$0, 1.25) },
        row("all 25 % longer than stable's", "-", .silent(0.02)) { slower(&$0, 1.25, from: 0) },
        found("p50 x 10 from the start", "-", .found(0.97, seconds: 11, requests: 100)) {
            slower(&$0, 10, from: 0)
        },
        found("p50 x 10, a second after stable's first", "-", .found(0.97, seconds: 11, requests: 100)) {
            slower(&$0, 10, from: 0)
            $0.lead = 1
        },
        found("the same, 1 + 1, w 50 %", "-", .found(0.97, seconds: 10)) {
            slower(&$0, 10, from: 0)
            one(&$0, lead: 1)
        },
        found("the same, 10 requests a second at 50 %", "-", .found(0.97, requests: 100)) {
            slower(&$0, 10, from: 0)
            one(&$0, lead: 5)
            $0.rate = 10
        },
        found("p50 x 2 from the start", "22 s", .found(0.97, seconds: 300)) { slower(&$0, 2, from: 0) },
        row("equal versions, a second after stable's first request", "-", .silent(0.02)) {
            ($0.candidateEndpoints, $0.lead) = (3, 1)
        },
        row("the same, 1 + 1, w 50 %", "-", .silent(0.02)) {
            one(&$0, lead: 1)
        },
    ]

    private static let streams: [DependenceRow] = [
        found("a fifth streams 40 s, errors 1 % -> 5 %", "never", .found(0.95)) {
            long(&$0)
            failing(&$0, 0.05, from: 600)
        },
        row("a fifth streams 40 s, equal versions", "-", .silent(0.02)) { long(&$0) },
    ]

    private static func row(
        _ name: String, _ measured: String, _ bound: Bound, _ change: (inout Setting) -> Void
    ) -> DependenceRow {
        DependenceRow(name, measured, bound, change)
    }

    private static func equal(
        _ name: String, _ measured: String, _ change: (inout Setting) -> Void
    ) -> DependenceRow {
        DependenceRow(name, measured, .silent(0.01), change)
    }

    private static func found(
        _ name: String, _ measured: String, _ bound: Bound, _ change: (inout Setting) -> Void
    ) -> DependenceRow {
        DependenceRow(name, measured, bound, change)
    }

    private static func keys(
        _ setting: inout Setting, _ count: Int, spread: Double = 0, broken: Double = 0, drifts: Bool = false
    ) {
        setting.weight = 0.25
        setting.errors = 0.01
        setting.keys = .init(count: count, spread: spread, broken: broken, drifts: drifts)
    }

    /// A share of the candidate's requests fails from a moment on.
    private static func failing(_ setting: inout Setting, _ share: Double, from: Double = 0) {
        setting.changesAt = from
        setting.minutes = from / 60 + 30
        setting.fate = chain(setting.fate) { request, random in
            guard request.isCandidate, request.at >= from, random.chance(share) else { return }
            request.isFailure = true
        }
    }

    private static func slower(
        _ setting: inout Setting, _ factor: Double, share: Double = 1, from: Double = 120
    ) {
        setting.changesAt = from
        setting.candidateEndpoints = 3
        setting.fate = chain(setting.fate) { request, random in
            guard request.isCandidate, request.at >= from, random.chance(share) else { return }
            request.micros = UInt64(Double(request.micros) * factor)
        }
    }

    private static func one(_ setting: inout Setting, lead: Double) {
        setting.lead = lead
        (setting.candidateEndpoints, setting.stableEndpoints, setting.weight) = (1, 1, 0.5)
    }

    private static func queues(_ setting: inout Setting, _ stable: Int, _ load: Double) {
        setting.stableEndpoints = stable
        setting.weight = 1 / Double(stable + 1)
        setting.load = load
    }

    private static func cold(_ setting: inout Setting, _ factor: Double) {
        setting.fate = chain(setting.fate) { request, _ in
            guard request.isCandidate, request.index < 2000 else { return }
            request.micros = UInt64(Double(request.micros) * factor)
        }
    }

    /// The slowest requests take longer; the median stays.
    private static func tail(_ setting: inout Setting, _ factor: Double) {
        setting.fate = chain(setting.fate) { request, _ in
            guard request.isCandidate, request.micros > 130_000 else { return }
            request.micros = UInt64(Double(request.micros) * factor)
        }
    }

    private static func long(_ setting: inout Setting) {
        setting.errors = 0.01
        setting.minutes = 25
        setting.fate = chain(setting.fate) { request, random in
            guard random.chance(0.2) else { return }
            request.firstByteMicros = request.micros
            request.micros += 40_000_000
        }
    }

    private typealias Fate = @Sendable (inout Request, inout Seeded) -> Void

    private static func chain(_ first: Fate?, _ second: @escaping Fate) -> Fate {
        guard let first else { return second }
        return { request, random in
            first(&request, &random)
            second(&request, &random)
        }
    }
}
