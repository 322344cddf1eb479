// What refers to a model registry: the action that moves aliases, and the candidate that an alias names.
// Place: `ConfigLoader+Actions` and `ConfigLoader+Model` read these sections.
// Invariant: no registry is asked here, and no file with a secret is opened: a config is checked offline.

import Platform

/// A candidate as written: a name, or where to ask for one.
enum CandidateDraft {
    case named(Marked<String>)
    case source(SourceDraft)
}

/// A source as read, before its versions are checked.
struct SourceDraft {
    var place: Place
    var access: MLflowAccess
    var model: String
    var alias: String
    var every: Interval
    var missing: MissingAlias
    /// Ours by the registry's; not empty.
    var versions: [TableEntry<Marked<String>>]
}

extension Kind where Value == CandidateDraft {
    /// `candidate: v2`, or `candidate: { mlflow: … }`.
    static var candidate: Kind {
        let source = Kind<CandidateDraft>.section("a mapping with mlflow") { section in
            section.required("mlflow", .aliasSource).map { .source($0) }
        }
        let expected = "the name of a version, or {mlflow: …}"
        return Kind(expected: expected) { node in
            guard node.text == nil, !node.isNull, node.node?.sequence == nil else {
                return node.read(.marked(.name)).map { .named($0) }
            }
            return node.read(source)
        }
    }
}

extension Kind where Value == SourceDraft {
    fileprivate static var aliasSource: Kind {
        .section("a mapping with url, model, alias and versions") { section in
            let access = section.registry()
            let model = section.required("model", .text("the name of a registered model"))
            let alias = section.required("alias", .name)
            let every = section.value("every", .duration(.seconds(1) ... .seconds(3_600)), or: .seconds(10))
            let versions = section.required(
                "versions",
                .table(
                    "a mapping from the registry's version number to a version of this model", names: .name,
                    of: .marked(.name), max: 1_024))
            let missing = section.missingAlias()
            guard let access, let model, let alias, let versions else { return nil }
            return SourceDraft(
                place: section.place, access: access, model: model, alias: alias, every: every,
                missing: missing, versions: versions)
        }
    }
}

extension Kind where Value == MLflowConfig {
    static var mlflow: Kind {
        .section("a mapping with url, model and versions") { section in
            let access = section.registry()
            let model = section.required("model", .text("the name of a registered model"))
            let alias = Kind<String>.text("an alias")
            let champion = section.value("champion", alias, or: "champion")
            let previous = section.value("previous", alias, or: "previous_champion")
            let versions = section.required(
                "versions",
                .table(
                    "a mapping from version to the registry's version number", names: .name,
                    of: .text("a version number of the registry")))
            if champion == previous {
                section.reading.report(
                    section.place, "champion and previous are one alias:", value: champion,
                    expected: "two aliases")
            }
            guard let access, let model, let versions else { return nil }
            let numbers = versions.compactMap { entry in entry.value.map { (entry.name.value, $0) } }
            return MLflowConfig(
                access: access, model: model, champion: champion, previous: previous,
                versions: Dictionary(numbers) { first, _ in first })
        }
    }
}

extension SectionReader {
    /// What follows when the registry has no version for the alias.
    fileprivate mutating func missingAlias() -> MissingAlias {
        let word = value("missing", .word(["stop", "keep"]), or: "stop")
        let after = value("missing_after", .duration(.zero ... .days(7)), or: .seconds(60))
        if word == "keep", has("missing_after") {
            reading.report(
                place, "has missing_after, and missing is keep,",
                expected: "missing: stop, or no missing_after")
        }
        return word == "keep" ? .keep : .stop(after: after)
    }

    /// The keys that reach a tracking server.
    fileprivate mutating func registry() -> MLflowAccess? {
        let url = required("url", .sinkURL)
        let username = optional("username", .marked(.headerValue))
        let password = optional("password_file", .secretFile)
        let token = optional("token_file", .secretFile)
        let ca = optional("ca_file", .caFile)
        let timeout = timeout()
        if has("username") != has("password_file") {
            reading.report(
                place, "has \(has("username") ? "username without password_file" : "no username"),",
                expected: "both or neither")
        } else if has("username"), has("token_file") {
            reading.report(
                place, "has both a token and a password",
                expected: "token_file, or username and password_file")
        }
        if let username, username.value.contains(":") {
            reading.report(
                username.place, "has a colon in it:", value: username.value,
                expected: "a user's name; the password stands in password_file")
        }
        return url.map {
            MLflowAccess(
                url: $0, username: username?.value, passwordFile: password, tokenFile: token, caFile: ca,
                timeout: timeout)
        }
    }
}

extension ModelChecks {
    /// The source with its versions checked; weights and rollout follow when they are.
    func checkedSource(_ draft: ModelDraft, _ stable: String?) -> CandidateSource? {
        guard let source = draft.source else { return nil }
        var versions: [String: String] = [:]
        for entry in source.versions {
            guard let version = entry.value, checkVersion(version, draft) else { continue }
            versions[entry.name.value] = version.value
        }
        if let stable, !versions.isEmpty, versions.values.allSatisfy({ $0 == stable }) {
            reading.report(
                source.place, "every version of the registry stands for stable:", value: stable,
                expected: "another version among `versions`")
        }
        return CandidateSource(
            access: source.access, model: source.model, alias: source.alias, every: source.every,
            versions: versions, missing: source.missing)
    }
}

extension ModelDraft {
    /// Our versions that the registry may make the candidate.
    var sourced: [String] {
        (source?.versions ?? []).compactMap { $0.value?.value }.filter { $0 != stable?.value }
    }
}
