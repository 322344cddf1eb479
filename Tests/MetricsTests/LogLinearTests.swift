// The laws of the bins: where a value falls, how wide a bin may be, which bin holds a rank.
// The reference numbers (32 bins per octave) were computed by an independent program; the layout that the
// histograms use is compared with the general one and held to its error by a property test.

import Metrics
import Testing

@Suite struct LogLinearTests {
    /// Value, bin, lower and upper edge with 32 bins per octave.
    static let edges: [(value: UInt64, bin: Int, lower: UInt64, upper: UInt64)] = [
        (0, 0, 0, 0), (1, 1, 1, 1), (5, 5, 5, 5), (31, 31, 31, 31), (32, 32, 32, 32), (63, 63, 63, 63),
        (64, 64, 64, 65), (65, 64, 64, 65), (66, 65, 66, 67), (127, 95, 126, 127), (128, 96, 128, 131),
        (129, 96, 128, 131), (131, 96, 128, 131), (132, 97, 132, 135), (255, 127, 252, 255),
        (256, 128, 256, 263), (1_000, 190, 992, 1_007), (1_023, 191, 1_008, 1_023),
        (1_024, 192, 1_024, 1_055), (4_095, 255, 4_032, 4_095), (4_096, 256, 4_096, 4_223),
        (65_535, 383, 64_512, 65_535), (65_536, 384, 65_536, 67_583), (123_456, 412, 122_880, 124_927),
        (1_000_000, 509, 999_424, 1_015_807), (60_000_000, 697, 59_768_832, 60_817_407),
        (4_294_967_295, 895, 4_227_858_432, 4_294_967_295),
        (4_294_967_296, 896, 4_294_967_296, 4_429_185_023),
        (1_099_511_627_775, 1_151, 1_082_331_758_592, 1_099_511_627_775),
        (1_099_511_627_776, 1_152, 1_099_511_627_776, 1_133_871_366_143),
        (4_611_686_018_427_387_904, 1_856, 4_611_686_018_427_387_904, 4_755_801_206_503_243_775),
    ]

    @Test("A value falls into the bin of the reference, with its edges", arguments: edges)
    func reference(value: UInt64, bin: Int, lower: UInt64, upper: UInt64) {
        let layout = LogLinearLayout(subBits: 5)
        #expect(layout.index(value) == bin)
        #expect(layout.lower(bin) == lower)
        #expect(layout.upper(bin) == upper)
    }

    @Test("The largest value has a bin, and its upper edge does not overflow", arguments: 1...16)
    func largest(subBits: Int) {
        let layout = LogLinearLayout(subBits: subBits)
        #expect(layout.upper(layout.index(.max)) == .max)
    }

    /// Bins and their counts with 32 bins per octave, and the bins' quantiles 0.5, 0.95, 0.99.
    static let quantiles: [(bins: [(Int, UInt64)], quantiles: [UInt64])] = [
        ([(176, 1)], [783, 783, 783]),
        (
            [
                (10, 1), (20, 1), (30, 1), (40, 1), (50, 1), (60, 1), (67, 1), (72, 1), (77, 1), (82, 1),
            ], [50, 101, 101]
        ),
        (lognormal, [49_151, 114_687, 151_551]),
    ]

    private static let lognormal: [(Int, UInt64)] = [
        (301, 1), (304, 1), (305, 1), (308, 1), (309, 2), (310, 1), (312, 3), (313, 2), (314, 2), (315, 1),
        (317, 2), (318, 2), (319, 3), (320, 4), (321, 7), (322, 6), (323, 2), (324, 6), (325, 9), (326, 10),
        (327, 9), (328, 11), (329, 6), (330, 5), (331, 14), (332, 11), (333, 13), (334, 13), (335, 15),
        (336, 14), (337, 12), (338, 13), (339, 12), (340, 11), (341, 15), (342, 17), (343, 16), (344, 22),
        (345, 16), (346, 16), (347, 19), (348, 18), (349, 13), (350, 9), (351, 19), (352, 28), (353, 32),
        (354, 41), (355, 31), (356, 35), (357, 44), (358, 40), (359, 42), (360, 36), (361, 39), (362, 48),
        (363, 45), (364, 32), (365, 29), (366, 46), (367, 28), (368, 27), (369, 37), (370, 36), (371, 35),
        (372, 32), (373, 24), (374, 24), (375, 26), (376, 34), (377, 28), (378, 20), (379, 27), (380, 26),
        (381, 20), (382, 20), (383, 22), (384, 35), (385, 37), (386, 31), (387, 41), (388, 32), (389, 31),
        (390, 32), (391, 21), (392, 22), (393, 23), (394, 15), (395, 17), (396, 16), (397, 11), (398, 14),
        (399, 15), (400, 11), (401, 12), (402, 6), (403, 6), (404, 7), (405, 18), (406, 6), (407, 10),
        (408, 8), (409, 6), (410, 6), (411, 9), (412, 5), (413, 6), (414, 4), (415, 4), (416, 3), (417, 3),
        (418, 5), (419, 7), (420, 9), (421, 2), (422, 4), (423, 1), (424, 3), (430, 1), (432, 2), (434, 1),
        (436, 1), (441, 2),
    ]

    @Test("A quantile is the upper edge of the bin that holds rank ceil(q n)", arguments: quantiles)
    func quantile(bins: [(Int, UInt64)], quantiles: [UInt64]) {
        let layout = LogLinearLayout(subBits: 5)
        var counts = [UInt64](repeating: 0, count: 500)
        for (bin, count) in bins { counts[bin] = count }
        for (q, expected) in zip([0.5, 0.95, 0.99], quantiles) {
            #expect(layout.bin(ofQuantile: q, counts: counts).map(layout.upper) == expected)
        }
    }

    @Test("No counts have no quantile")
    func empty() {
        #expect(LogLinearLayout(subBits: 5).bin(ofQuantile: 0.5, counts: [0, 0, 0]) == nil)
    }

    @Test(
        "A rank is ceil(q n) of the decimal q, not of its binary neighbour",
        arguments: [
            (0.95, 100, 95), (0.99, 100, 99), (0.99, 1_000, 990), (0.999, 1_000, 999), (0.07, 100, 7),
            (0.5, 1, 1), (0.5, 2, 1), (0.5, 3, 2), (0.0, 5, 1), (1.0, 5, 5), (0.99, 101, 100), (0.5, 0, 0),
        ] as [(Double, UInt64, UInt64)])
    func rank(q: Double, n: UInt64, rank: UInt64) {
        #expect(LogLinearLayout.rank(q, of: n) == rank)
    }

    @Test("From a microsecond to an hour a bin's edges are within one per cent of every value in it")
    func relativeError() {
        var random = SeededRandom()
        for _ in 0..<200_000 {
            let nanos = random.logUniform(1e3...3.6e12)
            let bin = LogLinear.index(nanos: nanos)
            let lower = LogLinear.lowerNanos(bin)
            let upper = LogLinear.upperNanos(bin)
            #expect(lower <= nanos && nanos <= upper)
            #expect(Double(upper - lower) <= 0.01 * Double(nanos))
        }
    }

    @Test("Weir's own bins are the general layout's, up to the overflow bin")
    func ownLayout() {
        var random = SeededRandom()
        for _ in 0..<100_000 {
            let nanos = random.next() >> UInt64.random(in: 22...63, using: &random)
            #expect(LogLinear.index(nanos: nanos) == LogLinear.layout.index(nanos))
        }
        #expect(LogLinear.layout.index(LogLinear.overflowNanos) == LogLinear.overflowBin)
        #expect(LogLinear.layout.subBits == LogLinear.subBits)
    }

    @Test(
        "Every 64-bit time has a bin; what is too long has the last one",
        arguments: [
            (0, 0), (1, 1), ((1 << 42) - 1, 4_607), (1 << 42, 4_608), ((1 << 42) + 1, 4_608), (.max, 4_608),
        ] as [(UInt64, Int)])
    func ends(nanos: UInt64, bin: Int) {
        #expect(LogLinear.index(nanos: nanos) == bin)
        #expect(bin < LogLinear.binCount)
    }

    @Test("Microseconds fall where their nanoseconds do, without overflow")
    func micros() {
        #expect(LogLinear.index(micros: 1_500) == LogLinear.index(nanos: 1_500_000))
        #expect(LogLinear.index(micros: .max) == LogLinear.overflowBin)
        #expect(LogLinear.upperMicros(LogLinear.index(nanos: 1_500)) == 2)
    }
}
