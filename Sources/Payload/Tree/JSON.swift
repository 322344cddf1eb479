// A JSON value with ordered members, and its writer. The journal, the status page and the admin API speak
// JSON whose member order is part of how a person reads it, so objects are lists, not dictionaries.
// Invariant: `text` is always valid JSON on one line (RFC 8259), and safe to print: what does not show itself
// is escaped (`ForeignText`). A double that is not finite is null.

/// One JSON value. Objects keep the order of their members.
public enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([Member])

    /// One name and value of an object.
    public struct Member: Sendable, Hashable {
        public var name: String
        public var value: JSON

        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// The first member of that name; nil when there is none or this is no object.
    public subscript(_ name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The element at `index`; nil when there is none or this is no array.
    public subscript(_ index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The string as a part of one line for a person: escaped and bounded by `ForeignText`. What a page, a
    /// log line or a sentence shows of a value is this; `string` is for comparing and for other values.
    public var line: String? { string.map { ForeignText.line($0) } }

    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    public var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .null, .bool, .string, .array, .object: nil
        }
    }

    public var elements: [JSON] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }

    public var members: [Member] {
        guard case .object(let members) = self else { return [] }
        return members
    }

    /// An unsigned integer; above Int64.max it is written as a number and loses its last digits.
    public static func count(_ value: UInt64) -> JSON {
        Int64(exactly: value).map(JSON.integer) ?? .number(Double(value))
    }

    /// A string, or null.
    public static func optional(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
}

extension JSON: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral
{
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
}

extension JSON: CustomStringConvertible {
    /// The value on one line, without spaces.
    public var text: String {
        var out = ""
        write(to: &out, indent: nil, depth: 0)
        return out
    }

    /// The value over several lines, two spaces per level.
    public var pretty: String {
        var out = ""
        write(to: &out, indent: 2, depth: 0)
        return out
    }

    public var description: String { text }

    private func write(to out: inout String, indent: Int?, depth: Int) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .integer(let value): out += String(value)
        case .number(let value): out += Self.text(of: value)
        case .string(let value): ForeignText.quote(value, to: &out)
        case .array(let elements):
            Self.group("[", "]", elements, to: &out, indent: indent, depth: depth) { element, out in
                element.write(to: &out, indent: indent, depth: depth + 1)
            }
        case .object(let members):
            Self.group("{", "}", members, to: &out, indent: indent, depth: depth) { member, out in
                ForeignText.quote(member.name, to: &out)
                out += indent == nil ? ":" : ": "
                member.value.write(to: &out, indent: indent, depth: depth + 1)
            }
        }
    }

    private static func group<T>(
        _ open: String, _ close: String, _ items: [T], to out: inout String, indent: Int?, depth: Int,
        _ body: (T, inout String) -> Void
    ) {
        out += open
        for (i, item) in items.enumerated() {
            if i > 0 { out += "," }
            if let indent { out += "\n" + String(repeating: " ", count: indent * (depth + 1)) }
            body(item, &out)
        }
        if let indent, !items.isEmpty { out += "\n" + String(repeating: " ", count: indent * depth) }
        out += close
    }

    /// Shortest digits that read back as the same double; whole numbers without ".0".
    private static func text(of value: Double) -> String {
        guard value.isFinite else { return "null" }
        let text = String(value)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
