// Numbers in words, for people: readings, cuts and the journal. Plain ASCII, a point for decimals, a comma
// for thousands. Written by hand, because every reading has a sentence at every tick and Foundation's
// formatters do not belong below control.

/// Formats what sentences are made of.
enum Sentence {
    /// "1,234,567"
    static func count(_ n: Int) -> String {
        n.magnitude < 1000 ? String(n) : grouped(n)
    }

    /// Digits from the back, a comma after every third.
    private static func grouped(_ n: Int) -> String {
        String(unsafeUninitializedCapacity: 28) { buffer in
            var at = 28
            var (rest, digits) = (n.magnitude, 0)
            repeat {
                if digits > 0, digits % 3 == 0 {
                    at -= 1
                    buffer[at] = UInt8(ascii: ",")
                }
                at -= 1
                buffer[at] = UInt8(ascii: "0") + UInt8(rest % 10)
                (rest, digits) = (rest / 10, digits + 1)
            } while rest > 0
            if n < 0 {
                at -= 1
                buffer[at] = UInt8(ascii: "-")
            }
            // At most 19 digits, 6 commas and a sign: never below 2.
            for i in at..<28 { buffer[i - at] = buffer[i] }
            return 28 - at
        }
    }

    /// `value` with `places` decimals; finite and below 1e15.
    static func fixed(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard scaled < 1e15 else { return "\(value)" }
        let (whole, rest) = Int(scaled).quotientAndRemainder(dividingBy: Int(scale))
        let sign = value < 0 ? "-" : ""
        guard places > 0 else { return sign + String(whole) }
        let fraction = String(rest)
        if fraction.utf8.count == places { return "\(sign)\(whole).\(fraction)" }
        let zeros = String(repeating: "0", count: places - fraction.utf8.count)
        return "\(sign)\(whole).\(zeros)\(fraction)"
    }

    /// A rate 0...1 as "12.0 %", with more decimals below a tenth of a percent.
    static func percent(_ rate: Double) -> String {
        let percent = rate * 100
        let places = percent == 0 || percent >= 0.1 ? 1 : percent >= 0.01 ? 2 : 3
        return fixed(percent, places: places) + " %"
    }

    /// "850 us", "12.5 ms", "3.20 s"
    static func time(micros: Double) -> String {
        if micros < 1000 { return fixed(micros, places: 0) + " us" }
        if micros < 1_000_000 { return fixed(micros / 1000, places: 1) + " ms" }
        return fixed(micros / 1_000_000, places: 2) + " s"
    }

    /// "30 s", "5 m", "0.5 s"
    static func time(ticks: Int) -> String {
        if ticks >= 600, ticks % 600 == 0 { return "\(ticks / 600) m" }
        return ticks % 10 == 0 ? "\(ticks / 10) s" : fixed(Double(ticks) / 10, places: 1) + " s"
    }

    /// "45 s", "10 m", "1 h 30 m", "3 d": the two largest units, rounded up to a second.
    static func duration(micros: UInt64) -> String {
        let seconds = micros / 1_000_000 + (micros % 1_000_000 > 0 ? 1 : 0)
        let units: [(size: UInt64, name: String)] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
        for (i, unit) in units.enumerated() where seconds >= unit.size {
            let whole = "\(seconds / unit.size) \(unit.name)"
            guard i + 1 < units.count else { return whole }
            let rest = seconds % unit.size / units[i + 1].size
            return rest > 0 ? "\(whole) \(rest) \(units[i + 1].name)" : whole
        }
        return "0 s"
    }

    /// "p99", "p99.9"
    static func quantile(_ q: Double) -> String {
        let percent = q * 100
        let tenths = (percent * 1000).rounded() / 1000
        return tenths == tenths.rounded() ? "p\(Int(tenths))" : "p\(tenths)"
    }

    /// "1.5x"
    static func ratio(_ ratio: Double) -> String {
        let hundredths = (ratio * 100).rounded() / 100
        return hundredths == hundredths.rounded() ? "\(Int(hundredths))x" : "\(hundredths)x"
    }

    /// A number with about four digits that mean something: "0.0213", "1.62", "12,400".
    static func value(_ value: Double) -> String {
        let size = value.magnitude
        if size >= 1000 { return size < 1e15 ? count(Int(value.rounded())) : "\(value)" }
        var (places, least) = (1, 100.0)
        while size < least, places < 6, size > 0 { (places, least) = (places + 1, least / 10) }
        var text = fixed(value, places: places)
        while text.hasSuffix("0") { text.removeLast() }
        return text.hasSuffix(".") ? String(text.dropLast()) : text
    }

    /// "12.0 % of 250"; "none of 0" without requests.
    static func share(_ events: Int, of requests: Int) -> String {
        guard requests > 0 else { return "none of 0" }
        return "\(percent(Double(events) / Double(requests))) of \(count(requests))"
    }
}
