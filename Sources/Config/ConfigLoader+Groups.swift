// Reads `groups:`, models that must move together, and checks them against the models.
// Place: read with the process, checked by `GroupChecks` when all models are known; Decide moves them.
// Invariant: a group names models that exist, each in one group at most, and rollouts of the same steps.

import Rollout

/// A group as read.
struct GroupDraft {
    var name: Marked<String>
    var models: [Marked<String>]
}

extension Kind where Value == GroupDraft {
    static var group: Kind {
        .section("a group: a mapping with name and models") { section in
            let name = section.required("name", .marked(.name))
            let models = section.required("models", .list(of: .marked(.name), count: 2...64))
            guard let name, let models else { return nil }
            return GroupDraft(name: name, models: models)
        }
    }
}

/// What must hold between groups and models.
enum GroupChecks {
    /// The groups as values; problems are reported.
    static func checked(
        _ drafts: [GroupDraft], models: [ModelConfig], _ reading: Reading
    ) -> [GroupConfig] {
        var names: Set<String> = []
        var owners: [String: String] = [:]
        let known = models.map(\.name)
        for draft in drafts {
            if !names.insert(draft.name.value).inserted {
                reading.report(
                    draft.name.place, "another group has the name", value: draft.name.value,
                    expected: "each name once")
            }
            for model in draft.models {
                if !known.contains(model.value) {
                    reading.report(
                        model.place, "unknown model", value: model.value,
                        expected: "one of " + known.prefix(20).joined(separator: ", "),
                        suggestion: Nearest.to(model.value, among: known))
                } else if let other = owners.updateValue(draft.name.value, forKey: model.value) {
                    reading.report(
                        model.place, "is in group \(other) already:", value: model.value,
                        expected: "each model in one group at most")
                }
            }
            walkTogether(draft, models, reading)
        }
        return drafts.map { GroupConfig(name: $0.name.value, models: $0.models.map(\.value)) }
    }

    /// Members with a rollout take every step together, so their rollouts must have the same steps.
    private static func walkTogether(_ draft: GroupDraft, _ models: [ModelConfig], _ reading: Reading) {
        let programs = draft.models.compactMap { name in
            models.first { $0.name == name.value }?.writtenRollout.map { (name, $0.program) }
        }
        guard let (first, shape) = programs.first else { return }
        for (name, program) in programs.dropFirst() where program.steps != shape.steps {
            reading.report(
                name.place, "its rollout has other steps than that of \(first.value):", value: name.value,
                expected: "\(shape.steps) as \(first.value) has, not \(program.steps): models of a group"
                    + " take their steps together")
        }
    }
}

extension RolloutProgram {
    /// "3 stages up to 100 % and a bake": what programs that are walked together have in common.
    fileprivate var steps: String {
        "\(stages.count) \(stages.count == 1 ? "stage" : "stages")"
            + (endsWhole ? " up to 100%" : " short of 100%")
            + (bakeMicros > 0 ? " and a bake" : "") + (isDryRun ? ", as a dry run" : "")
    }
}
