// Times in which nothing is promoted: nights, weekends, holidays, each in the time zone of the people who
// would have to look. From `18:00` to `08:00` is in force overnight, on the named days or every day; from
// `fri 16:00` to `mon 08:00` every week; from `2026-12-23` to `2027-01-02` once.
//
// Invariant: a moment's answer depends on that moment alone: a clock that jumps leaves no window open.

import Foundation
import Payload

/// One window, as configured.
package struct BlackoutWindow: Sendable, Hashable {
    /// When it is in force, in local time.
    package enum Span: Sendable, Hashable {
        /// Minutes of the day, and the days (0 is Monday) on which it begins. `to` not after `from`: the next
        /// day's.
        case daily(days: Set<Int>, from: Int, to: Int)
        /// Minutes of the week that begins on Monday at 00:00. `to` not after `from`: around the week's end.
        case weekly(from: Int, to: Int)
        /// Local minutes since 1970-01-01 00:00.
        case once(from: Int, to: Int)
    }

    package var span: Span
    /// A name of the time-zone database.
    package var timeZone: String
    /// Whether guardrails only alert while it is in force.
    package var alertsOnly: Bool
    /// As written, for people.
    package var text: String

    static let minutesPerDay = 1_440
    static let minutesPerWeek = 10_080

    /// Whether the window is in force.
    /// - Parameter wallMicros: microseconds since 1970, UTC.
    package func isInForce(wallMicros: UInt64) -> Bool {
        let seconds = Int(wallMicros / 1_000_000)
        guard let zone = TimeZone(identifier: timeZone) else { return true }
        let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds)))
        return isInForce(localMinute: (seconds + offset) / 60)
    }

    /// The same for local minutes since 1970-01-01 00:00, a Thursday.
    func isInForce(localMinute now: Int) -> Bool {
        let ofDay = now % Self.minutesPerDay
        let ofWeek = (now + 3 * Self.minutesPerDay) % Self.minutesPerWeek
        switch span {
        case .once(let from, let to): return now >= from && now < to
        case .weekly(let from, let to):
            return from < to ? ofWeek >= from && ofWeek < to : ofWeek >= from || ofWeek < to
        case .daily(let days, let from, let to):
            let today = ofWeek / Self.minutesPerDay
            if from < to { return days.contains(today) && ofDay >= from && ofDay < to }
            return days.contains(today) && ofDay >= from || days.contains((today + 6) % 7) && ofDay < to
        }
    }

    /// Whether the time-zone database has the name.
    static func isTimeZone(_ name: String) -> Bool { TimeZone(identifier: name) != nil }
}

extension [BlackoutWindow] {
    /// Whether those that come back every week take all of it; each time zone by itself.
    var leaveNothing: Bool {
        let recurring = filter { if case .once = $0.span { false } else { true } }
        let week = BlackoutWindow.minutesPerWeek
        return Dictionary(grouping: recurring, by: \.timeZone).values.contains { windows in
            (week..<2 * week).allSatisfy { minute in
                windows.contains { $0.isInForce(localMinute: minute) }
            }
        }
    }
}

/// One end of a window as written.
enum BlackoutTime: Hashable {
    /// Minutes of the day.
    case ofDay(Int)
    /// Minutes of the week.
    case ofWeek(Int)
    /// Local minutes since 1970.
    case ofEra(Int)

    static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// `16:00`, `fri 16:00`, `2026-12-23` or `2026-12-23 16:00`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count) else { return nil }
        if parts.count == 1, let minute = Self.minute(parts[0]) {
            self = .ofDay(minute)
        } else if parts.count == 2, let day = Self.days.firstIndex(of: parts[0].lowercased()),
            let minute = Self.minute(parts[1])
        {
            self = .ofWeek(day * BlackoutWindow.minutesPerDay + minute)
        } else if let day = Timestamp.days(Array(parts[0].utf8)[...]) {
            guard let minute = parts.count == 1 ? 0 : Self.minute(parts[1]) else { return nil }
            self = .ofEra(day * BlackoutWindow.minutesPerDay + minute)
        } else {
            return nil
        }
    }

    /// `16:00` as minutes of the day; 00:00...24:00.
    private static func minute(_ text: String) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }), let hour = number(parts[0]),
            let minute = number(parts[1]), minute < 60, hour < 24 || hour == 24 && minute == 0
        else { return nil }
        return hour * 60 + minute
    }

    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}
