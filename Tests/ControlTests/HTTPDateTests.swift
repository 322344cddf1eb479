// Dates of header fields and the pauses that they ask for: the three forms of RFC 9110, what is none of
// them, and bounds.

import Platform
import Testing

@testable import Calls
@testable import Control
@testable import Sidecar

/// 2026-11-29T12:00:00Z.
private let now: UInt64 = 1_795_953_600_000_000

@Suite struct HTTPDateTests {
    @Test(
        "The three forms are read",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Sun, 29 Nov 2026 12:00:30 GMT", 1_795_953_630),
            ("Sunday, 29-Nov-26 12:00:30 GMT", 1_795_953_630), ("Sun Nov 29 12:00:30 2026", 1_795_953_630),
            // Two digits that lie more than 50 years ahead are of the past.
            ("Sunday, 29-Nov-76 00:00:00 GMT", 3_373_833_600),
            ("Tuesday, 29-Nov-77 00:00:00 GMT", 249_609_600),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_799),
        ] as [(String, UInt64)])
    func forms(_ text: String, _ seconds: UInt64) {
        #expect(HTTPDate.seconds(text, wallMicros: now) == seconds)
    }

    @Test(
        "Anything else is no date",
        arguments: [
            "", " ", ",", "Sun", "Sun,", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 99999 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-+4 08:49:37 GMT",
            "Sunday, -Nov-94 08:49:37 GMT", "Sun Nov 6 08:49 1994", "1994-11-06T08:49:37Z", "\u{1B}[31m",
            "１２０",
        ])
    func nothing(_ text: String) { #expect(HTTPDate.seconds(text, wallMicros: now) == nil) }

    @Test(
        "A pause is what the field asks for, at most an hour, and none where it cannot be read",
        arguments: [
            ("17", nil, 17), ("0", nil, 0), ("3601", nil, 3_600), ("99999999999999999999999", nil, 3_600),
            ("Sun, 29 Nov 2026 12:00:30 GMT", nil, 30), ("Sunday, 29-Nov-26 12:02:00 GMT", nil, 120),
            ("Sun Nov 29 12:00:05 2026", nil, 5), ("Sun, 29 Nov 2026 11:00:00 GMT", nil, 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", nil, 3_600),
            // By the server's clock, which is an hour behind ours.
            ("Sun, 29 Nov 2026 11:00:30 GMT", "Sun, 29 Nov 2026 11:00:00 GMT", 30),
            ("Sun, 29 Nov 2026 12:00:30 GMT", "no date", 30),
            ("", nil, nil), ("-1", nil, nil), ("+17", nil, nil), ("1.5", nil, nil), ("soon", nil, nil),
        ] as [(String, String?, UInt64?)])
    func pauses(_ text: String, _ date: String?, _ seconds: UInt64?) {
        var fields = [(name: "retry-after", value: text)]
        if let date { fields.append(("date", date)) }
        let answer = HTTPAnswer(status: 503, fields: fields, body: [])
        #expect(answer.retryAfter(wallMicros: now, atMost: .seconds(3_600)) == seconds.map { .seconds($0) })
        guard case .failed(_, let after, _) = AttemptOutcome(answer, from: "http://h", wallMicros: now) else {
            Issue.record("a 503 is no failure")
            return
        }
        #expect(after == seconds.map { .seconds($0) })
    }
}
