// The rows of a control arm: equal versions beside an arm as young and as small as the candidate; an arm that
// is worse than the rest of stable, beside a candidate that is as bad; and what an arm costs in delay.
// Nothing was measured before there was an arm, but for the same row without one.

import Metrics

extension DependenceRow {
    static let control: [DependenceRow] = [
        arm("equal, 10 + 1 + 1", "-", .silent(0.02)) { _ in },
        arm("equal, w 30 %, 10 + 3 + 3", "-", .silent(0.02)) {
            ($0.weight, $0.candidateEndpoints, $0.controlEndpoints) = (0.3, 3, 3)
        },
        arm("equal, 5 % errors", "-", .silent(0.02)) { $0.errors = 0.05 },
        arm("equal, 1,000 keys, 5 % always failing", "-", .silent(0.02)) {
            $0.keys = Setting.Keys(count: 1000, spread: 1, broken: 0.05)
            $0.weight = 0.25
        },
        arm("candidate and arm 1.5 times as slow, 10 + 3 + 3", "-", .silent(0.02)) {
            ($0.candidateEndpoints, $0.controlEndpoints) = (3, 3)
            $0.fate = { request, _ in
                if request.isCandidate || request.isControl { request.micros = request.micros * 3 / 2 }
            }
        },
        arm("equal arms, is the arm withdrawn", "-", .silent(0.02)) { $0.tellsControl = true },
        arm("arm 1.5 times as slow, is it withdrawn", "-", .silent(0.02)) {
            $0.tellsControl = true
            $0.fate = { request, _ in if request.isControl { request.micros = request.micros * 3 / 2 } }
        },
        bad("fails everything", "0.6 s", .found(1, seconds: 2), 1, 0),
        bad("5 % errors", "-", .found(0.95, seconds: 120), 0.05, 0),
        arm("p50 twice as long, after 10 min, 10 + 3 + 3", "-", .found(0.95, seconds: 90)) {
            ($0.candidateEndpoints, $0.controlEndpoints, $0.changesAt) = (3, 3, 600)
            $0.fate = { request, _ in
                if request.isCandidate, request.at > 600 { request.micros *= 2 }
            }
        },
        bad("fails everything, the arm too", "never", .found(1, seconds: 10), 1, 1),
        bad("fails everything, the arm too, after 10 min", "never", .found(1, seconds: 15), 1, 1, at: 600),
        bad("30 % errors, the arm too", "never", .found(1, seconds: 30), 0.3, 0.3),
        bad("5 % errors, the arm too", "never", .found(0.95, seconds: 180), 0.05, 0.05),
        bad(
            "5 % errors, the arm too, after 10 min", "never", .found(0.95, seconds: 240), 0.05, 0.05,
            at: 600),
        arm("ten times as slow, the arm too, 10 + 3 + 3", "never", .found(1, seconds: 120)) {
            ($0.candidateEndpoints, $0.controlEndpoints, $0.changesAt) = (3, 3, 300)
            $0.fate = { request, _ in
                if request.isCandidate || request.isControl, request.at > 300 { request.micros *= 10 }
            }
        },
    ]

    private static func arm(
        _ name: String, _ measured: String, _ bound: Bound, _ change: (inout Setting) -> Void
    ) -> DependenceRow {
        DependenceRow("control arm: \(name)", measured, bound) {
            $0.controlEndpoints = 1
            change(&$0)
        }
    }

    /// Shares of further failures, of the candidate's requests and the arm's, from some second on.
    private static func bad(
        _ name: String, _ measured: String, _ bound: Bound, _ candidate: Double, _ control: Double,
        at: Double = 0
    ) -> DependenceRow {
        arm(name, measured, bound) {
            $0.changesAt = at
            $0.fate = { request, random in
                guard request.at >= at, request.isCandidate || request.isControl else { return }
                if random.chance(request.isCandidate ? candidate : control) { request.isFailure = true }
            }
        }
    }
}
