// Durations, percentages, sizes and near words: parsing and printing are inverses, and what is refused is
// refused with what was probably meant. The tables are the notation; the random test runs over the whole
// range that a config can hold.

import Platform
import Testing

@testable import Config

@Test(
    "A duration is a whole number and a unit",
    arguments: [
        ("500us", 500_000), ("500ms", 500_000_000), ("10s", 10_000_000_000), ("5m", 300_000_000_000),
        ("1h", 3_600_000_000_000), ("0s", 0), ("90m", 5_400_000_000_000),
        ("7d", 604_800_000_000_000),
    ] as [(String, UInt64)])
private func durationParses(_ text: String, _ nanos: UInt64) throws {
    #expect(try Notation.duration(text) == Interval(nanos: nanos))
}

@Test(
    "What is no duration is refused with the one that was probably meant",
    arguments: [
        ("5", "5s"), ("1.5s", "1500ms"), ("0.5h", "30m"), ("10 s", "10s"), ("10sec", "10s"), ("10min", "10m"),
        ("1 days", nil), ("2days", "2d"), ("2 hours", "2h"), ("5x", nil), ("", nil), ("s", nil), ("-5s", nil),
        ("1h30m", nil),
        ("99999999999999999999s", nil), ("18446744073709551615h", nil),
    ] as [(String, String?)])
private func durationIsRefused(_ text: String, _ meant: String?) {
    #expect(throws: Notation.Malformed(suggestion: meant)) { try Notation.duration(text) }
}

@Test(
    "A percentage has at most four decimals",
    arguments: [
        ("5%", 50_000), ("0.1%", 1_000), ("0.0001%", 1), ("100%", 1_000_000), ("0%", 0), ("12.5%", 125_000),
        ("33.3333%", 333_333), ("200%", 2_000_000),
    ] as [(String, UInt32)])
private func percentageParses(_ text: String, _ ppm: UInt32) throws {
    #expect(try Notation.percentage(text) == ppm)
}

@Test(
    "What is no percentage is refused with the one that was probably meant",
    arguments: [
        ("5", "5%"), ("0.5", "50%"), ("0.02", "2%"), ("1.5", "1.5%"), ("0", "0%"), ("5 %", nil),
        ("0.00001%", nil), ("-5%", nil), ("%", nil), (".5%", nil),
        ("5.%", nil), ("1.2.3%", nil), ("999999999999%", nil), ("500000%", nil),
    ] as [(String, String?)])
private func percentageIsRefused(_ text: String, _ meant: String?) {
    #expect(throws: Notation.Malformed(suggestion: meant)) { try Notation.percentage(text) }
}

@Test(
    "A size is a whole number and a binary unit",
    arguments: [
        ("1MiB", 1 << 20), ("64KiB", 64 << 10), ("2GiB", 2 << 30), ("512B", 512), ("0B", 0),
    ] as [(String, Int)])
private func sizeParses(_ text: String, _ bytes: Int) throws {
    #expect(try Notation.size(text) == bytes)
}

@Test(
    "What is no size is refused with the one that was probably meant",
    arguments: [
        ("1MB", "1MiB"), ("64k", "64KiB"), ("64K", "64KiB"), ("1024", "1024B"), ("1 MiB", "1MiB"),
        ("2gb", "2GiB"), ("1.5MiB", nil), ("x", nil), ("1TiB", nil), ("9999999999999999999GiB", nil),
        ("9223372036854775807GiB", nil),
    ] as [(String, String?)])
private func sizeIsRefused(_ text: String, _ meant: String?) {
    #expect(throws: Notation.Malformed(suggestion: meant)) { try Notation.size(text) }
}

@Test("Printing and parsing are inverses for every duration, percentage and size", arguments: [1, 2, 3])
private func notationsRoundTrip(_ seed: UInt64) throws {
    var random = Random64(seed: seed)
    for _ in 0..<2_000 {
        let scale = random.below(60)
        let micros = random.next() >> (10 + scale % 50) % 18_000_000_000_000
        let interval = Interval.micros(micros)
        #expect(try Notation.duration(Notation.text(interval)) == interval, "seed \(seed)")
        let ppm = UInt32(random.below(5_000_000))
        #expect(try Notation.percentage(Notation.text(ppm: ppm)) == ppm, "seed \(seed)")
        let bytes = Int(random.next() >> (2 + scale))
        #expect(try Notation.size(Notation.text(bytes: bytes)) == bytes, "seed \(seed)")
    }
}

@Test(
    "Printing takes the largest unit that is exact",
    arguments: [(3_600, "1h"), (5_400, "90m"), (90, "90s"), (60, "1m"), (0, "0s")] as [(UInt64, String)])
private func durationPrints(_ seconds: UInt64, _ text: String) {
    #expect(Notation.text(.seconds(seconds)) == text)
    #expect(Notation.text(.millis(1_500)) == "1500ms")
    #expect(Notation.text(ppm: 1_000) == "0.1%")
    #expect(Notation.text(bytes: 1 << 20) == "1MiB")
    #expect(Notation.text(quantile: 0.999) == "p99.9")
    #expect(Notation.text(quantile: 0.5) == "p50")
}

@Test(
    "The distance counts insertions, deletions, substitutions and swaps of neighbours",
    arguments: [
        ("", "", 0), ("a", "", 1), ("weights", "wieghts", 1), ("endpoint", "endpoints", 1),
        ("kitten", "sitting", 3), ("ca", "abc", 3), ("abcd", "badc", 2),
    ] as [(String, String, Int)])
private func distanceCounts(_ a: String, _ b: String, _ distance: Int) {
    #expect(Nearest.distance(a, b) == distance)
    #expect(Nearest.distance(b, a) == distance)
}

@Test(
    "The nearest word is a misspelling, another system's word, or the start of a word; never a guess",
    arguments: [
        ("wieghts", "weights"), ("Weights", "weights"), ("canary", "candidate"), ("mirror", "shadow"),
        ("backends", "endpoints"), ("down", "downstreams_max"), ("zzz", nil), ("x", nil),
    ] as [(String, String?)])
private func nearestWord(_ word: String, _ meant: String?) {
    let known = ["weights", "candidate", "shadow", "endpoints", "downstreams_max", "name"]
    #expect(Nearest.to(word, among: known) == meant)
}
