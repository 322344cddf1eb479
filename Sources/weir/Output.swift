// Where words go: answers to standard output, complaints to standard error.
// Place: what every verb of the command line writes through.
// Invariant: in JSON mode standard output holds one value and nothing else.

import ArgumentParser
import Control
import Payload
import Sidecar

/// How an answer is written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

/// The two streams.
enum Output {
    /// A line on standard error.
    static func error(_ line: String) { Console.complain(line) }

    /// Text on standard output, as it is.
    static func text(_ text: String) { Console.write(text) }

    static func json(_ value: JSON) { Console.write(value.pretty + "\n") }
}
