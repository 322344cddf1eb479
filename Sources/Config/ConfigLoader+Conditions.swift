// What a request has to look like: the match of a model, and the conditions of cohorts and shadows.
// Invariant: a condition that is accepted can hold for some request, and costs the data plane linear time;
// regular expressions have been compiled once here, so that they compile on every core.

import Platform
import Proxy

extension Kind where Value == RouteMatch {
    /// Host and path of a model's requests.
    static var match: Kind {
        .section("a match: a mapping with host, path_prefix or path") { section in
            let host = section.optional("host", .matchHost)
            let prefix = section.optional("path_prefix", .path)
            let path = section.optional("path", .path)
            if !["host", "path_prefix", "path"].contains(where: section.has) {
                section.lacks(
                    ["host", "path_prefix", "path"], "says nothing", expected: "host, path_prefix or path")
            }
            if section.has("path_prefix"), section.has("path") {
                section.reading.report(
                    section.place, "has both path_prefix and path", expected: "one of the two")
            }
            let match = path.map { RouteMatch.PathMatch.exact($0) } ?? .prefix(prefix ?? "/")
            return RouteMatch(host: host, path: match)
        }
    }
}

extension Kind where Value == [Condition] {
    /// `when:` of a cohort or a shadow: all must hold.
    static var conditions: Kind {
        .section(
            "conditions: header, cookie, query, path, method or client_address", named: "when"
        ) { section in
            let headers = section.value("header", .values(of: .headerName), or: [])
            let cookies = section.value("cookie", .values(of: .cookieName), or: [])
            let queries = section.value(
                "query", .values(of: .text("the name of a query parameter")), or: [])
            let path = section.optional("path", .value(plain: .path))
            let method = section.optional("method", .method)
            let addresses = section.optional("client_address", .oneOrMany(.addressRange, max: 256))
            let keys = ["header", "cookie", "query", "path", "method", "client_address"]
            if !keys.contains(where: section.has) {
                section.lacks(
                    keys, "says nothing, and would hold for every request",
                    expected: "at least one condition")
            }
            var conditions: [Condition] = []
            conditions += headers.compactMap { entry in
                entry.value.map { .header(name: entry.name.value, $0) }
            }
            conditions += cookies.compactMap { entry in
                entry.value.map { .cookie(name: entry.name.value, $0) }
            }
            conditions += queries.compactMap { entry in
                entry.value.map { .query(name: entry.name.value, $0) }
            }
            if let path { conditions.append(.path(path)) }
            if let method { conditions.append(.method(method)) }
            if let addresses { conditions.append(.address(addresses)) }
            return conditions
        }
    }
}

extension Kind where Value == [TableEntry<Condition.ValueMatch>] {
    fileprivate static func values(of names: Kind<String>) -> Kind {
        .table(
            "a mapping from name to value", names: names,
            of: .value(plain: .text("a value, {prefix: …}, {regex: …} or {present: true}")))
    }
}

extension Kind where Value == Condition.ValueMatch {
    /// A text to be equal to, or one of `exact`, `prefix`, `regex`, `present`.
    fileprivate static func value(plain: Kind<String>) -> Kind {
        let section = Kind.section("exact, prefix, regex or present", named: "value") { section in
            let matches: [Condition.ValueMatch?] = [
                section.optional("exact", plain).map { .exact($0) },
                section.optional("prefix", plain).map { .prefix($0) },
                section.optional("regex", .regex).map { .regex($0) },
                section.optional("present", .present).map { _ in .present },
            ]
            return section.only(matches, of: ["exact", "prefix", "regex", "present"])
        }
        return Kind(expected: plain.expected) { node in
            if node.text == nil, node.node?.mapping != nil || node.reading.isProbing {
                return node.read(section)
            }
            return node.read(plain).map { .exact($0) }
        }
    }
}

extension Kind where Value == Bool {
    /// Only "true": the absence of a field cannot be asked for.
    fileprivate static var present: Kind {
        Kind(expected: "true") { node in
            node.text == "true" ? true : node.mismatch(expected: "true")
        }
    }
}

extension Kind where Value == String {
    /// A regular expression that the data plane can run.
    fileprivate static var regex: Kind {
        let expected = "a regular expression over bytes"
        return Kind(expected: expected) { node in
            guard let text = node.text, !text.isEmpty else { return node.mismatch(expected: expected) }
            do throws(PatternFailure) {
                return try Pattern(text).text
            } catch {
                node.reading.report(
                    node.place,
                    "the regular expression makes no sense at byte \(error.position)"
                        + " (\(error.found)):", value: text, expected: error.expected)
                return nil
            }
        }
    }
}
