// Where words go: answers to standard output, complaints to standard error.

import ArgumentParser
import Control
import Glibc
import Platform

/// How an answer is written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

/// The two streams.
enum Output {
    /// A line on standard error.
    static func error(_ line: String) { write(line + "\n", to: 2) }

    /// Text on standard output, as it is.
    static func text(_ text: String) { write(text, to: 1) }

    static func json(_ value: JSON) { write(value.pretty + "\n", to: 1) }

    static func exit(_ code: Int32) -> Never { Glibc.exit(code) }

    private static func write(_ text: String, to raw: Int32) {
        // Borrowed: released again, so that the stream stays open.
        let stream = Descriptor(adopting: raw)
        try? File.write(text.utf8, to: stream, path: "standard stream \(raw)")
        _ = stream.release()
    }
}
