// The models, versions and cuts that a journal speaks of, so that a misspelt name in a question is told from
// an answer that is empty.
// Place: behind `weir audit show` and `weir captures`, asked when their answer would be empty.
// Invariant: reads files only; a journal that was pruned knows only what its lines that are left say.

import Payload
import Platform

/// What can be asked for.
package struct AuditNames: Sendable, Equatable {
    package private(set) var models: Set<String> = []
    package private(set) var versions: Set<String> = []
    /// In the order of their lines, each once, as `cut-1 of m`.
    package private(set) var cuts: [String] = []
    private var cutIDs: Set<String> = []

    package init() {}

    /// Reads the journal of a state directory.
    package init(directory: String) throws(SystemFailure) {
        var found = AuditNames()
        var reader = AuditReader(directory: directory)
        try reader.read(AuditFilter()) { found.take($0.value) }
        self = found
    }

    private mutating func take(_ line: JSON) {
        let model = line["model"]?.string
        if let model { models.insert(model) }
        for name in ["stable", "version"] { if let version = line[name]?.string { versions.insert(version) } }
        for name in ["candidates", "versions"] {
            versions.formUnion((line[name]?.elements ?? []).compactMap(\.string))
        }
        if let cut = line["cut"]?.string { add(cut: cut, of: model) }
    }

    /// Adds what captures speak of.
    package mutating func add(_ sets: [CaptureSet]) {
        for set in sets {
            models.insert(set.model)
            versions.insert(set.version)
            if let cut = set.cut { add(cut: cut, of: set.model) }
        }
    }

    private mutating func add(cut: String, of model: String?) {
        cutIDs.insert(cut)
        let name = model.map { "\(cut) of \($0)" } ?? cut
        if !cuts.contains(name) { cuts.append(name) }
    }

    /// Which of the names that were asked for does not exist, with those that do; nil when all do.
    package func unknown(model: String?, version: String? = nil, cut: String?) -> String? {
        func list(_ known: [String]) -> String {
            let some = known.prefix(20).map { JSON.string($0).line ?? "" }.joined(separator: ", ")
            return known.count > 20 ? "\(some) and \(known.count - 20) more" : some
        }
        if let model, !models.contains(model) {
            let known = models.isEmpty ? "there is none yet" : "the models are \(list(models.sorted()))"
            return "there is no model \(model): \(known)"
        }
        if let version, !versions.contains(version) {
            let known = versions.isEmpty ? "there is none yet" : "the versions are \(list(versions.sorted()))"
            return "there is no version \(version): \(known)"
        }
        guard let cut else { return nil }
        let own = model.map { model in cuts.filter { $0.hasSuffix(" of \(model)") } } ?? cuts
        let isKnown = model.map { own.contains("\(cut) of \($0)") } ?? cutIDs.contains(cut)
        guard !isKnown else { return nil }
        let whose = model.map { " of \($0)" } ?? ""
        return
            "there is no cut \(cut)\(whose): \(own.isEmpty ? "nothing was cut" : "the cuts are \(list(own))")"
    }
}
