// A law: what it says, how it is checked, and two samples: one that must fail, so that the check is known to
// be able to fail, and one that must pass, so that it is known not to fail on everything.
// A law sees the whole tree, because some laws are about what is missing.
// Source: the house rules on style, each numbered there; a law here is the checkable part of one of them.

import Foundation
import Testing

/// One rule of the house that a program can check.
struct Law: Sendable, CustomTestStringConvertible {
    let says: String
    /// A tree that breaks it.
    let broken: [SourceFile]
    /// Files beside which each file of `broken` breaks the law, where it takes more than one file.
    let beside: [SourceFile]
    /// A tree that comes close and keeps it.
    let kept: [SourceFile]
    let violations: @Sendable ([SourceFile]) -> [Violation]

    var testDescription: String { says }

    init(
        _ says: String, broken: [(String, String)], beside: [(String, String)] = [],
        kept: [(String, String)], tree violations: @escaping @Sendable ([SourceFile]) -> [Violation]
    ) {
        self.says = says
        self.broken = broken.map { SourceFile(path: $0.0, text: $0.1) }
        self.beside = beside.map { SourceFile(path: $0.0, text: $0.1) }
        self.kept = kept.map { SourceFile(path: $0.0, text: $0.1) }
        self.violations = violations
    }

    /// A law about each file by itself.
    init(
        _ says: String, broken: [(String, String)], kept: [(String, String)],
        file violations: @escaping @Sendable (SourceFile) -> [Violation]
    ) {
        self.init(says, broken: broken, kept: kept, tree: { $0.flatMap(violations) })
    }

    /// A law that a regular expression must not match in the code (comments and strings blanked) of the
    /// files that `applies` chooses.
    init(
        _ says: String, never pattern: String, because message: String,
        in applies: @escaping @Sendable (SourceFile) -> Bool,
        broken: [(String, String)], kept: [(String, String)]
    ) {
        self.init(says, broken: broken, kept: kept) { (file: SourceFile) in
            guard applies(file) else { return [] }
            return matches(pattern, in: file.code).map {
                Violation(path: file.path, line: $0.line, message: "`\($0.text)`: \(message)")
            }
        }
    }
}

/// Every match of a pattern, by 1-based line; `^` and `$` stand for a line's ends, and `.` stops there.
func matches(_ pattern: String, in text: String) -> [(line: Int, text: String)] {
    guard let expression = try? NSRegularExpression(pattern: pattern, options: .anchorsMatchLines) else {
        preconditionFailure("the pattern \(pattern) is not a regular expression")
    }
    let whole = text as NSString
    var line = 1
    var counted = 0
    return expression.matches(in: text, range: NSRange(location: 0, length: whole.length)).map { match in
        for index in counted..<match.range.location where whole.character(at: index) == 10 { line += 1 }
        counted = match.range.location
        return (line, whole.substring(with: match.range).trimmingCharacters(in: .whitespaces))
    }
}
