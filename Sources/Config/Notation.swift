// How a config writes times, shares and sizes: `500ms`, `5%`, `64KiB`. Whole numbers with a unit, so that
// parsing and printing are exact inverses and no value means two things. A value without its unit is refused
// with the value that was probably meant.

import Platform

/// Parsing and printing of durations, percentages and sizes as configs and command lines write them.
package enum Notation {
    /// Why a text is not in the notation: nil, or the text that was probably meant.
    package struct Malformed: Error, Hashable, Sendable {
        package var suggestion: String?
    }

    private static let durationUnits: [(name: String, nanos: UInt64)] = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000),
        ("us", 1_000),
    ]
    /// Read, never printed: 24 hours, whatever the clocks of the place do.
    private static let day: (name: String, nanos: UInt64) = ("d", 86_400_000_000_000)
    private static let sizeUnits: [(name: String, bytes: Int)] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    /// `500ms`, `10s`, `5m`, `1h`, `7d`, `20us`: a whole number and a unit. `0s` is zero.
    package static func duration(_ text: String) throws(Malformed) -> Interval {
        let (digits, unit) = split(text)
        guard let count = UInt64(digits),
            let scale = ([day] + durationUnits).first(where: { $0.name == unit })
        else {
            throw Malformed(suggestion: durationMeant(digits, unit))
        }
        let (nanos, overflow) = count.multipliedReportingOverflow(by: scale.nanos)
        if overflow { throw Malformed() }
        return Interval(nanos: nanos)
    }

    /// The inverse of `duration(_:)`, in the largest unit that is exact. Below a microsecond it rounds down.
    package static func text(_ interval: Interval) -> String {
        if interval.nanos < 1_000 { return "0s" }
        for unit in durationUnits where interval.nanos.isMultiple(of: unit.nanos) {
            return "\(interval.nanos / unit.nanos)\(unit.name)"
        }
        return "\(interval.micros)us"
    }

    /// `5%`, `0.1%`, `0.0001%`: parts per million of 100 %; at most four decimals.
    package static func percentage(_ text: String) throws(Malformed) -> UInt32 {
        let (number, unit) = split(text)
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard unit == "%", (1...2).contains(parts.count), let whole = UInt32(parts[0]) else {
            throw Malformed(suggestion: unit.isEmpty ? percentageMeant(number) : nil)
        }
        var ppm = whole.multipliedReportingOverflow(by: 10_000)
        if parts.count == 2 {
            guard (1...4).contains(parts[1].count), let fraction = UInt32(parts[1]) else { throw Malformed() }
            let scale: UInt32 = [1_000, 100, 10, 1][parts[1].count - 1]
            let sum = ppm.partialValue.addingReportingOverflow(fraction * scale)
            ppm = (sum.partialValue, ppm.overflow || sum.overflow)
        }
        if ppm.overflow { throw Malformed() }
        return ppm.partialValue
    }

    /// The inverse of `percentage(_:)`.
    package static func text(ppm: UInt32) -> String {
        var fraction = String(ppm % 10_000 + 10_000).dropFirst()
        while fraction.last == "0" { fraction.removeLast() }
        return fraction.isEmpty ? "\(ppm / 10_000)%" : "\(ppm / 10_000).\(fraction)%"
    }

    /// `1MiB`, `64KiB`, `2GiB`, `512B`: a whole number and a binary unit.
    package static func size(_ text: String) throws(Malformed) -> Int {
        let (digits, unit) = split(text)
        guard let count = Int(digits), let scale = sizeUnits.first(where: { $0.name == unit }) else {
            throw Malformed(suggestion: sizeMeant(digits, unit))
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: scale.bytes)
        if overflow { throw Malformed() }
        return bytes
    }

    /// The inverse of `size(_:)`, in the largest unit that is exact.
    package static func text(bytes: Int) -> String {
        for unit in sizeUnits where bytes > 0 && bytes.isMultiple(of: unit.bytes) {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "\(bytes)B"
    }

    /// The leading digits and points of a text, and the rest.
    private static func split(_ text: String) -> (number: String, unit: String) {
        let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        return (String(number), String(text.dropFirst(number.count)))
    }

    /// A bare number below 1 is a share, as programs write it; from 1 on it lacks its sign.
    private static func percentageMeant(_ number: String) -> String? {
        guard let value = Double(number) else { return nil }
        guard value > 0, value < 1 else { return number + "%" }
        let ppm = (value * 1_000_000).rounded()
        return ppm < 1 ? nil : text(ppm: UInt32(ppm))
    }

    private static func durationMeant(_ number: String, _ unit: String) -> String? {
        if ["day", "days"].contains(unit), let days = UInt64(number) { return "\(days)d" }
        let words = [
            "": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m",
            "minute": "m", "minutes": "m", "hour": "h", "hours": "h", "hr": "h", "msec": "ms",
            "millis": "ms", "usec": "us", "µs": "us", "S": "s", "M": "m", "H": "h", "MS": "ms",
        ]
        let spelled = unit.drop { $0 == " " }
        let name = words[String(spelled)] ?? String(spelled)
        guard let scale = durationUnits.first(where: { $0.name == name }) else { return nil }
        if let count = UInt64(number) { return "\(count)\(name)" }
        // 1.5s is 1500ms.
        guard let value = Double(number), value > 0, value < 1e6 else { return nil }
        let micros = (value * Double(scale.nanos) / 1_000).rounded()
        return micros < 1 ? nil : Notation.text(.micros(UInt64(micros)))
    }

    private static func sizeMeant(_ number: String, _ unit: String) -> String? {
        let words = ["": "B", "b": "B", "k": "KiB", "m": "MiB", "g": "GiB"]
        let spelled = unit.drop { $0 == " " }.lowercased()
        let first = spelled.isEmpty ? "" : String(spelled.prefix(1))
        guard let count = Int(number), let name = words[first], spelled.count <= 3 else { return nil }
        return "\(count)\(name)"
    }
}
