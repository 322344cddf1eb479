// What a path led to in one document, and how the document ended. The difference that matters: `absent` is a
// fact about a whole document, `unknown` says that the document was not seen whole. Evidence is made of facts
// only, so a reader must never turn the second into the first.

/// What stands at a path.
public enum Finding: Sendable, Hashable {
    /// A whole document has nothing there.
    case absent
    /// The document was cut off, or is no JSON, before anything was found there.
    case unknown
    case null
    case bool(Bool)
    /// Always finite.
    case number(Double)
    /// A number that no double can hold, or of more than `ValueReader.numberBytesMax` characters.
    case unreadableNumber
    /// A string; `ValueReader.text` has its content.
    case text
    /// A string longer than the reader keeps.
    case longText
    /// An object or an array.
    case container
}

/// How a document ended.
public enum BodyReading: Sendable, Equatable {
    /// A whole document, and nothing behind it.
    case whole
    /// Bytes are missing at its end, and what there is could be the beginning of a document.
    case truncated
    /// No JSON, whatever might follow.
    case malformed(ScanProblem)
}
