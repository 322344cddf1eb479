// What a scan tells, in the order of the bytes. Sinks are generic parameters, never existentials, so that a
// scan is one specialised loop. A scan that ends refused or unfinished has told a prefix of the document.
// Invariant: every `begin` of a container has at most one `end`, properly nested; names come only inside
// objects, directly before their value.

/// What a JSON value is.
enum JSONKind: UInt8, Sendable {
    case object, array, string, number, `true`, `false`, null
}

/// Takes what a `JSONScanner` finds.
protocol JSONSink {
    /// A value begins with the byte at `offset`.
    mutating func begin(_ kind: JSONKind, at offset: Int)
    /// The value ended before the byte at `offset`.
    mutating func end(_ kind: JSONKind, at offset: Int)
    /// One byte of a string's content, escapes decoded, or of a number's text.
    mutating func text(_ byte: UInt8)
    mutating func beginName()
    /// One byte of a member's name, escapes decoded.
    mutating func nameByte(_ byte: UInt8)
    mutating func endName()
}

/// Why bytes are not JSON.
public struct ScanProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// Offset of the byte that does not fit, counted from the start of the document.
    public var offset: Int
    /// What could have stood there.
    public var expected: String

    public var description: String { "not JSON at byte \(offset): expected \(expected)" }
}
