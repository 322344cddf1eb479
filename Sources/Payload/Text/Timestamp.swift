// Wall-clock instants as people and log pipelines write them: RFC 3339 in UTC with microseconds. Days to
// dates by the civil-calendar algorithm (Howard Hinnant, "chrono-compatible low-level date algorithms"),
// so no time zone database and no locale can change what a journal says.

/// RFC 3339 text of a wall-clock instant.
public enum Timestamp {
    /// - Parameter wallMicros: microseconds since 1970-01-01T00:00:00Z.
    public static func text(wallMicros: UInt64) -> String {
        let seconds = wallMicros / 1_000_000
        let (year, month, day) = date(daysSince1970: Int(seconds / 86_400))
        let ofDay = Int(seconds % 86_400)
        return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T" + pad(ofDay / 3_600, 2) + ":"
            + pad(ofDay / 60 % 60, 2) + ":" + pad(ofDay % 60, 2) + "." + pad(Int(wallMicros % 1_000_000), 6)
            + "Z"
    }

    /// The civil date of a day, in UTC.
    public static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Reads `2026-12-01T12:00:00Z`, with any fraction of a second and any offset; from 1970 on.
    /// - Returns: microseconds since 1970-01-01T00:00:00Z; nil for anything else. Source: RFC 3339.
    public static func wallMicros(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: "t"),
            let days = days(bytes[..<10]), let seconds = seconds(bytes[11..<19])
        else { return nil }
        var rest = bytes[19...]
        var micros = 0
        if rest.first == UInt8(ascii: ".") {
            let digits = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
            guard !digits.isEmpty else { return nil }
            let six = Array(digits.prefix(6)) + Array(repeating: 0x30, count: max(0, 6 - digits.count))
            micros = number(six[...]) ?? 0
            rest = rest.dropFirst(digits.count + 1)
        }
        guard let offset = offset(rest) else { return nil }
        let total = days * 86_400 + seconds - offset
        return total < 0 ? nil : UInt64(total) * 1_000_000 + UInt64(micros)
    }

    /// `2026-12-23` as days since 1970-01-01, the inverse of `date(daysSince1970:)`; nil for no such day.
    public static func days(_ text: ArraySlice<UInt8>) -> Int? {
        let parts = text.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.map(\.count) == [4, 2, 2], let year = number(parts[0]), let month = number(parts[1]),
            let day = number(parts[2]), year >= 1970, (1...12).contains(month), day >= 1
        else { return nil }
        let y = month <= 2 ? year - 1 : year
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let ofEra = y % 400 * 365 + y % 400 / 4 - y % 400 / 100 + ofYear
        let days = y / 400 * 146_097 + ofEra - 719_468
        // The 31st of a month of thirty is the next one's first.
        return date(daysSince1970: days) == (year, month, day) ? days : nil
    }

    /// `12:00:00` as seconds; a leap second is the last one of its minute.
    private static func seconds(_ text: ArraySlice<UInt8>) -> Int? {
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.map(\.count) == [2, 2, 2], let hour = number(parts[0]), let minute = number(parts[1]),
            let second = number(parts[2]), hour < 24, minute < 60, second <= 60
        else { return nil }
        return hour * 3_600 + minute * 60 + min(second, 59)
    }

    /// `Z` or `+02:00` as seconds east of Greenwich.
    private static func offset(_ text: ArraySlice<UInt8>) -> Int? {
        if text.elementsEqual([UInt8(ascii: "Z")]) || text.elementsEqual([UInt8(ascii: "z")]) { return 0 }
        guard text.count == 6, let sign = text.first,
            sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
            let seconds = seconds(text.dropFirst() + Array(":00".utf8))
        else { return nil }
        return sign == UInt8(ascii: "+") ? seconds : -seconds
    }

    /// Decimal digits only.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
