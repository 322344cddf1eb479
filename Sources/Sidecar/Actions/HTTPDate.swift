// Dates in header fields, in the three forms that a recipient must read, and the wait that a Retry-After
// asks for. No locale and no time zone database: the names are English, the zone is GMT.
// Invariant: any text gives a date or nil, never a trap.
// Source: RFC 9110, sections 5.6.7 and 10.2.3.

import Calls
import Payload
import Platform

/// Reads dates of header fields.
enum HTTPDate {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    private static let days = [
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
    ]

    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37
    /// 1994`; from 1970 on. The day of the week is not compared with the date.
    /// - Parameter wallMicros: of now: a year of two digits that lies more than 50 years ahead is a past one.
    /// - Returns: seconds since 1970.
    static func seconds(_ text: String, wallMicros: UInt64) -> UInt64? {
        let words = text.split(separator: " ")
        guard let first = words.first else { return nil }
        if words.count == 6, first.last == ",", isShort(first.dropLast()), words[5] == "GMT" {
            return seconds(year: words[3], month: words[2], day: words[1], time: words[4])
        }
        if words.count == 4, first.last == ",", days.contains(String(first.dropLast())), words[3] == "GMT" {
            let parts = words[1].split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 3, let year = century(parts[2], wallMicros) else { return nil }
            return seconds(year: year[...], month: parts[1], day: parts[0], time: words[2])
        }
        if words.count == 5, isShort(first) {
            let day = words[2].utf8.count == 1 ? "0" + words[2] : String(words[2])
            return seconds(year: words[4], month: words[1], day: day[...], time: words[3])
        }
        return nil
    }

    private static func isShort(_ day: Substring) -> Bool { days.contains { $0.prefix(3) == day } }

    /// Four digits of two.
    private static func century(_ text: Substring, _ wallMicros: UInt64) -> String? {
        guard text.utf8.count == 2, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let year = Int(text)
        else { return nil }
        let now = Timestamp.date(daysSince1970: Int(wallMicros / 86_400_000_000)).year
        let ahead = now / 100 * 100 + year
        return String(ahead > now + 50 ? ahead - 100 : ahead)
    }

    private static func seconds(
        year: Substring, month: Substring, day: Substring, time: Substring
    ) -> UInt64? {
        guard let i = months.firstIndex(where: { $0[...] == month }) else { return nil }
        let number = i < 9 ? "0\(i + 1)" : "\(i + 1)"
        return Timestamp.wallMicros("\(year)-\(number)-\(day)T\(time)Z").map { $0 / 1_000_000 }
    }
}

extension HTTPAnswer {
    /// The pause that the answer asks for, at most `most`; nil when it asks for none that can be read. A
    /// date is taken by the server's own clock where the answer has one, so that clocks which differ do not
    /// stretch the wait.
    func retryAfter(wallMicros: UInt64, atMost most: Interval) -> Interval? {
        guard let text = field("retry-after") else { return nil }
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // More digits than fit are a long time.
            return min(.seconds(UInt64(text) ?? .max), most)
        }
        guard let until = HTTPDate.seconds(text, wallMicros: wallMicros) else { return nil }
        let now =
            field("date").flatMap { HTTPDate.seconds($0, wallMicros: wallMicros) } ?? wallMicros / 1_000_000
        return min(.seconds(until > now ? until - now : 0), most)
    }
}
