// The laws about form: sizes, prefaces, names, documentation, and what must not stand in the tree at all.
// They hold for every file alike; the rooms' own laws stand in RoomLaws and HotPathLaws.
// Source: the house rules on files, functions, names, comments and tests.

private let tool = "ToDo".uppercased()
private let fix = "FixMe".uppercased()

/// Absolute paths that only exist where somebody works; put together here so that this file keeps the law.
private let machinePaths = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/t" + "mp/w/"].joined(
    separator: "|")

let styleLaws: [Law] = [
    Law(
        "A file has at most 500 lines",
        broken: [("Sources/Wire/A.swift", String(repeating: "let a = 1\n", count: 501))],
        kept: [("Sources/Wire/A.swift", String(repeating: "let a = 1\n", count: 500))]
    ) { (file: SourceFile) in
        let count = file.lines.last?.isEmpty == true ? file.lines.count - 1 : file.lines.count
        guard file.isSwift || file.path.hasSuffix(".py"), count > 500 else { return [] }
        return [Violation(path: file.path, line: 500, message: "\(count) lines; split it by aspect")]
    },
    Law(
        "A function has at most 70 lines",
        broken: [
            ("Sources/Wire/A.swift", "func f() {\n" + String(repeating: "    a()\n", count: 69) + "}\n")
        ],
        kept: [
            (
                "Sources/Wire/A.swift",
                "protocol P {\n    func f()\n    func g()\n}\nfunc f(_ a: () -> Void = {}) {\n"
                    + String(repeating: "    a.init()\n", count: 68) + "}\n"
            )
        ]
    ) { (file: SourceFile) in
        guard file.isSwift else { return [] }
        return SwiftText.functions(inBlanked: file.code).filter { $0.lineCount > 70 }.map {
            Violation(path: file.path, line: $0.line, message: "\($0.name) has \($0.lineCount) lines")
        }
    },
    Law(
        "A line has at most 110 columns",
        broken: [("bench/run.py", String(repeating: "x", count: 111) + "\n")],
        kept: [
            ("bench/run.py", String(repeating: "x", count: 110) + "\n"),
            ("README.md", "| " + String(repeating: "x", count: 200) + " |\n"),
        ]
    ) { (file: SourceFile) in
        guard !file.path.hasSuffix(".md"), !file.path.hasSuffix(".txt") else { return [] }
        return file.lines.enumerated().filter { $0.element.count > 110 }.map {
            Violation(path: file.path, line: $0.offset + 1, message: "\($0.element.count) columns")
        }
    },
    Law(
        "A Swift file opens with 3 to 8 lines of comment; a theory or table may have more, a test fewer",
        broken: [
            ("Sources/Wire/A.swift", "// Short.\nimport Metrics\n"),
            ("Sources/Wire/B.swift", String(repeating: "// Long.\n", count: 9)),
            ("Tests/WireTests/A.swift", "import Testing\n"),
        ],
        kept: [
            ("Sources/Wire/A.swift", "// What.\n// Where.\n// Invariant.\n\n/// Not preface.\n"),
            ("Sources/Wire/B.swift", "// Theory: states.\n" + String(repeating: "// Row.\n", count: 29)),
            ("Tests/WireTests/A.swift", "// The law.\nimport Testing\n"),
        ]
    ) { (file: SourceFile) in
        guard file.isSwift else { return [] }
        let preface = file.lines.prefix { $0.hasPrefix("//") && !$0.hasPrefix("///") }
        let least = file.isUnder("Tests") ? 1 : 3
        let tells = ["theory", "table", "state"]
        let isTheory = preface.contains { line in tells.contains { line.lowercased().contains($0) } }
        let most = isTheory ? 30 : 8
        guard !(least...most).contains(preface.count) else { return [] }
        return [Violation(path: file.path, line: 1, message: "\(preface.count) lines of preface")]
    },
    Law(
        "A type that other rooms see is documented",
        broken: [
            ("Sources/Wire/A.swift", "// A.\n@frozen\npublic struct Head: Sendable {\n"),
            ("Sources/Calls/A.swift", "// A.\npackage struct Head: Sendable {\n"),
        ],
        kept: [
            ("Sources/Wire/A.swift", "/// A head.\n@frozen\npublic struct Head: Sendable {\n"),
            ("Sources/Wire/B.swift", "/// A head.\n@frozen public struct Head: Sendable {\n"),
        ]
    ) { (file: SourceFile) in
        guard file.isSwift, file.isUnder("Sources") else { return [] }
        return undocumentedTypes(of: file)
    },
    Law(
        "Nothing is left for later: no \(tool) or \(fix)",
        broken: [("Sources/Wire/A.swift", "// \(tool): the rest\n"), ("bench/run.py", "# \(fix)\n")],
        kept: [("Sources/Wire/A.swift", "// what there is to do: nothing\n")]
    ) { (file: SourceFile) in
        matches(#"\b(\#(tool)|\#(fix))\b"#, in: file.text).map {
            Violation(path: file.path, line: $0.line, message: "`\($0.text)`: finish it or leave it out")
        }
    },
    Law(
        "No type is called Manager, Helper, Utils, Impl or Base",
        never:
            #"\b(struct|class|enum|protocol|typealias|extension)\s+\w*(Manager|Helper|Utils?|Impl|Base)\b"#,
        because: "a type is named for what it is",
        in: { $0.isSwift },
        broken: [("Sources/Control/A.swift", "final class PlanManager {}\n")],
        kept: [("Sources/Control/A.swift", "struct Database {}\nstruct BaseRate {}\n")]
    ),
    Law(
        "No path of somebody's machine stands in the tree",
        broken: [("deploy/demo", "cd \(machinePaths.split(separator: "|")[0])main\n")],
        kept: [("deploy/demo", "cd \"$root\"; ls net/workers\n")]
    ) { (file: SourceFile) in
        matches(#"(?<![\w.}])(\#(machinePaths))"#, in: file.text).map {
            Violation(path: file.path, line: $0.line, message: "`\($0.text)` exists on one machine only")
        }
    },
    Law(
        "A test's name is a sentence",
        never: #"@Test(?!\s*\()|@Test\(\s*(?!\")\S"#,
        because: "say the law that the test checks: @Test(\"…\")",
        in: { $0.isSwift && $0.isUnder("Tests") },
        broken: [("Tests/WireTests/A.swift", "    @Test func parses() {}\n")],
        kept: [
            ("Tests/WireTests/A.swift", "    @Test(\"A head that is cut anywhere waits\", arguments: cuts)\n")
        ]
    ),
    Law(
        "No test sleeps to synchronise",
        never: #"\b(usleep|nanosleep|sleep)\s*\("#,
        because: "wait for the event itself, within a deadline",
        in: { $0.isSwift && $0.isUnder("Tests") },
        broken: [("Tests/ProxyTests/A.swift", "    usleep(1000)\n")],
        kept: [("Tests/ProxyTests/A.swift", "    poller.wait(timeoutMillis: 1000)\n")]
    ),
    Law(
        "A page for a terminal shows a JSON text by `line`, which escapes and bounds it",
        broken: [
            ("Sources/weir/A.swift", "Output.text(\"\\(status[\"reason\"]?.string ?? \"\")\")\n"),
            ("Sources/Control/Report/ReportText.swift", "let names = list.compactMap(\\.string)\n"),
        ],
        kept: [
            (
                "Sources/weir/A.swift",
                "if model[\"name\"]?.string == name { say(.string(model[\"name\"]?.line ?? \"\")) }\n"
            ),
            ("Sources/Control/A.swift", "let name = model[\"name\"]?.string\n"),
        ]
    ) { (file: SourceFile) in
        let isPage = file.isUnder("Sources/weir") || file.path == "Sources/Control/Report/ReportText.swift"
        guard file.isSwift, isPage else { return [] }
        // In the text: interpolations stand inside string literals.
        return matches(#"\.string\b(?!\(| ==)"#, in: file.text).map {
            Violation(path: file.path, line: $0.line, message: "show it as `line`, or compare it with ==")
        }
    },
    Law(
        "The command line writes through Console, which lets no control character pass",
        never: #"\bTerminal\.write\b|\bprint\("#, because: "use Console.write or Console.complain",
        in: { file in
            // The demo draws on the terminal, and shows only what its own servers said.
            file.isSwift && ["weir", "Control", "Sidecar"].contains(file.room)
                && file.path != "Sources/Sidecar/Run/Console.swift"
        },
        broken: [("Sources/weir/A.swift", "Terminal.write(answer)\n")],
        kept: [("Sources/weir/A.swift", "Console.write(answer)\n")]
    ),
    Law(
        "The README has the two commands",
        broken: [("README.md", "# Weir\n\n    bash deploy/demo\n")],
        kept: [("README.md", "# Weir\n\n    bash deploy/demo\n    bash Tests/run\n")],
        tree: { files in
            let readme = files.first { $0.path == "README.md" }
            return ["bash deploy/demo", "bash Tests/run"].filter { readme?.text.contains($0) != true }
                .map { Violation(path: "README.md", line: 1, message: "`\($0)` is missing") }
        }
    ),
    Law(
        "A link in a page leads to a file",
        broken: [("README.md", "See [it](Sources/Wire/None.md).\n")],
        kept: [
            (
                "README.md",
                "See [it](Sources/Wire/Wire.md#laws), [RFC](https://www.rfc-editor.org/rfc/rfc9112).\n"
            ),
            ("Sources/Wire/Wire.md", "# Wire\n"),
        ],
        tree: { files in
            let paths = Set(files.map(\.path))
            return files.filter { $0.path == "README.md" }.flatMap { file in
                matches(#"(?<=\]\()[^)#:]+(?=[)#])"#, in: file.text).filter { link in
                    !paths.contains { $0 == link.text || $0.hasPrefix(link.text + "/") }
                }.map { Violation(path: file.path, line: $0.line, message: "no such file: \($0.text)") }
            }
        }
    ),
]

/// Types that other rooms see and whose declaration, attributes included, has no doc comment above.
private func undocumentedTypes(of file: SourceFile) -> [Violation] {
    let pattern =
        #"^[ \t]*(@\w+(\([^)]*\))?[ \t]+)*(public|package)\s+(final\s+|indirect\s+)?"#
        + #"(struct|enum|class|protocol)\s+\w+"#
    return matches(pattern, in: file.code).compactMap { match in
        var above = match.line - 2
        while above >= 0, file.lines[above].drop(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
        let isDocumented = above >= 0 && file.lines[above].drop(while: { $0 == " " }).hasPrefix("///")
        return isDocumented
            ? nil
            : Violation(path: file.path, line: match.line, message: "`\(match.text)` has no doc comment")
    }
}
