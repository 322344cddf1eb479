// When a blackout is in force: daily, weekly and one-off windows, around midnight, around the week's end and
// around a change of the clocks. Expected values by calendar.

import Payload
import Testing

@testable import Config

@Suite struct BlackoutTests {
    private static let monday = 4 * BlackoutWindow.minutesPerDay  // 1970-01-05

    private func window(_ span: BlackoutWindow.Span, _ zone: String = "UTC") -> BlackoutWindow {
        BlackoutWindow(span: span, timeZone: zone, alertsOnly: false, text: "")
    }

    private func minute(_ day: Int, _ hour: Int, _ minute: Int = 0) -> Int {
        Self.monday + day * BlackoutWindow.minutesPerDay + hour * 60 + minute
    }

    @Test("A window within a day is in force on its days from its start to before its end")
    func daily() {
        let lunch = window(.daily(days: [0, 1], from: 12 * 60, to: 13 * 60))
        for (day, hour, isIn) in [
            (0, 11, false), (0, 12, true), (0, 13, false), (1, 12, true), (2, 12, false), (7, 12, true),
        ] {
            #expect(lunch.isInForce(localMinute: minute(day, hour)) == isIn, "day \(day), hour \(hour)")
        }
        #expect(lunch.isInForce(localMinute: minute(0, 12, 59)))
    }

    @Test("A window over midnight belongs to the day on which it begins")
    func overnight() {
        let night = window(.daily(days: [4], from: 18 * 60, to: 8 * 60))
        for (day, hour, isIn) in [
            (4, 7, false), (4, 18, true), (5, 7, true), (5, 8, false), (5, 18, false), (3, 20, false),
        ] {
            #expect(night.isInForce(localMinute: minute(day, hour)) == isIn, "day \(day), hour \(hour)")
        }
        let whole = window(.daily(days: [6], from: 0, to: 0))
        #expect(whole.isInForce(localMinute: minute(6, 0)) && whole.isInForce(localMinute: minute(6, 23)))
        #expect(!whole.isInForce(localMinute: minute(7, 0)) && !whole.isInForce(localMinute: minute(5, 23)))
    }

    @Test("A weekly window may go around the end of the week")
    func weekly() {
        let day = BlackoutWindow.minutesPerDay
        let weekend = window(.weekly(from: 4 * day + 16 * 60, to: 8 * 60))
        for (day, hour, isIn) in [
            (4, 15, false), (4, 16, true), (6, 12, true), (7, 7, true), (7, 8, false), (9, 12, false),
        ] {
            #expect(weekend.isInForce(localMinute: minute(day, hour)) == isIn, "day \(day), hour \(hour)")
        }
    }

    @Test("Windows that leave no minute of the week are found, each time zone by itself")
    func leavesNothing() {
        let (day, week) = (BlackoutWindow.minutesPerDay, BlackoutWindow.minutesPerWeek)
        let all = Set(0..<7)
        let noon = 12 * 60
        let morning = window(.daily(days: all, from: 0, to: noon))
        for (windows, isNothing) in [
            ([], false),
            ([window(.daily(days: all, from: 0, to: day))], true),
            ([window(.daily(days: all, from: 600, to: 600))], true),
            ([window(.weekly(from: 0, to: week))], true),
            ([window(.weekly(from: 1, to: week))], false),
            ([morning, window(.daily(days: all, from: noon, to: 0))], true),
            ([morning, window(.daily(days: all, from: noon, to: 0), "Asia/Tokyo")], false),
            ([window(.daily(days: all.subtracting([6]), from: 0, to: day))], false),
            ([window(.once(from: 0, to: .max))], false),
        ] as [([BlackoutWindow], Bool)] {
            #expect(windows.leaveNothing == isNothing, "\(windows)")
        }
    }

    @Test("Local time follows the zone's rules, also over a change of the clocks")
    func zones() throws {
        let morning = window(.daily(days: Set(0..<7), from: 8 * 60, to: 9 * 60), "Europe/Berlin")
        for (text, isIn) in [
            ("2026-03-28T07:30:00Z", true), ("2026-03-28T06:30:00Z", false),
            ("2026-03-29T06:30:00Z", true), ("2026-03-29T07:30:00Z", false),
        ] {
            let micros = try #require(Timestamp.wallMicros(text))
            #expect(morning.isInForce(wallMicros: micros) == isIn, "\(text)")
        }
        #expect(BlackoutWindow.isTimeZone("America/New_York") && !BlackoutWindow.isTimeZone("Mars/Olympus"))
    }

    @Test("Ends are read as written and nothing else is")
    func times() throws {
        #expect(BlackoutTime("16:05") == .ofDay(965) && BlackoutTime("24:00") == .ofDay(1_440))
        #expect(BlackoutTime("Fri 16:00") == .ofWeek(4 * 1_440 + 960))
        #expect(BlackoutTime("1970-01-02") == .ofEra(1_440) && BlackoutTime("1970-01-01 00:01") == .ofEra(1))
        for text in [
            "", "16", "16:5", "24:01", "25:00", "fr 16:00", "fri", "2026-13-01", "2026-02-29", "2026-2-1",
            "2026-12-01 7:00", "16:00 fri", "fri  16:00",
        ] {
            #expect(BlackoutTime(text) == nil, "\(text)")
        }
    }

    @Test("An instant's text is read back, with any offset and fraction; what is none is refused")
    func timestamps() {
        for micros: UInt64 in [0, 1, 951_782_400_000_000, 1_795_000_000_123_456, 4_102_444_799_999_999] {
            #expect(Timestamp.wallMicros(Timestamp.text(wallMicros: micros)) == micros)
        }
        #expect(Timestamp.wallMicros("1970-01-01T02:00:00.5+02:00") == 500_000)
        #expect(Timestamp.wallMicros("1969-12-31T23:00:00-01:00") == nil)
        #expect(Timestamp.wallMicros("1970-01-01T00:00:00-01:00") == 3_600_000_000)
        for text in [
            "", "2026-12-01", "2026-12-01T12:00:00", "2026-12-01 12:00:00Z", "2026-02-30T00:00:00Z",
            "2026-12-01T24:00:00Z", "2026-12-01T12:00:00.Z", "2026-12-01T12:00:00+2:00",
            "2026-12-01T12:00:00Zx",
        ] {
            #expect(Timestamp.wallMicros(text) == nil, "\(text)")
        }
    }
}
