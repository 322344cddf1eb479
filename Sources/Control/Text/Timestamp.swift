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

    static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
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
}
