// Which text a scraper gets: Prometheus 0.0.4 or OpenMetrics 1.0, chosen by its Accept header.
// Source: RFC 9110, section 12.5.1 (the most specific range that matches a type sets its quality);
// prometheus.io "Exposition formats"; OpenMetrics 1.0, "Protocol negotiation".

/// The two text formats and the choice between them.
public enum Exposition {
    /// A text format.
    public enum Format: Sendable, Hashable, CaseIterable {
        case prometheusText
        case openMetrics

        /// The exact value of the Content-Type header, without which Prometheus 3 refuses a scrape.
        public var contentType: String {
            switch self {
            case .prometheusText: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    /// The format to answer with.
    ///
    /// OpenMetrics when its quality is higher than plain text's, or equal and the header names it by its full
    /// type; plain text otherwise, also for a header that accepts neither: a page that can be read is worth
    /// more to an operator than a 406.
    ///
    /// - Parameter accept: the value of the Accept header (several joined by commas); nil when there is none.
    public static func format(accept: String?) -> Format {
        guard let accept else { return .prometheusText }
        var openMetrics = Preference()
        var text = Preference()
        for item in accept.utf8.split(separator: UInt8(ascii: ",")) {
            guard let range = MediaRange(item) else { continue }
            openMetrics.consider(range, type: "application", subtype: "openmetrics-text", version: "1.0.0")
            text.consider(range, type: "text", subtype: "plain", version: "0.0.4")
        }
        if openMetrics.quality > text.quality { return .openMetrics }
        let isNamed = openMetrics.specificity == Preference.exact && openMetrics.quality > 0
        return isNamed && openMetrics.quality == text.quality ? .openMetrics : .prometheusText
    }

    /// The quality of one type: that of the most specific range that matched, the best of several equally
    /// specific ones.
    private struct Preference {
        static let exact = 3
        var specificity = 0
        /// Thousandths.
        var quality = 0

        mutating func consider(_ range: MediaRange, type: String, subtype: String, version: String) {
            let match: Int
            if range.type == type && range.subtype == subtype {
                guard range.version == nil || range.version == version else { return }
                match = Self.exact
            } else if range.type == type && range.subtype == "*" {
                match = 2
            } else if range.type == "*" && range.subtype == "*" {
                match = 1
            } else {
                return
            }
            if match > specificity {
                specificity = match
                quality = range.quality
            } else if match == specificity {
                quality = max(quality, range.quality)
            }
        }
    }

    /// One element of an Accept header.
    private struct MediaRange {
        var type: String
        var subtype: String
        var version: String?
        /// Thousandths, 0...1,000.
        var quality = 1_000

        /// Nil when it is not a media range; a quality that is not a number makes it none as well.
        init?(_ item: Substring.UTF8View) {
            let parts = item.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
            guard let range = parts.first else { return nil }
            let names = range.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            guard names.count == 2 else { return nil }
            type = word(names[0]).lowercased()
            subtype = word(names[1]).lowercased()
            guard !type.isEmpty, !subtype.isEmpty else { return nil }
            for parameter in parts.dropFirst() {
                let pair = parameter.split(
                    separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                guard pair.count == 2 else { continue }
                switch word(pair[0]).lowercased() {
                case "version": version = unquoted(word(pair[1]))
                case "q":
                    guard let thousandths = MediaRange.thousandths(word(pair[1])) else { return nil }
                    quality = thousandths
                default: continue
                }
            }
        }

        /// `0`, `1`, `0.25`: at most three digits after the point, at most 1.
        private static func thousandths(_ text: String) -> Int? {
            let digits = Array(text.utf8)
            guard let first = digits.first, first == 0x30 || first == 0x31, digits.count <= 5 else {
                return nil
            }
            var value = Int(first - 0x30) * 1_000
            guard digits.count > 1 else { return value }
            guard digits[1] == UInt8(ascii: ".") else { return nil }
            var place = 100
            for digit in digits[2...] {
                guard (0x30...0x39).contains(digit) else { return nil }
                value += Int(digit - 0x30) * place
                place /= 10
            }
            return value <= 1_000 ? value : nil
        }
    }

    /// The text without the white space around it.
    private static func word(_ text: Substring.UTF8View) -> String {
        var text = text
        while let first = text.first, first == 0x20 || first == 0x09 { text.removeFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count >= 2, text.first == "\"", text.last == "\"" else { return text }
        return String(text.dropFirst().dropLast())
    }
}
