// One thing that is wrong with a config file, told to a person: where it stands, what is there, what was
// expected and what was probably meant. Problems are collected, never thrown, so that one run of
// `weir check` names all of them.

import Payload

/// One thing that is wrong with a config file.
package struct ConfigProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file as it was named.
    package var file: String
    /// From 1; 0 where the problem is the file as a whole.
    package var line: Int
    /// From 1, in Unicode scalars.
    package var column: Int
    /// Where in the document, such as `models[0].versions.v1.endpoints[2]`; empty for the document itself.
    package var path: String
    /// What is wrong, without the value: `unknown key`.
    package var message: String
    /// The value or key as written, where there is one.
    package var value: String?
    /// What would be right.
    package var expected: String?
    /// The nearest known word.
    package var suggestion: String?
    /// How much of the value is shown: a path is of no use in part.
    var valueBytesMax = 80

    package init(
        file: String, line: Int, column: Int, path: String, message: String, value: String? = nil,
        expected: String? = nil, suggestion: String? = nil, valueBytesMax: Int = 80
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
        self.value = value
        self.expected = expected
        self.suggestion = suggestion
        self.valueBytesMax = valueBytesMax
    }

    /// `weir.yaml:12:7: models[0].guardrails[1].kind: unknown value 'eror_rate'; expected error_rate or
    /// latency; did you mean 'error_rate'?`
    package var description: String {
        var text = line > 0 ? "\(file):\(line):\(column): " : "\(file): "
        if !path.isEmpty { text += "\(path): " }
        text += message
        if let value { text += " '\(ForeignText.line(value, bytesMax: valueBytesMax))'" }
        if let expected { text += "; expected \(expected)" }
        if let suggestion { text += "; did you mean '\(suggestion)'?" }
        // Names of keys come from the file as well.
        return ForeignText.line(text)
    }
}

extension ConfigProblem {
    /// A problem of the file as a whole.
    package static func whole(_ file: String, _ message: String) -> ConfigProblem {
        ConfigProblem(
            file: file, line: 0, column: 0, path: "", message: message, value: nil, expected: nil,
            suggestion: nil)
    }
}

extension ConfigProblem: Comparable {
    /// In the order of the file.
    package static func < (a: ConfigProblem, b: ConfigProblem) -> Bool {
        (a.line, a.column, a.path, a.message) < (b.line, b.column, b.path, b.message)
    }
}
