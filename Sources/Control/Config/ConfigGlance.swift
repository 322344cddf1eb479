// The one value that a command needs of a config: where the running Weir's admin API is, or where its files
// are. The rest of the file may be as wrong as it likes, also no YAML at all: an operator who has just broken
// it must still be able to roll back.
// Place: behind the verbs, `weir status`, `weir report`, `weir audit` and `weir captures`.
// Invariant: no name but the admin API's own is resolved, and nothing is guessed: a key that is there and
// cannot be read is a problem, one that is absent has its default.

import Payload
import Platform

/// Where a running Weir's admin API is looked for.
public struct AdminPlace: Sendable, Equatable {
    public var address: SocketAddress
    /// Whether nobody has named it.
    public var isGuess: Bool
    /// Where the address is from, for people.
    public var origin: String

    public init(address: SocketAddress, isGuess: Bool, origin: String) {
        (self.address, self.isGuess, self.origin) = (address, isGuess, origin)
    }

    /// Without a config.
    /// - Parameter places: where one was looked for.
    public static func standard(without places: [String]) -> AdminPlace {
        AdminPlace(
            address: .ip(.loopback, port: 9_902), isGuess: true,
            origin: "the default, because there is no config: neither \(places.joined(separator: " nor "))"
                + " exists")
    }
}

/// Reads single keys of a config file.
public enum ConfigGlance {
    /// The admin API of the Weir that a config is for.
    public static func admin(path: String) throws(ConfigProblem) -> AdminPlace {
        let text = try text(path)
        let kind = Kind<SocketAddress>.admin.map { Optional($0) }
        guard let written = try value("admin", kind, or: nil, in: text, file: path) else {
            let meant = misspelt("admin", in: text, file: path).map { " (it has '\($0)')" } ?? ""
            return AdminPlace(
                address: .ip(.loopback, port: 9_902), isGuess: true,
                origin: "the default, because admin is not set in \(path)\(meant)")
        }
        return AdminPlace(
            address: written, isGuess: false,
            origin: "admin in \(path); a Weir that was started before that was changed listens at the"
                + " address of then until it is restarted")
    }

    /// Whether a running Weir has another config than the file: another one, or as it was before an edit.
    /// - Parameter status: its /status; one without a digest says nothing.
    public static func differs(path: String, from status: JSON) -> Bool {
        guard let digest = status["config_digest"]?.string else { return false }
        return (try? text(path)).map { Digest.sha256($0) } != digest
    }

    /// The state directory.
    public static func stateDir(path: String) throws(ConfigProblem) -> String {
        try glance("state_dir", .stateDir, or: "/var/lib/weir", path: path)
    }

    private static func glance<Value>(
        _ key: String, _ kind: Kind<Value>, or standard: Value, path: String
    ) throws(ConfigProblem) -> Value {
        try value(key, kind, or: standard, in: text(path), file: path)
    }

    private static func text(_ path: String) throws(ConfigProblem) -> String {
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try File.readRegular(path, bytesMax: ConfigLoader.fileBytesMax)
        } catch {
            throw ConfigProblem(
                file: path, line: 0, column: 0, path: "", message: "cannot be read: \(error)", value: nil,
                expected: nil, suggestion: nil)
        }
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        // A byte in a comment must not stop a rollback; a file of nothing but bytes is no config.
        let text = String(decoding: bytes, as: UTF8.self)
        if isConfig(text) { return text }
        throw ConfigLoader.notText(bytes, file: path)
    }

    /// Whether some line begins a section of a config.
    private static func isConfig(_ text: String) -> Bool {
        let sections = Set(ConfigLoader.knownKeys.map { $0.prefix { $0 != "." && $0 != "[" } })
        return sections.contains { block(String($0), in: text) != nil }
    }

    /// The top-level key that nobody knows and that may have been meant.
    private static func misspelt(_ key: String, in text: String, file: String) -> String? {
        let known = ConfigLoader.knownKeys.filter { !$0.contains(".") }
        let written = (try? YAMLTree(text, file: file))?.root.mapping?.keys.compactMap(\.string) ?? []
        return written.first { !known.contains($0) && Nearest.to($0, among: known) == key }
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
                // Where the key may stand in what cannot be read, its default would be a guess; and where
                // nothing can be read, it may be another file altogether.
                if mentions(key, text) || !isConfig(text) { throw error }
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
