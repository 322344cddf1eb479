// A place inside a JSON document, compiled once from its text: `$.outputs[0].data[*]`. A subset of RFC 9535,
// chosen so that one pass over the bytes can match it without memory of what went by: the root, names,
// indices from the front, and the wildcard. No descendants, slices, filters, unions or negative indices.
// Invariant: at most `stepsMax` steps; the names hold decoded UTF-8, as the scanner's names do.

/// A compiled path: the steps from the root to one value, or to several where a step is a wildcard.
public struct JSONPath: Sendable, Hashable, CustomStringConvertible {
    /// One step down.
    public enum Step: Sendable, Hashable {
        /// The member of that name, as UTF-8.
        case member([UInt8])
        /// The element at that place, counted from 0.
        case index(Int)
        /// Every element of an array and every member of an object.
        case every
    }

    /// From the root down; none: the document itself.
    public let steps: [Step]
    /// The text it was compiled from.
    public let description: String

    /// Longest path in steps, and in characters.
    public static let stepsMax = 32
    public static let charactersMax = 1_024

    /// Compiles a path.
    /// - Throws: what is wrong with the text, as a sentence with its place.
    public init(_ text: String) throws(PathProblem) {
        var parser = PathParser(text)
        steps = try parser.steps()
        description = text
    }

    /// Whether it can name more than one value.
    public var isPlural: Bool { steps.contains(.every) }
}

/// Why a text is no path that Weir can follow.
public struct PathProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The text as given.
    public var text: String
    /// Where the trouble starts, in characters, counted from 1.
    public var position: Int
    /// What is wrong there, and what to write.
    public var message: String

    public var description: String { "\"\(text)\", character \(position): \(message)" }
}
