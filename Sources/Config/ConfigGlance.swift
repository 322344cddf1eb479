// The one value that a command needs of a config: where the running Weir's admin API is, or where its files
// are. The rest of the file may be as wrong as it likes, also no YAML at all: an operator who has just broken
// it must still be able to roll back.
// Place: behind the verbs, `weir status`, `weir report`, `weir audit` and `weir captures`.
// Invariant: no name but the admin API's own is resolved, and nothing is guessed: a key that is there and
// cannot be read is a problem, one that is absent has its default.

import Platform

/// Reads single keys of a config.
package enum ConfigGlance {
    /// The top-level key that nobody knows and that may have been meant.
    package static func misspelt(_ key: String, in text: String, file: String) -> String? {
        let known = ConfigLoader.knownKeys.filter { !$0.contains(".") }
        let written = (try? YAMLTree(text, file: file))?.root.mapping?.keys.compactMap(\.string) ?? []
        return written.first { !known.contains($0) && Nearest.to($0, among: known) == key }
    }

    /// The text of a file, which may be wrong in places but must be a config.
    package static func text(_ bytes: [UInt8], file: String) throws(ConfigProblem) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        // A byte in a comment must not stop a rollback; a file of nothing but bytes is no config.
        let text = String(decoding: bytes, as: UTF8.self)
        if isConfig(text) { return text }
        throw ConfigLoader.notText(bytes, file: file)
    }

    /// Whether some line begins a section of a config, or nothing is in the file, as after a full disk.
    private static func isConfig(_ text: String) -> Bool {
        if text.allSatisfy(\.isWhitespace) { return true }
        let sections = Set(ConfigLoader.knownKeys.map { $0.prefix { $0 != "." && $0 != "[" } })
        return sections.contains { block(String($0), in: text) != nil }
    }

    /// The admin API's address in a text; nil: the key is not there.
    package static func admin(
        in text: String, file: String, resolve: @escaping NameResolver
    ) throws(ConfigProblem) -> SocketAddress? {
        let kind = Kind<SocketAddress>.admin.map { Optional($0) }
        return try value("admin", kind, or: nil, in: text, file: file, resolve: resolve)
    }

    /// The state directory in a text.
    package static func stateDir(in text: String, file: String) throws(ConfigProblem) -> String {
        try value("state_dir", .stateDir, or: "/var/lib/weir", in: text, file: file) { _, _ in
            .failure(NameFailure(reason: "no name is looked up for it"))
        }
    }

    /// One key of a text.
    package static func value<Value>(
        _ key: String, _ kind: Kind<Value>, or standard: Value, in text: String, file: String,
        resolve: @escaping NameResolver
    ) throws(ConfigProblem) -> Value {
        let tree: YAMLTree
        do throws(ConfigProblem) {
            tree = try YAMLTree(text, file: file)
        } catch {
            // Something else in the file is no YAML; the key's own lines may be.
            guard let block = block(key, in: text) else {
                // Where the key may stand in what cannot be read, its default would be a guess; and where
                // nothing can be read, it may be another file altogether.
                if mentions(key, text) || !isConfig(text) { throw error }
                return standard
            }
            tree = try YAMLTree(block, file: file)
        }
        let reading = Reading(file: file, resolve: resolve, masked: tree.masked)
        let root = NodeReader(tree.root, path: "", schema: "", reading: reading)
        let found = root.read(
            Kind<Value>.section("a mapping with \(key)") { $0.value(key, kind, or: standard) })
        let own = reading.problems.filter { $0.path == key || $0.path.hasPrefix(key + ".") }
        if let problem = own.sorted().first { throw problem }
        return found ?? standard
    }

    /// The lines of a top-level key; those before it are empty lines, so that places stay right.
    package static func block(_ key: String, in text: String) -> String? {
        var before = 0
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if lines.isEmpty {
                guard isKey(key, line) else {
                    before += 1
                    continue
                }
                lines.append(line)
            } else if let first = line.first, first != " ", first != "\t", first != "#", first != "\r" {
                break
            } else {
                lines.append(line)
            }
        }
        guard !lines.isEmpty else { return nil }
        return String(repeating: "\n", count: before) + lines.joined(separator: "\n") + "\n"
    }

    private static func mentions(_ key: String, _ text: String) -> Bool {
        text.split(separator: "\n").contains { $0.prefix { $0 != "#" }.contains(key) }
    }

    private static func isKey(_ key: String, _ line: Substring) -> Bool {
        for written in [key, "\"\(key)\"", "'\(key)'"] where line.hasPrefix(written) {
            if line.dropFirst(written.count).drop(while: { $0 == " " }).first == ":" { return true }
        }
        return false
    }
}
