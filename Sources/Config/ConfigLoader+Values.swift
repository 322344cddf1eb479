// The `values` of a model, and JSON paths wherever a config has them. A path that cannot be followed is
// refused with the character where it goes wrong, because "wrong value" would leave a reader of RFC 9535 to
// guess which part of it Weir does not know.

import Payload

extension Kind where Value == [ValueConfig] {
    static var values: Kind {
        Kind<[TableEntry<ValueSource>]>.table(
            "a mapping from the name of a value to where it stands", names: .name, of: .valueSource,
            max: ValuesConfig.valuesMax
        ).map { entries in
            entries.compactMap { entry in
                entry.value.map { ValueConfig(name: entry.name.value, source: $0) }
            }
        }
    }
}

extension Kind where Value == ValueSource {
    fileprivate static var valueSource: Kind {
        .section("a mapping with response, request, response_header or request_header") { section in
            let sources: [ValueSource?] = [
                section.optional("response", .jsonPath).map { .responseBody($0) },
                section.optional("request", .jsonPath).map { .requestBody($0) },
                section.optional("response_header", .headerName).map { .responseHeader($0) },
                section.optional("request_header", .headerName).map { .requestHeader($0) },
            ]
            return section.only(
                sources, of: ["response", "request", "response_header", "request_header"])
        }
    }
}

extension Kind where Value == JSONPath {
    /// A path into a JSON document.
    static var jsonPath: Kind {
        let expected = "a JSON path such as $.outputs[0].data[0]"
        return Kind(expected: expected) { node in
            guard let text = node.text else { return node.mismatch(expected: expected) }
            do throws(PathProblem) {
                return try JSONPath(text)
            } catch {
                node.reading.report(
                    node.place, "no path that can be followed, from character \(error.position) on:",
                    value: text, expected: expected + "; \(error.message)")
                return nil
            }
        }
    }
}
