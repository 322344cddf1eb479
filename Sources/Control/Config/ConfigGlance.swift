// The one value that a command needs of a config: where the running Weir's admin API is, or where its files
// are. The rest of the file may be as wrong as it likes, also no YAML at all: an operator who has just broken
// it must still be able to roll back.
// Place: behind the verbs, `weir status`, `weir report`, `weir audit` and `weir captures`.
// Invariant: no name but the admin API's own is resolved, and nothing is guessed: a key that is there and
// cannot be read is a problem, one that is absent has its default.

import Platform

/// Reads single keys of a config file.
public enum ConfigGlance {
    /// The address of the admin API.
    public static func admin(path: String) throws(ConfigProblem) -> SocketAddress {
        try glance("admin", .admin, or: .ip(.loopback, port: 9_902), path: path)
    }

    /// The state directory.
    public static func stateDir(path: String) throws(ConfigProblem) -> String {
        try glance("state_dir", .text("the path of a folder"), or: "/var/lib/weir", path: path)
    }

    private static func glance<Value>(
        _ key: String, _ kind: Kind<Value>, or standard: Value, path: String
    ) throws(ConfigProblem) -> Value {
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try File.readAll(path, bytesMax: ConfigLoader.fileBytesMax)
        } catch {
            throw ConfigProblem(
                file: path, line: 0, column: 0, path: "", message: "cannot be read: \(error)", value: nil,
                expected: nil, suggestion: nil)
        }
        return try value(key, kind, or: standard, in: String(decoding: bytes, as: UTF8.self), file: path)
    }

    /// As above, of a text.
    static func value<Value>(
        _ key: String, _ kind: Kind<Value>, or standard: Value, in text: String, file: String
    ) throws(ConfigProblem) -> Value {
        let tree: YAMLTree
        do throws(ConfigProblem) {
            tree = try YAMLTree(text, file: file)
        } catch {
            // Something else in the file is no YAML; the key's own lines may be.
            guard let block = block(key, in: text) else {
                // Where the key may stand in what cannot be read, its default would be a guess.
                if mentions(key, text) { throw error }
                return standard
            }
            tree = try YAMLTree(block, file: file)
        }
        let reading = Reading(file: file, resolve: ConfigLoader.systemNames, masked: tree.masked)
        let root = NodeReader(tree.root, path: "", schema: "", reading: reading)
        let found = root.read(
            Kind<Value>.section("a mapping with \(key)") { $0.value(key, kind, or: standard) })
        let own = reading.problems.filter { $0.path == key || $0.path.hasPrefix(key + ".") }
        if let problem = own.sorted().first { throw problem }
        return found ?? standard
    }

    /// The lines of a top-level key; those before it are empty lines, so that places stay right.
    static func block(_ key: String, in text: String) -> String? {
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
