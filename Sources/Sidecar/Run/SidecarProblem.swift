// Why a sidecar does not start, with the exit code that says it to a supervisor.
// Place: thrown by `Sidecar`, turned into an exit by `RunCommand`.
// Source: the codes are those of sysexits(3).

import Config
import Control
import Platform

/// Why a sidecar does not start; the description says what to do.
package enum SidecarProblem: Error, Sendable, CustomStringConvertible {
    case state(StateProblem)
    case plan(PlanProblem)
    case limits(LimitsProblem)
    case system(SystemFailure)

    package var description: String {
        switch self {
        case .state(let problem): problem.description
        case .plan(let problem): problem.description
        case .limits(let problem): problem.description
        case .system(let failure): failure.description
        }
    }

    /// 71 the system refuses, 78 the config contradicts the state; for the state directory see
    /// `StateProblem.exitCode`.
    package var exitCode: Int32 {
        switch self {
        case .state(let problem): problem.exitCode
        case .plan: 78
        case .system, .limits: 71
        }
    }
}
