// From the text of a path to its steps. What RFC 9535 knows and Weir does not (negative indices, slices,
// filters, descendants, unions) is refused by name, so that nobody searches for a typing error.
// Invariant: any text gives steps or a `PathProblem`, never a trap.
// Source: RFC 9535, sections 2.1 to 2.5 and the ABNF of appendix A.

struct PathParser {
    private let text: String
    private let scalars: [Unicode.Scalar]
    private var at = 0

    init(_ text: String) {
        self.text = text
        scalars = Array(text.unicodeScalars.prefix(JSONPath.charactersMax + 1))
    }

    /// The whole text as steps.
    mutating func steps() throws(PathProblem) -> [JSONPath.Step] {
        guard scalars.count <= JSONPath.charactersMax else {
            at = JSONPath.charactersMax
            throw problem("a path has at most \(JSONPath.charactersMax) characters")
        }
        guard take("$") else { throw problem("a path starts with $, as in $.outputs[0].data[0]") }
        var steps: [JSONPath.Step] = []
        while let next {
            guard steps.count < JSONPath.stepsMax else {
                throw problem("a path has at most \(JSONPath.stepsMax) steps")
            }
            switch next {
            case ".": steps.append(try dotted())
            case "[": steps.append(try bracketed())
            default: throw problem("expected .name, [index] or the end")
            }
        }
        return steps
    }

    private var next: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        at += 1
        return true
    }

    private func problem(_ message: String, at place: Int? = nil) -> PathProblem {
        PathProblem(text: text, position: (place ?? at) + 1, message: message)
    }

    // MARK: .name and .*

    private mutating func dotted() throws(PathProblem) -> JSONPath.Step {
        at += 1
        if take("*") { return .every }
        if next == "." { throw problem("descendants (..) are not followed: name every step") }
        let from = at
        while let scalar = next, isNameScalar(scalar, isFirst: at == from) { at += 1 }
        let name = text(from..<at)
        guard at > from else {
            throw problem("expected a name of letters, digits and _; others are written ['like this']")
        }
        if let next, next != ".", next != "[" {
            throw problem("\(quoted(next)) in a name: write the step as ['\(name)\(next)...']")
        }
        return .member(Array(name.utf8))
    }

    private func isNameScalar(_ scalar: Unicode.Scalar, isFirst: Bool) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "_": true
        case "0"..."9": !isFirst
        default: scalar.value >= 0x80
        }
    }

    // MARK: [selector]

    private mutating func bracketed() throws(PathProblem) -> JSONPath.Step {
        at += 1
        skipBlanks()
        let step: JSONPath.Step
        switch next {
        case "'", "\"": step = .member(try quotedName())
        case "*":
            at += 1
            step = .every
        case .some("0"..."9"): step = .index(try index())
        case "-": throw problem("negative indices are not followed: count from the front, as in [0]")
        case ":": throw problem("slices are not followed: one index, or [*] for every element")
        case "?": throw problem("filters are not followed: one index, or [*] for every element")
        default: throw problem("expected an index, * or a 'quoted name'")
        }
        skipBlanks()
        if next == "," { throw problem("one selector per step: write a path for each") }
        if next == ":" { throw problem("slices are not followed: one index, or [*] for every element") }
        guard take("]") else { throw problem("expected ]") }
        return step
    }

    private mutating func skipBlanks() {
        while let scalar = next, [" ", "\t", "\n", "\r"].contains(scalar) { at += 1 }
    }

    private mutating func index() throws(PathProblem) -> Int {
        let from = at
        while let scalar = next, ("0"..."9").contains(scalar) { at += 1 }
        let digits = text(from..<at)
        if digits.utf8.count > 1, digits.utf8.first == 0x30 {
            throw problem("an index has no leading zero", at: from)
        }
        guard let value = Int(digits), value < 1 << 53 else {
            throw problem("an index is less than 2^53", at: from)
        }
        return value
    }

    private mutating func quotedName() throws(PathProblem) -> [UInt8] {
        let from = at
        let quote = scalars[at]
        at += 1
        var name = ""
        while let scalar = next {
            if scalar.value < 0x20 { throw problem("a control character in a name: write it as \\u00XX") }
            at += 1
            if scalar == quote { return Array(name.utf8) }
            name.unicodeScalars.append(scalar == "\\" ? try escaped(quote) : scalar)
        }
        throw problem("the name has no closing quote", at: from)
    }

    private mutating func escaped(_ quote: Unicode.Scalar) throws(PathProblem) -> Unicode.Scalar {
        let from = at - 1
        guard let scalar = next else { throw problem("the name has no closing quote", at: from) }
        at += 1
        switch scalar {
        case "b": return "\u{8}"
        case "f": return "\u{C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "/", "\\", quote: return scalar
        case "u":
            let high = try hex4(from)
            if let scalar = Unicode.Scalar(high) { return scalar }
            guard high < 0xDC00, take("\\"), take("u") else {
                throw problem("half of a surrogate pair", at: from)
            }
            let low = try hex4(from)
            guard (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
            else { throw problem("half of a surrogate pair", at: from) }
            return scalar
        default: throw problem("unknown escape \\\(scalar)", at: from)
        }
    }

    private mutating func hex4(_ from: Int) throws(PathProblem) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let scalar = next, scalar.isASCII, let digit = Character(scalar).hexDigitValue else {
                throw problem("\\u needs four hexadecimal digits", at: from)
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    private func text(_ range: Range<Int>) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[range])
        return text
    }

    private func quoted(_ scalar: Unicode.Scalar) -> String {
        scalar.value < 0x20 || scalar.value == 0x7F ? "a control character" : "'\(scalar)'"
    }
}
