// What must hold between the keys of a model and between models: every name that is referred to exists, the
// split adds up, no two models claim the same requests, the guardrails fit the meters, the whole fits the
// tables of the data plane. A check that lacks one of its values because it was unreadable stays silent: its
// problem is already reported.

import Metrics
import Platform
import Proxy
import Rollout

struct ModelChecks {
    let reading: Reading
    /// Where Weir itself listens.
    let own: [SocketAddress]

    init(_ reading: Reading, own: [SocketAddress]) {
        self.reading = reading
        self.own = own
    }

    /// The models as values; nil when anything is wrong with any of them.
    func checked(_ list: Marked<[ModelDraft]>) -> [ModelConfig]? {
        let before = reading.problems.count
        checkNames(list.value)
        checkMatches(list.value)
        checkTotals(list)
        for draft in list.value { checkLoops(draft) }
        let models = list.value.map(checked)
        guard reading.problems.count == before else { return nil }
        let whole = models.compactMap { $0 }
        return whole.count == models.count ? whole : nil
    }

    private func checked(_ draft: ModelDraft) -> ModelConfig? {
        let stable = checkedStable(draft)
        checkCandidates(draft, stable)
        var source = checkedSource(draft, stable)
        let weights = checkedWeights(draft, stable, source)
        checkCohorts(draft)
        checkShadow(draft, stable)
        let (guardrails, stages) = checkedGuardrails(draft)
        var rollout = checkedRollout(draft, stages)
        let control = checkedControl(draft, stable, guardrails + stages.flatMap { $0 })
        rollout?.control = control?.arm
        source?.weights = weights
        source?.rollout = rollout
        guard let name = draft.name?.value, let matches = draft.matches?.map(\.value),
            var versions = draft.versions?.compactMap(\.value), let stable
        else { return nil }
        if let control { versions.append(control.version) }
        return ModelConfig(
            name: name, matches: matches, versions: versions, stable: stable,
            candidates: draft.candidates.map(\.value), source: source, weights: weights,
            stickyKeys: draft.sticky.keys,
            salt: Salt.of(draft.sticky.salt ?? name),
            cohorts: draft.cohorts.map {
                CohortConfig(name: $0.name.value, conditions: $0.conditions, version: $0.version.value)
            },
            shadow: draft.shadow?.config, timeouts: draft.timeouts, retries: draft.retries,
            shield: draft.shield, clientHalfClose: draft.clientHalfClose, clientErrors: draft.clientErrors,
            sendsVersion: draft.response.version, sendsID: draft.response.id,
            sendsEpoch: draft.response.epoch, guardrails: guardrails, alpha: draft.alpha,
            coolDown: draft.coolDown, values: draft.values, captures: draft.captures, rollout: rollout,
            preflight: draft.preflight, runbookURL: draft.runbookURL
        ).resolved(by: nil)
    }

    // MARK: Between models

    private func checkNames(_ drafts: [ModelDraft]) {
        var first: [String: Int] = [:]
        for draft in drafts {
            guard let name = draft.name else { continue }
            if let line = first[name.value] {
                reading.report(
                    name.place, "another model has the name", value: name.value,
                    expected: "each name once; it stands first in line \(line)")
            } else {
                first[name.value] = name.place.line
            }
        }
    }

    private func checkMatches(_ drafts: [ModelDraft]) {
        var owners: [RouteMatch: String] = [:]
        for (index, draft) in drafts.enumerated() {
            let owner = draft.name.map { "model \($0.value)" } ?? "models[\(index)]"
            for match in draft.matches ?? [] {
                if let other = owners[match.value] {
                    // A match that stands nowhere is the default of a model without one.
                    let place = match.place.line > 0 ? match.place : draft.place
                    reading.report(
                        place, "\(other) takes the same requests (\(match.value.text))",
                        expected: "a match of its own for every model")
                } else {
                    owners[match.value] = owner
                }
            }
        }
    }

    /// An endpoint that is one of Weir's own listeners would send every request round in circles.
    private func checkLoops(_ draft: ModelDraft) {
        for version in draft.versions ?? [] {
            for endpoint in version.value?.endpoints ?? [] where own.contains(where: endpoint.isServed) {
                var place = version.name.place
                place.path += ".\(version.name.value).endpoints"
                reading.report(
                    place, "Weir itself listens on", value: endpoint.description,
                    expected: "the address of a model server")
            }
        }
    }

    private func checkTotals(_ list: Marked<[ModelDraft]>) {
        let versions = list.value.reduce(0) {
            $0 + ($1.versions?.count ?? 0) + ($1.rollout?.control == nil ? 0 : 1)
        }
        if versions > Limits.versionsMax {
            reading.report(
                list.place, "has \(versions) versions in all", expected: "at most \(Limits.versionsMax)")
        }
        let sources = list.value.count { $0.source != nil }
        if sources > CandidateSource.sourcesMax {
            reading.report(
                list.place, "has \(sources) candidates that a registry names",
                expected: "at most \(CandidateSource.sourcesMax), which are asked by a thread each")
        }
        let endpoints = list.value.reduce(0) { sum, draft in
            (draft.versions ?? []).reduce(sum + draft.controlEndpoints) {
                $0 + ($1.value?.endpoints.count ?? 0)
            }
        }
        if endpoints > Limits.endpointsMax {
            reading.report(
                list.place, "has \(endpoints) endpoints in all", expected: "at most \(Limits.endpointsMax)")
        }
    }

    // MARK: Within a model

    /// Reports a name that is not one of the model's versions.
    @discardableResult
    func checkVersion(_ name: Marked<String>, _ draft: ModelDraft) -> Bool {
        guard let versions = draft.versions?.map(\.name.value), !versions.contains(name.value) else {
            return true
        }
        reading.report(
            name.place, "unknown version", value: name.value,
            expected: "one of " + versions.joined(separator: ", "),
            suggestion: Nearest.to(name.value, among: versions))
        return false
    }

    /// Stable as named, or the only version there is.
    private func checkedStable(_ draft: ModelDraft) -> String? {
        if let stable = draft.stable { return checkVersion(stable, draft) ? stable.value : nil }
        guard !draft.namesStable, let versions = draft.versions else { return nil }
        if versions.count == 1 { return versions[0].name.value }
        reading.report(
            draft.place, "lacks 'stable'", expected: "the name of the version to fall back to")
        return nil
    }

    private func checkCandidates(_ draft: ModelDraft, _ stable: String?) {
        var seen: Set<String> = []
        for candidate in draft.candidates where checkVersion(candidate, draft) {
            if candidate.value == stable {
                reading.report(
                    candidate.place, "a candidate cannot be stable as well:", value: candidate.value,
                    expected: "another version")
            } else if !seen.insert(candidate.value).inserted {
                reading.report(
                    candidate.place, "is a candidate twice:", value: candidate.value,
                    expected: "each version once")
            }
        }
    }

    /// The candidates' weights; stable's own entry is only checked, since it has the rest. Of those that a
    /// registry may name, one at a time is the candidate: they need not fit into one whole.
    private func checkedWeights(
        _ draft: ModelDraft, _ stable: String?, _ source: CandidateSource?
    ) -> [String: UInt32]? {
        guard let weights = draft.weights, !draft.isCandidateUnreadable else { return nil }
        if let source { return checkedWeights(weights.value, draft, stable, source) }
        let candidates = draft.candidates.map(\.value)
        var shares: [String: UInt32] = [:]
        for entry in weights.value where checkVersion(entry.name, draft) {
            let name = entry.name.value
            if name != stable, !candidates.contains(name) {
                reading.report(
                    entry.name.place, "has a weight but is neither stable nor a candidate:", value: name,
                    expected: "a candidate: name it in candidate or candidates")
            }
            shares[name] = entry.value
        }
        let total = shares.values.reduce(UInt64(0)) { $0 + UInt64($1) }
        let share = Notation.text(ppm: UInt32(min(total, UInt64(UInt32.max))))
        if total > 1_000_000 {
            reading.report(
                weights.place, "the weights add up to \(share)",
                expected: "at most 100%; stable has what is left")
        } else if let stable, shares[stable] != nil, total < 1_000_000 {
            reading.report(
                weights.place, "the weights add up to \(share)",
                expected: "100% where stable is listed; without it, stable has what is left")
        }
        if let stable { shares[stable] = nil }
        return shares
    }

    private func checkedWeights(
        _ weights: [TableEntry<UInt32>], _ draft: ModelDraft, _ stable: String?, _ source: CandidateSource
    ) -> [String: UInt32] {
        var shares: [String: UInt32] = [:]
        for entry in weights where checkVersion(entry.name, draft) {
            let name = entry.name.value
            if name == stable || !source.versions.values.contains(name) {
                reading.report(
                    entry.name.place, "has a weight, and the registry cannot make it the candidate:",
                    value: name,
                    expected: "a version that `candidate` maps to; stable has what is left")
            }
            shares[name] = entry.value
        }
        return shares
    }

    private func checkCohorts(_ draft: ModelDraft) {
        var seen: Set<String> = []
        for cohort in draft.cohorts {
            checkVersion(cohort.version, draft)
            if !seen.insert(cohort.name.value).inserted {
                reading.report(
                    cohort.name.place, "another cohort has the name", value: cohort.name.value,
                    expected: "each name once")
            }
        }
    }

    private func checkShadow(_ draft: ModelDraft, _ stable: String?) {
        guard let shadow = draft.shadow, checkVersion(shadow.version, draft) else { return }
        if shadow.version.value == stable {
            reading.report(
                shadow.version.place, "stable cannot shadow itself:", value: shadow.version.value,
                expected: "another version; a second one with the same endpoints measures noise")
        }
    }
}

extension RouteMatch {
    /// `host/path` as people say it.
    var text: String {
        let place = host ?? "any host"
        return switch path {
        case .exact(let path): "\(place), path \(path)"
        case .prefix(let path): "\(place), path_prefix \(path)"
        }
    }
}

/// The seed that a salt stands for.
package enum Salt {
    /// FNV-1a, 64 bits: the same in every release, because another seed would deal every key anew.
    package static func of(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
