// From a status page to what the demo shows: the fields that it relies on, and that a page without them is
// shown as nothing rather than trapped on.

import Control
import Payload
import Platform
import Testing

@testable import Demo

@Suite("Status reading")
struct StatusReadingTests {
    private func page(guardrails: JSON, cut: JSON) -> JSON {
        [
            "models": [
                [
                    "last_cut": cut, "recovery": ["verdict": "recovered", "reason": "0.0 % of 300 failed"],
                    "versions": [
                        [
                            "name": "v2", "role": "candidate", "weight_ppm": 100_000,
                            "live": [
                                "rps": .number(96.5), "p50_ms": .number(4.1), "p99_ms": .null,
                                "error_share": .number(0.25),
                            ],
                            "guardrails": guardrails,
                        ]
                    ],
                ]
            ]
        ]
    }

    private let reading: JSON = [
        "name": "error_rate", "progress": .number(0.5), "verdict": "pass", "reason": "1 of 2 failed",
    ]

    @Test("A version's line has its weight, rate, times and errors; what is null is absent")
    func versions() {
        let version = StatusReading(page(guardrails: [reading], cut: .null)).versions.first
        #expect(
            version
                == Sample.VersionLine(
                    name: "v2", role: "candidate", weightPPM: 100_000, perSecond: 96.5, p50Micros: 4_100,
                    p99Micros: nil, errorShare: 0.25))
    }

    @Test("While a candidate is watched its guardrails are shown; after a cut, what they saw at the trip")
    func guardrails() {
        let cut: JSON = [
            "at": "2026-01-31T12:34:56.123456Z", "guardrail": "error_rate", "reason": "v2: too many",
            "evidence": [reading, reading],
        ]
        #expect(StatusReading(page(guardrails: [reading], cut: cut)).guardrails.count == 1)
        let after = StatusReading(page(guardrails: [], cut: cut))
        #expect(after.guardrails.count == 2)
        #expect(after.cut?.guardrail == "error_rate")
        #expect(after.recovery?.verdict == "recovered")
    }

    @Test("A page without the fields shows nothing", arguments: [JSON.null, [:], ["models": []]])
    func empty(_ page: JSON) {
        let reading = StatusReading(page)
        #expect(reading.versions.isEmpty && reading.guardrails.isEmpty && reading.cut == nil)
    }

    @Test(
        "A time of day is counted from the demo's begin, over midnight too",
        arguments: [
            // 1970-01-02T00:00:01Z, and the evening before.
            ("2026-01-31T00:00:03.500000Z", UInt64(86_401_000_000), UInt64?(2_500_000)),
            ("2026-01-31T00:00:01.000000Z", 86_399_000_000, 2_000_000),
            ("2026-01-31T00:00:01Z", 0, nil), ("2026-01-31Tab:cd:ef.000000Z", 0, nil),
        ])
    func timeOfDay(_ text: String, _ begin: UInt64, _ expected: UInt64?) {
        #expect(StatusReading.micros(to: text, from: begin) == expected)
    }
}
