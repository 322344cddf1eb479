// From a file to a `Config` or to everything that is wrong with it. The steps: bytes to text, text to a YAML
// tree (Yams), tree to drafts section by section (the `Kind` extensions beside this file), drafts to values
// by the checks that need more than one key. No step stops at its first problem; only text that is not YAML
// ends the reading early, because nothing behind it can be trusted.
// Invariant: a pure function of the text and of what the caller's closures say of names and files.

import Platform
import Yams

/// What is wrong with a config file, in the order of the file; never empty.
package struct ConfigProblems: Error, Sendable, Hashable, CustomStringConvertible {
    package var all: [ConfigProblem]

    /// One problem of the whole file.
    package static func whole(_ file: String, _ message: String) -> ConfigProblems {
        ConfigProblems(all: [.whole(file, message)])
    }

    /// One line per problem.
    package var description: String { all.map(\.description).joined(separator: "\n") }
}

/// Reads config files.
package enum ConfigLoader {
    /// Larger files are refused; the largest sensible config has about 2 MiB.
    package static let fileBytesMax = 16 << 20

    /// Validates a config given as bytes; `file` names it in problems.
    package static func parse(
        bytes: [UInt8], file: String, resolve: @escaping NameResolver, files: FileLook? = nil,
        read: FileRead? = nil
    ) -> Result<Config, ConfigProblems> {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return .failure(ConfigProblems(all: [notText(bytes, file: file)]))
        }
        return parse(text, file: file, resolve: resolve, files: files, read: read)
    }

    /// The problem with bytes that are not UTF-8, at the first that is not.
    static func notText(_ bytes: [UInt8], file: String) -> ConfigProblem {
        let valid = String(decoding: bytes, as: UTF8.self).unicodeScalars.prefix { $0 != "\u{FFFD}" }
        let line = valid.count(where: { $0 == "\n" }) + 1
        let column = valid.reversed().prefix { $0 != "\n" }.count + 1
        return ConfigProblem(
            file: file, line: line, column: column, path: "", message: "is not UTF-8 text", value: nil,
            expected: nil, suggestion: nil)
    }

    /// Validates a config given as text; `file` names it in problems.
    /// - Parameters:
    ///   - files: looks for the files that the config names; nil: nobody does.
    ///   - read: reads those whose content is part of the config; nil: they are refused.
    package static func parse(
        _ text: String, file: String, resolve: @escaping NameResolver, files: FileLook? = nil,
        read: FileRead? = nil
    ) -> Result<Config, ConfigProblems> {
        do throws(ConfigProblem) {
            let tree = try YAMLTree(text, file: file)
            let reading = Reading(
                file: file, resolve: resolve, files: files, read: read, masked: tree.masked)
            let root = NodeReader(tree.root, path: "", schema: "", reading: reading)
            if var config = root.read(.config(digest: Digest.sha256(text))), reading.problems.isEmpty {
                config.absentFiles = reading.absentFiles.sorted()
                return .success(config)
            }
            // A reader that gives up without a word is a defect; a reload must survive it all the same.
            if reading.problems.isEmpty {
                return .failure(.whole(file, "is refused, and Weir has lost the reason: a defect of Weir"))
            }
            return .failure(ConfigProblems(all: (reading.problems + reading.absentFiles).sorted()))
        } catch {
            return .failure(ConfigProblems(all: [error]))
        }
    }

    /// Every key there is, as `models[].versions.<name>.endpoints`, sorted: what the readers ask for when
    /// they walk an empty document.
    package static var knownKeys: [String] {
        let reading = Reading(file: "", resolve: { _, _ in .success([]) }, probing: true)
        _ = NodeReader(nil, path: "", schema: "", reading: reading).read(.config(digest: ""))
        return reading.keys.sorted()
    }
}
