// What a row of the tables of refused messages is.
// Place: the corpora are bytes and nothing else, so that every room's tests can send them.
// Invariant: a character of a text is one byte of the message.

/// One message and the only right answer to it.
public struct Hostile: CustomStringConvertible, Sendable {
    public var text: String
    public var status: UInt16
    public var label: String

    public init(_ text: String, _ status: UInt16, _ label: String) {
        self.text = text
        self.status = status
        self.label = label
    }

    public var description: String { "\(label): \(text.debugDescription)" }
}
