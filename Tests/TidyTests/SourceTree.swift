// The tree as text: every file that a person maintains, with its path relative to the root, and for Swift a
// copy in which comments and string literals are blanked so that a law about code never fires on prose.
// The root is found from this file's own place, so the laws hold in any clone.
// Invariant: `code` has the same lines and the same number of bytes as `text`.

import Foundation

/// One file of the tree.
struct SourceFile: Sendable {
    /// Relative to the root, with `/`.
    let path: String
    let text: String
    /// `text` with comments and string contents replaced by spaces; equal to `text` where it is not Swift.
    let code: String
    let lines: [Substring]
    let codeLines: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        code = path.hasSuffix(".swift") ? SwiftText.blanked(text) : text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        codeLines = code.split(separator: "\n", omittingEmptySubsequences: false)
    }

    var isSwift: Bool { path.hasSuffix(".swift") && path != "Package.swift" }

    /// The room that a file under Sources belongs to.
    var room: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    func isUnder(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }
}

/// A place where the tree breaks a law.
struct Violation: CustomStringConvertible, Sendable {
    let path: String
    let line: Int
    let message: String
    var description: String { "\(path):\(line): \(message)" }
}

enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let files: [SourceFile] = read()

    private static let roots = [
        "Sources", "Tests", "bench", "deploy", ".ci", "README.md", "Package.swift",
    ]
    private static let endings: Set<String> = [
        "swift", "md", "h", "c", "py", "sh", "yaml", "yml", "service", "cfg", "conf", "lua", "txt",
        "modulemap",
        "",
    ]

    private static func read() -> [SourceFile] {
        var found: [SourceFile] = []
        for top in roots {
            let url = root.appendingPathComponent(top)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else { continue }
            guard isFolder.boolValue else {
                add(url.path, top, &found)
                continue
            }
            let inside = FileManager.default.enumerator(atPath: url.path)
            while let name = inside?.nextObject() as? String {
                let isHidden = name.split(separator: "/").contains {
                    $0.hasPrefix(".") || $0 == "__pycache__"
                }
                if !isHidden { add(url.appendingPathComponent(name).path, "\(top)/\(name)", &found) }
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func add(_ absolute: String, _ relative: String, _ found: inout [SourceFile]) {
        let ending = (relative as NSString).pathExtension
        guard endings.contains(ending), let data = FileManager.default.contents(atPath: absolute) else {
            return
        }
        guard let text = String(bytes: data, encoding: .utf8) else { return }
        found.append(SourceFile(path: relative, text: text))
    }
}
