// The kinds of single values: numbers with bounds, the notations of `Notation`, words out of a set, names,
// paths and header fields. Each says in `expected` what it takes, bounds included. Invariant: a text that is
// accepted has at most 4,096 bytes and can stand in a request as it is (RFC 9110, section 5).

import Platform
import Proxy

extension Kind where Value == String {
    /// Any text that is not empty, up to 4,096 bytes.
    static func text(_ expected: String) -> Kind {
        bytes(expected, where: { $0 != 0 })
    }

    /// A text of which every byte passes a test.
    private static func bytes(
        _ expected: String, max: Int = 4_096, suggestion: @escaping (String) -> String? = { _ in nil },
        where allowed: @escaping (UInt8) -> Bool
    ) -> Kind {
        Kind(expected: expected) { node in
            guard let text = node.text, (1...max).contains(text.utf8.count), text.utf8.allSatisfy(allowed)
            else { return node.mismatch(expected: expected, suggestion: node.text.flatMap(suggestion)) }
            return text
        }
    }

    /// A name that appears in metrics, headers and the journal.
    static var name: Kind {
        bytes("a name of letters, digits and . _ - + : / @, at most 128", max: 128) {
            isAlphanumeric($0) || ".-_+:/@".utf8.contains($0)
        }
    }

    /// A token of RFC 9110, lower-cased: the name of a field.
    static var headerName: Kind {
        bytes("the name of a header", max: 256, where: isTokenByte).map { $0.lowercased() }
    }

    /// A token of RFC 9110 as written: the name of a cookie.
    static var cookieName: Kind { bytes("the name of a cookie", max: 256, where: isTokenByte) }

    /// A field value of RFC 9110: no controls, no space at either end.
    static var headerValue: Kind {
        let expected = "a header value without control characters or spaces around it"
        return Kind(expected: expected) { node in
            guard let text = node.text, let first = text.utf8.first, let last = text.utf8.last,
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 9 }), first > 0x20, last > 0x20,
                text.utf8.count <= 4_096
            else { return node.mismatch(expected: expected) }
            return text
        }
    }

    /// A request method, upper-case.
    static var method: Kind {
        bytes("a method in upper case, such as POST", max: 32, suggestion: { $0.uppercased() }) {
            isTokenByte($0) && !(UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
        }
    }

    /// The path of a request target: starts with a slash, no query, no fragment, no space.
    static var path: Kind {
        let expected = "a path that starts with / and has no ?, # or space"
        return Kind(expected: expected) { node in
            guard let text = node.text, isTarget(text), !text.utf8.contains(UInt8(ascii: "?")) else {
                return node.mismatch(expected: expected, suggestion: node.text.flatMap(pathMeant))
            }
            return text
        }
    }

    /// An origin-form request target: a path, perhaps with a query.
    static var target: Kind {
        let expected = "a path that starts with /, perhaps with a query"
        return Kind(expected: expected) { node in
            guard let text = node.text, isTarget(text) else { return node.mismatch(expected: expected) }
            return text
        }
    }

    /// A host as it stands in Host, lower-cased; `port` says whether `:8080` may follow.
    static func host(port: Bool) -> Kind {
        let expected = port ? "a host, perhaps with :port" : "a host name without port"
        return Kind(expected: expected) { node in
            guard let text = node.text, isHost(text, port: port) else {
                return node.mismatch(expected: expected)
            }
            return text.lowercased()
        }
    }

    /// A host of a match: a name without the dot at its end, which requests may write or leave out.
    static var matchHost: Kind {
        host(port: false).map { $0.count > 1 && $0.hasSuffix(".") ? String($0.dropLast()) : $0 }
    }

    /// A name, or an IPv6 address in brackets.
    private static func isHost(_ text: String, port: Bool) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        var rest = Substring(text)
        if rest.first == "[" {
            guard let close = rest.firstIndex(of: "]") else { return false }
            let address = rest[rest.index(after: rest.startIndex)..<close]
            guard address.contains(":"), IPAddress(String(address)) != nil else { return false }
            rest = rest[rest.index(after: close)...]
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            let name = rest[..<end]
            guard name.utf8.allSatisfy({ isAlphanumeric($0) || ".-_".utf8.contains($0) })
            else { return false }
            // Labels between dots, and a dot at the end if wanted (RFC 1034 section 3.1).
            let labels = (name.hasSuffix(".") ? name.dropLast() : name)
                .split(separator: ".", omittingEmptySubsequences: false)
            guard labels.allSatisfy({ (1...63).contains($0.utf8.count) }) else { return false }
            rest = rest[end...]
        }
        guard let colon = rest.first else { return true }
        let digits = rest.dropFirst()
        return port && colon == ":" && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
            && UInt16(digits) != nil
    }

    /// One of a few words.
    static func word(_ words: [String]) -> Kind {
        let expected = "one of " + words.joined(separator: ", ")
        return Kind(expected: expected) { node in
            guard let text = node.text, words.contains(text) else {
                return node.mismatch(
                    expected: expected, suggestion: node.text.flatMap { Nearest.to($0, among: words) })
            }
            return text
        }
    }

    /// The path without its query, or with the slash that it lacks.
    private static func pathMeant(_ text: String) -> String? {
        let path = text.prefix { $0 != "?" && $0 != "#" }
        let slashed = path.hasPrefix("/") ? String(path) : "/" + path
        return isTarget(slashed) ? slashed : nil
    }

    private static func isTarget(_ text: String) -> Bool {
        text.utf8.first == UInt8(ascii: "/") && text.utf8.count <= 4_096
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "#") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}

extension Kind where Value == Bool {
    static var flag: Kind {
        Kind(expected: "true or false") { node in
            switch node.text {
            case "true": return true
            case "false": return false
            default:
                let meant = [
                    "yes": "true", "on": "true", "True": "true", "TRUE": "true", "1": "true", "no": "false",
                    "off": "false", "False": "false", "FALSE": "false", "0": "false",
                ]
                return node.mismatch(
                    expected: "true or false", suggestion: node.text.flatMap { meant[$0.lowercased()] })
            }
        }
    }
}

extension Kind where Value == Int {
    /// A whole number.
    static func count(_ range: ClosedRange<Int>) -> Kind {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        return Kind(expected: expected) { node in
            guard let text = node.text, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let number = Int(text), range.contains(number)
            else { return node.mismatch(expected: expected) }
            return number
        }
    }

    /// Bytes, as `64KiB`.
    static func size(_ range: ClosedRange<Int>) -> Kind {
        let bounds = "\(Notation.text(bytes: range.lowerBound)) to \(Notation.text(bytes: range.upperBound))"
        let such = examples(
            [("64KiB", 64 << 10), ("1MiB", 1 << 20), ("64MiB", 64 << 20)], in: range, atMost: 2,
            else: Notation.text(bytes: range.lowerBound))
        return notation("a size such as \(such), from \(bounds)", range) {
            (text) throws(Notation.Malformed) in try Notation.size(text)
        }
    }
}

extension Kind where Value == Interval {
    /// A time, as `500ms` or `10s`.
    static func duration(_ range: ClosedRange<Interval>) -> Kind {
        let bounds = "\(Notation.text(range.lowerBound)) to \(Notation.text(range.upperBound))"
        let such = examples(
            [("500ms", .millis(500)), ("10s", .seconds(10)), ("5m", .seconds(300)), ("2h", .seconds(7_200))],
            in: range, atMost: 3, else: Notation.text(range.lowerBound))
        return notation("a duration such as \(such), from \(bounds)", range) {
            (text) throws(Notation.Malformed) in try Notation.duration(text)
        }
    }
}

extension Kind where Value == Interval {
    /// A latency: a bare number is most likely one of milliseconds.
    static func latency(_ range: ClosedRange<Interval>) -> Kind {
        let kind = duration(range)
        return Kind(expected: kind.expected) { node in
            guard let text = node.text, let number = UInt64(text),
                let meant = try? Notation.duration("\(number)ms"), range.contains(meant)
            else { return node.read(kind) }
            return node.mismatch(expected: kind.expected, suggestion: "\(number)ms")
        }
    }
}

extension Kind where Value == UInt32 {
    /// A share in parts per million, as `5%` or `0.1%`.
    static func percentage(_ range: ClosedRange<UInt32> = 0...1_000_000) -> Kind {
        let bounds = "\(Notation.text(ppm: range.lowerBound)) to \(Notation.text(ppm: range.upperBound))"
        let such = examples(
            [("5%", 50_000), ("0.1%", 1_000), ("20%", 200_000), ("100%", 1_000_000)], in: range, atMost: 2,
            else: Notation.text(ppm: range.lowerBound))
        return notation("a percentage such as \(such), from \(bounds)", range) {
            (text) throws(Notation.Malformed) in try Notation.percentage(text)
        }
    }
}

extension Kind where Value: Comparable {
    /// Those of the usual examples that are within bounds, as "10s or 5m".
    fileprivate static func examples(
        _ usual: [(text: String, value: Value)], in range: ClosedRange<Value>, atMost: Int,
        else least: String
    ) -> String {
        let fit = usual.filter { range.contains($0.value) }.prefix(atMost).map(\.text)
        guard let last = fit.last else { return least }
        return fit.count == 1 ? last : fit.dropLast().joined(separator: ", ") + " or " + last
    }

    /// A text in one of the notations, within bounds.
    fileprivate static func notation(
        _ expected: String, _ range: ClosedRange<Value>,
        parse: @escaping (String) throws(Notation.Malformed) -> Value
    ) -> Kind {
        Kind(expected: expected) { node in
            guard let text = node.text else { return node.mismatch(expected: expected) }
            do throws(Notation.Malformed) {
                let value = try parse(text)
                return range.contains(value) ? value : node.mismatch(expected: expected)
            } catch {
                let meant = error.suggestion.flatMap { suggestion in
                    (try? parse(suggestion)).flatMap { range.contains($0) ? suggestion : nil }
                }
                return node.mismatch(expected: expected, suggestion: meant)
            }
        }
    }
}
