// The JSON value: writer and reader are inverses, and hostile bytes give a problem, never a trap.

import Testing

@testable import Payload

@Suite struct JSONTests {
    static let values: [JSON] = [
        .null, .bool(true), .bool(false), .integer(0), .integer(-1), .integer(.max), .integer(.min),
        .number(0.1), .number(1e-7), .number(1e300), .string(""),
        .string("a\"b\\c\n\r\t\u{1}\u{7F}\u{2028}é😀"), .array([]),
        .array([.integer(1), .array([.integer(2), .array([])]), .string("x")]), .object([]),
        .object([.init("z", .integer(1)), .init("a", .object([.init("b", .null)]))]),
    ]

    @Test("A value that is written and read again is the same value", arguments: values)
    func roundTrip(value: JSON) throws {
        #expect(try JSON(parsing: value.text) == value)
        #expect(try JSON(parsing: value.pretty) == value)
        #expect(!value.text.utf8.contains(0x0A), "one line")
    }

    @Test(
        "Whatever RFC 8259 does not allow is refused",
        arguments: [
            "", " ", "{", "}", "[", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "'a'", "\"a",
            "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "01", "-", "1.", ".5",
            "1e", "+1", "NaN", "Infinity", "tru", "nul", "1 2", "{\"a\":1,\"a\":2}", "\"\u{1}\"", "1e999",
            String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 5_000),
        ])
    func refused(text: String) {
        #expect(throws: ScanProblem.self) { try JSON(parsing: text) }
    }

    @Test("A member name that comes twice is refused wherever it stands", arguments: [1, 2, 16, 17, 40])
    func twice(count: Int) throws {
        let members = (0..<count).map { "\"k\($0)\":{\"k0\":[]}" }
        let whole = "{" + members.joined(separator: ",") + "}"
        #expect(try JSON(parsing: whole).members.count == count)
        for i in 0..<count {
            let text = "{" + members.joined(separator: ",") + ",\"k\(i)\":1}"
            let problem = ScanProblem(offset: text.utf8.count - 2, expected: "k\(i) only once")
            #expect(throws: problem) { try JSON(parsing: text) }
        }
    }

    @Test("Bytes that are not UTF-8 inside a string are refused")
    func notUTF8() {
        #expect(throws: ScanProblem.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: ScanProblem.self) { try JSON(parsing: [0x22, 0xC0, 0x80, 0x22]) }
    }

    @Test("Surrogate pairs give one scalar")
    func surrogates() throws {
        #expect(try JSON(parsing: "\"\\ud83d\\ude00\"") == "😀")
    }

    @Test("Every prefix and every one-byte change of a document gives a value or a problem, never a trap")
    func mutations() {
        let text = Array("{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\n\"],\"b\":{\"c\":\"\\ud83d\\ude00\"}}".utf8)
        for end in 0..<text.count { _ = try? JSON(parsing: text[..<end]) }
        for i in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[i] = byte
                _ = try? JSON(parsing: changed)
            }
        }
    }

    @Test(
        "Timestamps are RFC 3339 in UTC",
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199_999_999, "2024-02-29T23:59:59.999999Z"),
            (4_102_444_800_000_001, "2100-01-01T00:00:00.000001Z"),
        ] as [(UInt64, String)])
    func timestamps(micros: UInt64, text: String) {
        #expect(Timestamp.text(wallMicros: micros) == text)
    }
}
