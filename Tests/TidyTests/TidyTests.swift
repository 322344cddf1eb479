// The house rules that a program can check, run on the tree this file stands in. Each law comes with a
// sample that breaks it and one that keeps it; both are tests, so a law that has gone blind is noticed.
// A violation is reported as path:line: message.

import Testing

private let laws = roomLaws + folderLaws + hotPathLaws + styleLaws

@Suite("Tidy")
struct TidyTests {
    @Test("The tree keeps the law", arguments: laws)
    func treeKeeps(_ law: Law) {
        for violation in law.violations(SourceTree.files) {
            Issue.record("\(violation)")
        }
    }

    @Test("A law notices every file that breaks it", arguments: laws)
    func lawCanFail(_ law: Law) {
        for file in law.broken {
            #expect(!law.violations([file] + law.beside).isEmpty, "\(file.path) should break: \(law.says)")
        }
    }

    @Test("A law lets a tree pass that keeps it", arguments: laws)
    func lawCanPass(_ law: Law) {
        #expect(law.violations(law.kept).isEmpty)
    }

    @Test("The tree is found and is not empty")
    func treeIsFound() {
        #expect(SourceTree.files.contains { $0.path == "Package.swift" })
        #expect(SourceTree.files.contains { $0.path == "Sources/Proxy/Limits.swift" })
        #expect(SourceTree.files.contains { $0.path == "Tests/TidyTests/TidyTests.swift" })
    }

    @Test(
        "Comments and strings are blanked, code and positions stay",
        arguments: [
            ("let a = 1 // async", "let a = 1         "),
            ("let a = \"x // y\" + b", "let a = \"      \" + b"),
            ("a /* x /* y */ z */ b", "a                   b"),
            (#"f("a\(g(")"))b") + c"#, "f(\"  (g(\" \")) \") + c"),
            ("##\"a\"# b\"## + c", "##\"     \"## + c"),
            ("let s = \"\"\"\n  a \"b\"\n  \"\"\" + c", "let s = \"\"\"\n       \n  \"\"\" + c"),
        ])
    func blanking(_ text: String, _ expected: String) {
        #expect(SwiftText.blanked(text) == expected)
    }
}
