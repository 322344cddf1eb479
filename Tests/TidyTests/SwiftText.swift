// Just enough of Swift's lexical structure for the laws: where comments and string literals are, and where a
// function's body ends. Not a parser: it never needs to know what an identifier means.
// Invariant: `blanked` keeps every newline and the number of bytes, so that places carry over.
// Source: The Swift Programming Language, "Lexical Structure".

enum SwiftText {
    /// Replaces comments and string contents by spaces, newlines kept.
    static func blanked(_ text: String) -> String {
        var scanner = Scanner(Array(text.utf8))
        scanner.run(isInterpolation: false)
        return String(decoding: scanner.out, as: UTF8.self)
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
        let bytes = Array(code.utf8)
        var found: [Function] = []
        var line = 1
        var index = 0
        while index < bytes.count {
            guard isWord(bytes[index]) else {
                if bytes[index] == Byte.newline { line += 1 }
                index += 1
                continue
            }
            let end = wordEnd(bytes, index)
            let isCall = index > 0 && bytes[index - 1] == UInt8(ascii: ".")
            if let keyword = keyword(bytes[index..<end]), !isCall, let body = bodyEnd(bytes, from: end) {
                let name = keyword == "func" ? followingName(bytes, end) : keyword
                let count = bytes[index...body].count { $0 == Byte.newline } + 1
                found.append(Function(name: name, line: line, lineCount: count))
            }
            index = end
        }
        return found
    }

    private static func keyword(_ word: ArraySlice<UInt8>) -> String? {
        guard (4...6).contains(word.count) else { return nil }
        let text = String(decoding: word, as: UTF8.self)
        return ["func", "init", "deinit"].contains(text) ? text : nil
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...: true
        default: false
        }
    }

    private static func wordEnd(_ text: [UInt8], _ start: Int) -> Int {
        var i = start
        while i < text.count, isWord(text[i]) { i += 1 }
        return i
    }

    private static func followingName(_ text: [UInt8], _ start: Int) -> String {
        var i = start
        while i < text.count, text[i] == Byte.space { i += 1 }
        let end = wordEnd(text, i)
        return end > i ? String(decoding: text[i..<end], as: UTF8.self) : "operator"
    }

    /// The index of the brace that closes the body which starts after `start`; nil for a declaration without
    /// body (a protocol's requirement).
    private static func bodyEnd(_ text: [UInt8], from start: Int) -> Int? {
        var parens = 0
        var i = start
        while i < text.count {
            switch text[i] {
            case UInt8(ascii: "("), UInt8(ascii: "["): parens += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                parens -= 1
                if parens < 0 { return nil }
            case UInt8(ascii: "}") where parens == 0: return nil
            case UInt8(ascii: "{") where parens == 0: return matchingBrace(text, i)
            case Byte.newline where parens == 0 && isNextDeclaration(text, i): return nil
            default: break
            }
            i += 1
        }
        return nil
    }

    private static func isNextDeclaration(_ text: [UInt8], _ newline: Int) -> Bool {
        var i = newline
        while i < text.count, text[i] == Byte.newline || text[i] == Byte.space { i += 1 }
        guard i < text.count, isWord(text[i]) || text[i] == UInt8(ascii: "@") else { return false }
        let next = String(decoding: text[i..<wordEnd(text, i)], as: UTF8.self)
        return !["where", "throws", "rethrows"].contains(next)
    }

    private static func matchingBrace(_ text: [UInt8], _ open: Int) -> Int? {
        var depth = 0
        for i in open..<text.count {
            if text[i] == UInt8(ascii: "{") { depth += 1 }
            if text[i] == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return i }
            }
        }
        return nil
    }
}

private enum Byte {
    static let newline = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let quote = UInt8(ascii: "\"")
    static let hash = UInt8(ascii: "#")
    static let slash = UInt8(ascii: "/")
    static let star = UInt8(ascii: "*")
    static let backslash = UInt8(ascii: "\\")
    static let open = UInt8(ascii: "(")
    static let close = UInt8(ascii: ")")
}

/// Walks a text once and writes its blanked copy.
private struct Scanner {
    let text: [UInt8]
    var out: [UInt8] = []
    var i = 0

    init(_ text: [UInt8]) {
        self.text = text
        out.reserveCapacity(text.count)
    }

    private func at(_ first: UInt8, _ second: UInt8) -> Bool {
        text[i] == first && i + 1 < text.count && text[i + 1] == second
    }

    /// Whether `count` equal bytes stand at `start`.
    private func run(of byte: UInt8, _ count: Int, at start: Int) -> Bool {
        start + count <= text.count && text[start..<start + count].allSatisfy { $0 == byte }
    }

    private mutating func keep(_ count: Int = 1) {
        for _ in 0..<count where i < text.count {
            out.append(text[i])
            i += 1
        }
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where i < text.count {
            out.append(text[i] == Byte.newline ? Byte.newline : Byte.space)
            i += 1
        }
    }

    /// Copies code; an interpolation ends behind the parenthesis that closes it.
    mutating func run(isInterpolation: Bool) {
        var parens = 0
        while i < text.count {
            if at(Byte.slash, Byte.slash) {
                while i < text.count, text[i] != Byte.newline { blank() }
            } else if at(Byte.slash, Byte.star) {
                comment()
            } else if text[i] == Byte.quote || (text[i] == Byte.hash && startsRawString()) {
                string()
            } else {
                if text[i] == Byte.open { parens += 1 }
                if text[i] == Byte.close {
                    if isInterpolation, parens == 0 { return keep() }
                    parens -= 1
                }
                keep()
            }
        }
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if at(Byte.slash, Byte.star) {
                depth += 1
                blank(2)
            } else if at(Byte.star, Byte.slash) {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && i < text.count
    }

    private func startsRawString() -> Bool {
        var j = i
        while j < text.count, text[j] == Byte.hash { j += 1 }
        return j < text.count && text[j] == Byte.quote
    }

    private mutating func string() {
        var hashes = 0
        while text[i] == Byte.hash {
            hashes += 1
            keep()
        }
        let quotes = run(of: Byte.quote, 3, at: i) ? 3 : 1
        keep(quotes)
        while i < text.count {
            if run(of: Byte.quote, quotes, at: i), run(of: Byte.hash, hashes, at: i + quotes) {
                return keep(quotes + hashes)
            }
            let isEscape = text[i] == Byte.backslash && run(of: Byte.hash, hashes, at: i + 1)
            let next = i + 1 + hashes
            if isEscape, next < text.count, text[next] == Byte.open {
                blank(1 + hashes)
                keep()
                run(isInterpolation: true)
            } else if isEscape {
                blank(2 + hashes)
            } else if quotes == 1, text[i] == Byte.newline {
                return
            } else {
                blank()
            }
        }
    }
}
