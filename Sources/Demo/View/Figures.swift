// Numbers as people read them: grouped, rounded, with their unit. Small and exact instead of Foundation's
// formatters, which Demo does not import.
// Invariant: output depends on the number only, never on a locale.

import Platform

/// Numbers in words.
enum Figures {
    /// `12,043`
    static func grouped(_ number: UInt64) -> String {
        let digits = String(number)
        var out = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { out.append(",") }
            out.append(digit)
        }
        return out
    }

    /// `4.1`, with `decimals` digits after the point, rounded half away from zero.
    static func fixed(_ number: Double, decimals: Int) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = (number * scale).rounded()
        guard scaled.magnitude < 9e15 else { return "∞" }
        let whole = Int64(scaled)
        let unit = Int64(scale)
        let sign = whole < 0 ? "-" : ""
        let integral = String((whole / unit).magnitude)
        guard decimals > 0 else { return sign + integral }
        let rest = String((whole % unit).magnitude)
        return sign + integral + "." + String(repeating: "0", count: decimals - rest.count) + rest
    }

    /// `31.2 %`
    static func percent(_ share: Double) -> String { fixed(share * 100, decimals: 1) + " %" }

    /// `4.1 ms`, `1.20 s`, `850 us`
    static func micros(_ micros: UInt64) -> String {
        if micros < 1_000 { return "\(micros) us" }
        if micros < 1_000_000 { return fixed(Double(micros) / 1e3, decimals: 1) + " ms" }
        return fixed(Double(micros) / 1e6, decimals: 2) + " s"
    }

    /// `12.3 s`
    static func seconds(_ interval: Interval) -> String {
        fixed(Double(interval.nanos) / 1e9, decimals: 1) + " s"
    }

    /// A bar of `width` cells, filled to a share of 0…1; from a thousandth on it shows.
    static func bar(_ share: Double, width: Int) -> String {
        let clamped = min(max(share, 0), 1)
        let filled = clamped < 0.001 ? 0 : max(1, Int((clamped * Double(width)).rounded()))
        return String(repeating: "█", count: filled) + String(repeating: "·", count: width - filled)
    }

    /// Padded on the right, or cut with an ellipsis, to `width` characters.
    static func left(_ text: String, _ width: Int) -> String {
        if text.count > width { return String(text.prefix(max(0, width - 1))) + "…" }
        return text + String(repeating: " ", count: width - text.count)
    }

    /// Padded on the left to `width` characters.
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
