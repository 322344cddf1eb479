// Just enough of Swift's lexical structure for the laws: where comments and string literals are, and where a
// function's body ends. Not a parser: it never needs to know what an identifier means.
// Invariant: `blanked` keeps every newline and the number of characters, so line and column carry over.
// Source: The Swift Programming Language, "Lexical Structure".

enum SwiftText {
    /// Replaces comments and string contents by spaces, newlines kept.
    static func blanked(_ text: String) -> String {
        var scanner = Scanner(Array(text))
        scanner.run(until: nil)
        return String(scanner.out)
    }

    /// A function, initialiser or deinitialiser with a body.
    struct Function {
        let name: String
        /// 1-based line of its keyword.
        let line: Int
        /// From the keyword's line to the closing brace's, both counted.
        let lineCount: Int
    }

    /// All functions of a blanked text, nested ones too.
    static func functions(inBlanked code: String) -> [Function] {
        let characters = Array(code)
        var found: [Function] = []
        var line = 1
        var index = 0
        while index < characters.count {
            let character = characters[index]
            if character == "\n" { line += 1 }
            guard isWordStart(characters, index) else {
                index += 1
                continue
            }
            let end = wordEnd(characters, index)
            let word = String(characters[index..<end])
            let isCall = index > 0 && characters[index - 1] == "."
            if ["func", "init", "deinit"].contains(word), !isCall,
                let body = bodyEnd(characters, from: end)
            {
                let name = word == "func" ? followingName(characters, end) : word
                let count = characters[index...body].count { $0 == "\n" } + 1
                found.append(Function(name: name, line: line, lineCount: count))
            }
            index = end
        }
        return found
    }

    private static func isWord(_ c: Character) -> Bool { c.isLetter || c.isNumber || c == "_" }

    private static func isWordStart(_ text: [Character], _ i: Int) -> Bool {
        isWord(text[i]) && (i == 0 || !isWord(text[i - 1]))
    }

    private static func wordEnd(_ text: [Character], _ start: Int) -> Int {
        var i = start
        while i < text.count, isWord(text[i]) { i += 1 }
        return i
    }

    private static func followingName(_ text: [Character], _ start: Int) -> String {
        var i = start
        while i < text.count, text[i] == " " { i += 1 }
        let end = wordEnd(text, i)
        return end > i ? String(text[i..<end]) : "operator"
    }

    /// The index of the brace that closes the body which starts after `start`; nil for a declaration without
    /// body (a protocol's requirement).
    private static func bodyEnd(_ text: [Character], from start: Int) -> Int? {
        var parens = 0
        var i = start
        while i < text.count {
            switch text[i] {
            case "(", "[": parens += 1
            case ")", "]":
                parens -= 1
                if parens < 0 { return nil }
            case "}" where parens == 0: return nil
            case "{" where parens == 0: return matchingBrace(text, i)
            case "\n" where parens == 0 && isNextDeclaration(text, i): return nil
            default: break
            }
            i += 1
        }
        return nil
    }

    private static func isNextDeclaration(_ text: [Character], _ newline: Int) -> Bool {
        var i = newline
        while i < text.count, text[i].isWhitespace { i += 1 }
        guard i < text.count, isWord(text[i]) || text[i] == "@" else { return false }
        let next = String(text[i..<wordEnd(text, i)])
        return !["where", "throws", "rethrows"].contains(next)
    }

    private static func matchingBrace(_ text: [Character], _ open: Int) -> Int? {
        var depth = 0
        for i in open..<text.count {
            if text[i] == "{" { depth += 1 }
            if text[i] == "}" {
                depth -= 1
                if depth == 0 { return i }
            }
        }
        return nil
    }
}

/// Walks a text once and writes its blanked copy.
private struct Scanner {
    let text: [Character]
    var out: [Character] = []
    var i = 0

    init(_ text: [Character]) {
        self.text = text
        out.reserveCapacity(text.count)
    }

    private func at(_ word: String) -> Bool {
        let word = Array(word)
        return i + word.count <= text.count && Array(text[i..<i + word.count]) == word
    }

    private mutating func keep() {
        out.append(text[i])
        i += 1
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where i < text.count {
            out.append(text[i] == "\n" ? "\n" : " ")
            i += 1
        }
    }

    /// Copies code; with `until` it stops behind the parenthesis that closes an interpolation.
    mutating func run(until closing: Character?) {
        var parens = 0
        while i < text.count {
            if at("//") {
                while i < text.count, text[i] != "\n" { blank() }
            } else if at("/*") {
                comment()
            } else if text[i] == "\"" || (text[i] == "#" && startsRawString()) {
                string()
            } else {
                if text[i] == "(" { parens += 1 }
                if text[i] == ")" {
                    if closing != nil, parens == 0 {
                        keep()
                        return
                    }
                    parens -= 1
                }
                keep()
            }
        }
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if at("/*") {
                depth += 1
                blank(2)
            } else if at("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && i < text.count
    }

    private func startsRawString() -> Bool {
        var j = i
        while j < text.count, text[j] == "#" { j += 1 }
        return j < text.count && text[j] == "\""
    }

    private mutating func string() {
        var hashes = ""
        while text[i] == "#" {
            hashes += "#"
            keep()
        }
        let quotes = at("\"\"\"") ? "\"\"\"" : "\""
        for _ in quotes { keep() }
        while i < text.count {
            if at(quotes + hashes) {
                for _ in quotes + hashes { keep() }
                return
            }
            if at("\\" + hashes + "(") {
                blank(1 + hashes.count)
                keep()
                run(until: ")")
            } else if at("\\" + hashes) {
                blank(2 + hashes.count)
            } else if quotes == "\"" && text[i] == "\n" {
                return
            } else {
                blank()
            }
        }
    }
}
