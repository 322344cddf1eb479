// Numbers in words.

import Testing

@testable import Rollout

@Suite struct SentenceTests {
    @Test(
        "counts have a comma after every third digit",
        arguments: [
            (0, "0"), (7, "7"), (999, "999"), (1000, "1,000"), (-1234, "-1,234"), (1_234_567, "1,234,567"),
            (Int.max, "9,223,372,036,854,775,807"), (Int.min, "-9,223,372,036,854,775,808"),
        ])
    func counts(n: Int, words: String) {
        #expect(Sentence.count(n) == words)
    }

    @Test(
        "rates show as many decimals as they need",
        arguments: [
            (0, "0.0 %"), (1, "100.0 %"), (0.12, "12.0 %"), (0.0104, "1.0 %"), (0.001, "0.1 %"),
            (0.0005, "0.05 %"), (0.00005, "0.005 %"),
        ])
    func rates(rate: Double, words: String) {
        #expect(Sentence.percent(rate) == words)
    }

    @Test(
        "times choose their unit",
        arguments: [(850, "850 us"), (12_500, "12.5 ms"), (3_200_000, "3.20 s"), (3_050_000, "3.05 s")])
    func times(micros: Double, words: String) {
        #expect(Sentence.time(micros: micros) == words)
    }

    @Test("quantiles, ratios and lengths read as people write them")
    func others() {
        #expect(Sentence.quantile(0.5) == "p50" && Sentence.quantile(0.999) == "p99.9")
        #expect(Sentence.ratio(1.5) == "1.5x" && Sentence.ratio(2) == "2x")
        #expect(Sentence.time(ticks: 600) == "1 m" && Sentence.time(ticks: 300) == "30 s")
        #expect(Sentence.time(ticks: 5) == "0.5 s")
        #expect(Sentence.share(30, of: 250) == "12.0 % of 250" && Sentence.share(0, of: 0) == "none of 0")
    }
}
