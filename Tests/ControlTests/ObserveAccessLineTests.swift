// The laws of an access line: always one line of valid JSON, whatever a client sent. Read back by two
// parsers, ours and Foundation's, from a table of hostile bytes and from random ones.
// Also here: the plan and the record that the access log's tests share.

import Foundation
import Metrics
import Payload
import Platform
import Proxy
import Testing
import Wire

@testable import Control
@testable import Sidecar

/// A plan with one model and two versions, on slots with gaps.
func observedPlan(model: String = "m", versions: [String] = ["v1", "v2"]) -> Plan {
    let plans = versions.enumerated().map { index, name in
        VersionPlan(slot: 5 + index, name: name, weightPPM: 500_000, endpoints: [])
    }
    return Plan(
        epoch: 1, models: [ModelPlan(slot: 3, name: model, matches: [], versions: plans, stable: 0)],
        trusted: [], accessLogPPM: 1_000_000)
}

/// A record of model slot 3 with the given path.
func observedRecord(path: [UInt8] = Array("/predict".utf8), requestID: [UInt8] = []) -> AccessRecord {
    var record = AccessRecord()
    record.wallMicros = 1_795_252_450_000_042
    record.model = 3
    record.assigned = 6
    record.answered = 5
    record.status = 200
    record.attempts = 2
    record.isShielded = true
    record.method = Wire.Method.post.rawValue
    record.totalMicros = 1_500
    record.upstreamMicros = 1_400
    record.bytesIn = 10
    record.bytesOut = UInt64.max
    record.client = IPAddress(ipv4: 0x7F00_0001)
    record.reason = .sticky
    record.pathCount = UInt8(path.count)
    for (index, byte) in path.enumerated() { record.path[index] = byte }
    record.requestIDCount = UInt8(requestID.count)
    for (index, byte) in requestID.enumerated() { record.requestID[index] = byte }
    return record
}

@Suite struct ObserveAccessLineTests {
    static func line(_ record: AccessRecord, _ plan: Plan = observedPlan()) -> [UInt8] {
        var line = AccessLine(names: AccessNames(plan))
        var bytes: [UInt8] = []
        line.append(record, to: &bytes)
        return bytes
    }

    @Test("A record becomes its line, field by field")
    func wholeLine() {
        let text = String(decoding: Self.line(observedRecord(requestID: Array("r-1".utf8))), as: UTF8.self)
        let expected =
            #"{"time":"2026-11-21T09:14:10.000042Z","model":"m","version":"v2","answered_by":"v1","#
            + #""reason":"sticky","outcome":"success","first_attempt":"success","shielded":true,"#
            + #""attempts":2,"method":"POST","#
            + #""path":"/predict","path_cut":false,"status":200,"bytes_in":10,"#
            + #""bytes_out":18446744073709551615,"total_us":1500,"upstream_us":1400,"#
            + #""first_byte_us":null,"added_us":100,"client":"127.0.0.1","request_id":"r-1","core":0}"#
        #expect(text == expected + "\n")
    }

    @Test("What did not come to be is null, and an unknown slot has no name")
    func nulls() throws {
        let json = try JSON(parsing: Self.line(AccessRecord()).dropLast())
        for name in [
            "model", "version", "answered_by", "status", "total_us", "upstream_us", "first_byte_us",
            "added_us", "client", "request_id",
        ] {
            #expect(json[name] == .null, "\(name)")
        }
        #expect(json["path"]?.string == "")
    }

    static let hostile: [(bytes: [UInt8], text: String)] = [
        (Array(#"/a"b\c/"#.utf8), #"/a"b\c/"#),
        (Array("/\u{0}\u{1}\n\r\t\u{1B}[31m\u{7F}".utf8), "/\u{0}\u{1}\n\r\t\u{1B}[31m\u{7F}"),
        // C1 controls, which terminals obey.
        (Array("/\u{9B}31m\u{80}\u{9F}\u{A0}".utf8), "/\u{9B}31m\u{80}\u{9F}\u{A0}"),
        (Array("/ünï/文字/🚀".utf8), "/ünï/文字/🚀"),
        ([0x2F, 0xFF, 0xFE, 0x80], "/%FF%FE%80"),
        // Overlong slash, surrogate, beyond U+10FFFF, a sequence cut off.
        ([0xC0, 0xAF], "%C0%AF"),
        ([0xE0, 0x80, 0xAF], "%E0%80%AF"),
        ([0xED, 0xA0, 0x80], "%ED%A0%80"),
        ([0xF4, 0x90, 0x80, 0x80], "%F4%90%80%80"),
        ([0xF0, 0x9F, 0x9A], "%F0%9F%9A"),
        ([0xC3, 0x28], "%C3("),
        (Array("\",\"outcome\":\"success".utf8), "\",\"outcome\":\"success"),
    ]

    @Test("Hostile bytes read back as what they are, or as %XX where they are no UTF-8", arguments: hostile)
    func hostilePath(bytes: [UInt8], text: String) throws {
        let line = Self.line(observedRecord(path: bytes, requestID: Array(bytes.prefix(48))))
        #expect(line.dropLast().allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        let json = try JSON(parsing: line.dropLast())
        #expect(json["path"]?.string == text)
        #expect(json["outcome"]?.string == "success")
        #expect((try? JSONSerialization.jsonObject(with: Data(line))) != nil)
    }

    @Test("Any bytes give one line of valid JSON without control characters")
    func anyBytes() throws {
        var random = ObservedRandom()
        for _ in 0..<3_000 {
            let count = Int.random(in: 0...176, using: &random)
            let path = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let line = Self.line(observedRecord(path: path, requestID: Array(path.prefix(48))))
            #expect(line.last == 0x0A)
            #expect(line.dropLast().allSatisfy { $0 >= 0x20 && $0 != 0x7F })
            let json = try JSON(parsing: line.dropLast())
            if let valid = String(validating: path, as: UTF8.self) {
                #expect(json["path"]?.string == valid)
            }
        }
    }

    @Test("Counts beyond a record's room are cut to it")
    func wrongCounts() throws {
        var record = observedRecord()
        record.pathCount = 255
        record.requestIDCount = 255
        let json = try JSON(parsing: Self.line(record).dropLast())
        #expect(json["path"]?.string?.unicodeScalars.count == 176)
    }

    @Test("A later plan's names hold, and names of slots it left stay for records on their way")
    func names() throws {
        var names = AccessNames(observedPlan())
        names.adopt(observedPlan(model: "odd \"model\"", versions: ["v3"]))
        var line = AccessLine(names: names)
        var bytes: [UInt8] = []
        line.append(observedRecord(), to: &bytes)
        let json = try JSON(parsing: bytes.dropLast())
        #expect(json["model"]?.string == "odd \"model\"")
        #expect(json["answered_by"]?.string == "v3")
        #expect(json["version"]?.string == "v2")
    }

    @Test(
        "The time is the record's own, also within a second and across its turn",
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (1_795_252_450_999_999, "2026-11-21T09:14:10.999999Z"),
        ])
    func time(wallMicros: UInt64, text: String) throws {
        var line = AccessLine(names: AccessNames())
        for offset: UInt64 in [0, 1_000_000, 0] {
            var bytes: [UInt8] = []
            var record = AccessRecord()
            record.wallMicros = wallMicros + offset
            line.append(record, to: &bytes)
            let json = try JSON(parsing: bytes.dropLast())
            #expect(json["time"]?.string == Timestamp.text(wallMicros: wallMicros + offset))
            if offset == 0 { #expect(json["time"]?.string == text) }
        }
    }
}

/// Seeded from `WEIR_SEED` where that is set, and printed.
struct ObservedRandom: RandomNumberGenerator {
    private var generator: Random64

    init(_ test: String = #function) {
        let given = ProcessInfo.processInfo.environment["WEIR_SEED"].flatMap { UInt64($0) }
        let seed = given ?? Entropy.word()
        print("\(test): WEIR_SEED=\(seed)")
        generator = Random64(seed: seed)
    }

    mutating func next() -> UInt64 { generator.next() }
}
