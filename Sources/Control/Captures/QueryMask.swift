// Takes the values of named parameters out of a query string before anybody keeps it. Names are compared
// decoded and without case, because servers read `?%54oken=` too; `;` separates like `&`, as it still does
// for some of them.
// Invariant: of a masked parameter nothing is left but its name as it was sent; the rest keeps its bytes.

/// The parameters whose values must not be kept.
struct QueryMask: Sendable {
    /// Lower-case, decoded.
    let names: Set<String>
    /// Headers whose values are targets with a query of their own, lower-case.
    static let headers: Set<String> = [
        "referer", "location", "content-location", "x-original-url", "x-original-uri", "x-forwarded-uri",
        "x-rewrite-url",
    ]

    /// A request target or URL without its masked values.
    func masked(_ target: String) -> String {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return target }
        let query = target[target.index(after: mark)...]
        var out = String(target[...mark])
        var start = query.startIndex
        while start < query.endIndex {
            let end = query[start...].firstIndex { $0 == "&" || $0 == ";" || $0 == "#" } ?? query.endIndex
            let pair = query[start..<end]
            if let equals = pair.firstIndex(of: "="), names.contains(Self.name(pair[..<equals])) {
                out += pair[...equals] + "***"
            } else {
                out += pair
            }
            guard end < query.endIndex else { break }
            out.append(query[end])
            start = query.index(after: end)
        }
        return out
    }

    /// A name as a server reads it, in lower case.
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
        return String(decoding: bytes, as: UTF8.self).lowercased()
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
