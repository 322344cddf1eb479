// Two aliases of a registered model in MLflow, flipped as traffic moves. Theory: the registry knows no
// transaction over two aliases, so the order is chosen so that a crash between any two calls leaves a state
// that is safe and that the next attempt completes:
//
//   promote v   previous := champion, then champion := v     (in between: champion is what it was)
//   cut         champion := stable, if a version that was cut is champion; then previous is deleted where it
//               names what was cut, or stable itself          (in between: champion is right already)
//
// Every step reads before it writes, so doing it twice is doing it once.
// Source: MLflow's REST API 2.0, registered-models/alias.

import Config
import Control
import Platform

/// The aliases of one registered model.
struct MLflowAliases {
    let config: MLflowConfig

    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        do throws(MLflowStop) {
            let registry = try MLflowRegistry(
                config.access, model: config.model, isCancelled: context.isCancelled)
            switch notice.kind {
            case .promote: return try promote(notice, registry)
            case .cut: return try cut(notice, registry)
            case .hold, .recovery, .alert, .start, .stage, .sampleRatio, .unserved, .served:
                return .done("no alias changes")
            }
        } catch {
            return error.outcome
        }
    }

    private func promote(
        _ notice: Notice, _ registry: MLflowRegistry
    ) throws(MLflowStop) -> AttemptOutcome {
        let next = try number(of: notice.versions.first)
        let now = try registry.version(of: config.champion)
        guard now != next else { return .done("\(config.champion) is \(next) already") }
        if let now { try registry.set(config.previous, to: now) }
        try registry.set(config.champion, to: next)
        return .done("\(config.champion): \(now ?? "none") -> \(next)")
    }

    private func cut(_ notice: Notice, _ registry: MLflowRegistry) throws(MLflowStop) -> AttemptOutcome {
        let gone = Set(notice.versions.compactMap { config.versions[$0] })
        let stable = try number(of: notice.stable)
        var said: [String] = []
        if let now = try registry.version(of: config.champion), gone.contains(now), now != stable {
            try registry.set(config.champion, to: stable)
            said.append("\(config.champion): \(now) -> \(stable)")
        }
        if let before = try registry.version(of: config.previous),
            gone.contains(before) || !said.isEmpty && before == stable
        {
            try registry.delete(config.previous)
            said.append("\(config.previous): \(before) -> none")
        }
        return .done(said.isEmpty ? "no alias names what was cut" : said.joined(separator: ", "))
    }

    private func number(of version: String?) throws(MLflowStop) -> String {
        guard let version else { throw MLflowStop(.refused("the decision names no version")) }
        guard let number = config.versions[version] else {
            let known = config.versions.keys.sorted().joined(separator: ", ")
            throw MLflowStop(
                .refused("versions of this action has no registry version for \(version); it has \(known)"))
        }
        return number
    }
}
