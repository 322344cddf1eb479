// Takes the values of parameters that carry credentials out of a query string, or out of a form, before
// anybody keeps it. Names are compared decoded and without case, because servers read `?%54oken=` too; `;`
// separates like `&`, as it still does for some of them.
// Invariant: of a masked parameter nothing is left but its name as it was sent; the rest keeps its bytes.

import Config

/// Masks parameters whose values must not be kept.
struct QueryMask: Sendable {
    private let config: CapturesConfig

    init(_ config: CapturesConfig) { self.config = config }

    /// A request target, a URL or a header's value with one in it, without the masked values of its query and
    /// its fragment, in which tokens are handed on as well.
    func masked(_ target: String) -> String {
        guard let mark = target.utf8.firstIndex(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") })
        else { return target }
        let rest = target.utf8.index(after: mark)
        return target[..<rest] + maskedPairs(target[rest...])
    }

    /// `name=value` pairs, as queries and forms have them, without the masked values. Taken byte by byte:
    /// with a combining mark behind it, `=` is another `Character`.
    func maskedPairs(_ query: Substring) -> String {
        var out = ""
        let bytes = query.utf8
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let end = bytes[start...].firstIndex(where: Self.separates) ?? bytes.endIndex
            let equals = bytes[start..<end].firstIndex(of: UInt8(ascii: "="))
            if let equals, config.masks(parameter: Self.name(query[start..<equals])) {
                out += query[start..<bytes.index(after: equals)] + "***"
            } else {
                out += query[start..<end]
            }
            guard end < bytes.endIndex else { break }
            start = bytes.index(after: end)
            out += query[end..<start]
        }
        return out
    }

    /// A second `?` begins nothing in a URL, but where a header's value holds two of them.
    private static func separates(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "&") || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "#")
            || byte == UInt8(ascii: "?")
    }

    /// A name as a server reads it.
    private static func name(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        let raw = Array(text.utf8)
        var i = 0
        while i < raw.count {
            if raw[i] == UInt8(ascii: "%"), i + 2 < raw.count, let high = digit(raw[i + 1]),
                let low = digit(raw[i + 2])
            {
                bytes.append(high << 4 | low)
                i += 3
            } else {
                bytes.append(raw[i] == UInt8(ascii: "+") ? 0x20 : raw[i])
                i += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
