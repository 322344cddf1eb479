// A YAML document as Yams composes it, plus what Yams would not give: a tree for a file with duplicate keys.
// Yams stops at the first mapping that has a key twice, and then nothing else in the file would be looked at.
// So the first of the two is masked (its first letter becomes a private-use character, which moves no column)
// and the text is composed again; `NodeReader` puts the name back and reports the second with both places.

import Yams

/// The tree of one document.
struct YAMLTree {
    let root: Node
    /// Keys that stand earlier in their mapping under the same name.
    let masked: [MaskedKey]

    /// Duplicate keys reported in one run; a file with more is told about the first of the rest only.
    private static let masksMax = 256

    init(_ text: String, file: String) throws(ConfigProblem) {
        var lines = YAMLTree.lines(of: text)
        var masked: [MaskedKey] = []
        while true {
            var composed = String(String.UnicodeScalarView(lines.joined()))
            // libYAML keeps a pointer into the text, so it must not be one of Swift's inline small strings.
            if composed.utf8.count < 16 { composed += String(repeating: " ", count: 16) }
            composed.makeContiguousUTF8()
            do {
                guard let root = try Yams.compose(yaml: composed, .default, .default, .utf8) else {
                    throw YAMLTree.problem(file, 1, 1, "the file is empty", expected: "a config")
                }
                self.root = root
                self.masked = masked
                return
            } catch let YamlError.duplicatedKeysInMapping(names, context) {
                let index = masked.count
                guard index < YAMLTree.masksMax,
                    let key = YAMLTree.mask(context.mark, in: &lines, with: index)
                else {
                    let mark = context.mark
                    throw YAMLTree.problem(
                        file, mark.line, mark.column, "duplicate key",
                        value: names.sorted().first, expected: "it once")
                }
                masked.append(key)
            } catch {
                throw YAMLTree.problem(file, error)
            }
        }
    }

    /// The scalars of each line, line break included; breaks as libYAML counts them.
    private static func lines(of text: String) -> [[Unicode.Scalar]] {
        var lines: [[Unicode.Scalar]] = [[]]
        var last: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            // A byte order mark is no character of the first line.
            if scalar == "\u{FEFF}", last == nil { continue }
            if scalar == "\n", last == "\r" {
                lines[lines.count - 2].append(scalar)
            } else {
                lines[lines.count - 1].append(scalar)
                if ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains(scalar) { lines.append([]) }
            }
            last = scalar
        }
        return lines
    }

    /// Replaces the first letter of the key at `mark`; nil for a key that does not start with a letter there.
    private static func mask(_ mark: Mark, in lines: inout [[Unicode.Scalar]], with index: Int) -> MaskedKey?
    {
        guard lines.indices.contains(mark.line - 1) else { return nil }
        var column = mark.column - 1
        let line = lines[mark.line - 1]
        guard line.indices.contains(column) else { return nil }
        let quote: Unicode.Scalar? = line[column] == "\"" || line[column] == "'" ? line[column] : nil
        if quote != nil { column += 1 }
        let name = line[min(column, line.count)...].prefix { scalar in
            quote.map { scalar != $0 } ?? (scalar != ":" && scalar != "," && scalar != "}")
        }
        guard let first = name.first, first.properties.isAlphabetic || first.properties.numericType != nil,
            !name.contains("\\"), let cover = Unicode.Scalar(UInt32(0xE000 + index))
        else { return nil }
        lines[mark.line - 1][column] = cover
        let text = String(String.UnicodeScalarView(name))
        return MaskedKey(line: mark.line, column: mark.column, text: text)
    }

    private static func problem(
        _ file: String, _ line: Int, _ column: Int, _ message: String, value: String? = nil,
        expected: String? = nil
    ) -> ConfigProblem {
        ConfigProblem(
            file: file, line: line, column: column, path: "", message: message, value: value,
            expected: expected, suggestion: nil)
    }

    /// What Yams says, with its place.
    private static func problem(_ file: String, _ error: any Error) -> ConfigProblem {
        switch error {
        case let own as ConfigProblem: own
        case YamlError.scanner(let context, let message, let mark, let text),
            YamlError.parser(let context, let message, let mark, let text),
            YamlError.composer(let context, let message, let mark, let text):
            // The end of the file counts as a line of its own.
            problem(
                file, min(mark.line, lines(of: text).count), mark.column,
                "not valid YAML: \(context.map { prelude($0, mark) } ?? "")\(message)",
                expected: hint(mark, text))
        case YamlError.reader(let message, _, _, _): problem(file, 0, 0, "not valid YAML: \(message)")
        default: problem(file, 0, 0, "not valid YAML: \(error)")
        }
    }

    /// What libYAML was doing, with the place where it began unless that is the place of the problem.
    private static func prelude(_ context: YamlError.Context, _ mark: Mark) -> String {
        context.mark.line == mark.line
            ? "\(context.text), " : "\(context.text) that starts in line \(context.mark.line), "
    }

    /// What usually helps at a character that YAML does not take.
    private static func hint(_ mark: Mark, _ text: String) -> String? {
        let lines = lines(of: text)
        guard lines.indices.contains(mark.line - 1), lines[mark.line - 1].indices.contains(mark.column - 1)
        else { return nil }
        switch lines[mark.line - 1][mark.column - 1] {
        case "\t": return "spaces; YAML does not take tabs for indentation"
        case "%", "@", "`": return "the value in quotes, because this character means something to YAML"
        case ":" where lines[mark.line - 1].contains("["): return "an IPv6 address in quotes, as \"[::1]:80\""
        default: return nil
        }
    }
}
