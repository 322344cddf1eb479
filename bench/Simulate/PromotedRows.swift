// The rows of the dependent table for the time without stable traffic: a quarter of the requests for ten
// minutes, then all of them, compared with stable as it was. A cut is whatever trips; by default these rules
// alert there. Source: guardrails/dependence.md, section 3.

import Glibc
import Metrics

extension DependenceRow {
    static let promoted: [DependenceRow] = [
        silent("equal versions") { _ in },
        silent("equal versions, a minute at 50 % before") { ($0.weight, $0.promotedAt) = (0.5, 60) },
        silent("1.2 x the errors of the last stage") {
            $0.errors = 0.01
            failing(&$0, 0.002)
        },
        silent("20 % slower") { slower(&$0, 1.2) },
        silent("one replica, pausing 2 s every 5 min") {
            $0.candidateEndpoints = 1
            $0.pause = (2, 300, false)
        },
        silent("10 -> 3 replicas, pausing 2 s every 5 min") { $0.pause = (2, 300, false) },
        // Tolerated, or the comparison before would trip.
        silent("10 -> 3 replicas, failing 2 s every 5 min") {
            ($0.pause, $0.tolerates) = ((2, 300, true), 5)
        },
        silent("10 -> 3 replicas, failing 10 s every 30 min") {
            ($0.pause, $0.tolerates) = ((10, 1800, true), 5)
        },
        silent("one replica, failing 2 s every 30 min") {
            $0.candidateEndpoints = 1
            ($0.pause, $0.tolerates) = ((2, 1800, true), 5)
        },
        silent("own queues, 12 -> 16, load 0.7") { queues(&$0, 12, 16, 0.25) },
        silent("own queues, 1 -> 2, load 0.7, 50 % before") { queues(&$0, 1, 2, 0.5) },
        silent("outage of 60 % now and then") { $0.outage = .init(every: 60, seconds: 2, hits: 0.6) },
        silent("outages of 60 %, a minute long, shielded") {
            $0.outage = .init(every: 600, seconds: 60, hits: 0.6)
            $0.isShielded = true
        },
        silent("outages of 60 %, a minute long, shielded within a budget") {
            $0.outage = .init(every: 600, seconds: 60, hits: 0.6)
            ($0.isShielded, $0.asked) = (true, 0.35)
        },
        silent("30 % errors at stable too, by its retries") { shared(&$0, 0.3) },
        silent("5 % errors at stable too, by its retries") { shared(&$0, 0.05) },
        row("at 100 %: 2 % errors at stable too, by its retries", .silent(0.02)) { shared(&$0, 0.02) },
        row("at 100 %: two hours of 2 % errors at stable too", .shown) {
            shared(&$0, 0.02)
            $0.minutes = 130
        },
        silent("5 % bad requests, which both fail") { shared(&$0, 0.05, again: 1) },
        row("at 100 %: 1 % errors at stable too, by its retries", .shown) { shared(&$0, 0.01) },
        row("at 100 %: outages of 60 %, a minute long, not shielded", .shown) {
            $0.minutes = 130
            $0.outage = .init(every: 600, seconds: 60, hits: 0.6)
        },
        row("at 100 %: traffic in which errors triple within an hour", .shown) {
            $0.minutes = 80
            $0.errors = 0.01
            $0.fate = { request, random in
                let hours = max(0, request.at - 900) / 3600
                if random.chance(0.02 * min(hours, 1)) { request.isFailure = true }
            }
        },
        row("at 100 %: 30 % errors", .found(0.97, seconds: 120)) { failing(&$0, 0.3) },
        row("at 100 %: 5 % errors", .found(0.97, seconds: 120)) { failing(&$0, 0.05) },
        row("at 100 %: 30 % errors, shielded", .found(0.97, seconds: 120)) { shared(&$0, 0.3, again: 0.001) },
        row("at 100 %: 5 % errors, shielded", .found(0.97, seconds: 180)) { shared(&$0, 0.05, again: 0.001) },
        row("at 100 %: 1 % errors, shielded", .found(0.97, seconds: 900)) { shared(&$0, 0.01, again: 0.001) },
        row("at 100 %: 3 x slower", .found(0.97, seconds: 240)) { slower(&$0, 3) },
        row("at 100 %: 5 % errors, two hours later", .found(0.97, seconds: 240)) {
            failing(&$0, 0.05, from: 7_800)
        },
    ]

    /// Equal versions, for two hours at 100 %.
    private static func silent(_ name: String, _ change: (inout Setting) -> Void) -> DependenceRow {
        row("at 100 %: " + name, .silent(0.02)) {
            change(&$0)
            $0.minutes = 130
        }
    }

    private static func row(
        _ name: String, _ bound: Bound, _ change: (inout Setting) -> Void
    ) -> DependenceRow {
        DependenceRow(name, "never", bound) {
            ($0.weight, $0.candidateEndpoints, $0.promotedAt) = (0.25, 3, 600)
            change(&$0)
        }
    }

    /// A share of the candidate's requests fails after a while at 100 %.
    private static func failing(_ setting: inout Setting, _ share: Double, from: Double = 900) {
        setting.changesAt = from
        setting.minutes = from / 60 + 30
        setting.fate = { request, random in
            guard request.isCandidate, request.at >= from, random.chance(share) else { return }
            request.isFailure = true
        }
    }

    private static func slower(_ setting: inout Setting, _ factor: Double) {
        setting.changesAt = 900
        setting.minutes = 45
        setting.fate = { request, _ in
            guard request.isCandidate, request.at >= 900 else { return }
            request.micros = UInt64(Double(request.micros) * factor)
        }
    }

    /// All requests fail in this share from a while after the promotion on, whoever serves them.
    /// - Parameter again: the share that stable fails of those that it is asked again for; nil: the same.
    private static func shared(_ setting: inout Setting, _ share: Double, again: Double? = nil) {
        failing(&setting, share)
        (setting.isShielded, setting.errorsAtStable) = (true, again ?? share)
    }

    /// Endpoints with queues of their own, whose load at 100 % is what stable's was before.
    private static func queues(
        _ setting: inout Setting, _ stable: Int, _ candidate: Int, _ weight: Double
    ) {
        (setting.stableEndpoints, setting.candidateEndpoints) = (stable, candidate)
        (setting.weight, setting.load) = (weight, 0.7)
    }
}
