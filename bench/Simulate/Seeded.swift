// Random numbers of a simulated run: SplitMix64, and exact draws of counts by inversion, so that a tick of
// hundreds of requests costs a few numbers instead of hundreds.
// Invariant: a run's numbers depend on its row and its index alone, not on the thread that draws them.

import Glibc

/// SplitMix64.
struct Seeded: Sendable {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
    mutating func chance(_ p: Double) -> Bool { uniform() < p }

    /// Failures before the first success of probability `p`.
    mutating func geometric(_ p: Double) -> Int {
        if p >= 1 { return 0 }
        return Int(min((log1p(-uniform()) / log1p(-p)).rounded(.down), 1e15))
    }

    /// Standard normal (Box-Muller, one of the two).
    mutating func normal() -> Double {
        (-2 * log(1 - uniform())).squareRoot() * cos(2 * Double.pi * uniform())
    }
}

/// A distribution over 0, 1, 2, ...: one uniform number and about two comparisons a draw.
struct CountTable: Sendable {
    private let cumulative: [Double]
    /// Where to start looking, by the first bits of the uniform number.
    private let guide: [Int32]

    /// `weights` are proportional to the probabilities.
    init(weights: [Double]) {
        let total = weights.reduce(0, +)
        var sum = 0.0
        var cumulative = weights.map { weight in
            sum += weight
            return sum / total
        }
        cumulative[cumulative.count - 1] = 1
        let size = min(max(weights.count, 16), 4096)
        var at = 0
        guide = (0..<size).map { i in
            while cumulative[at] <= Double(i) / Double(size) { at += 1 }
            return Int32(at)
        }
        self.cumulative = cumulative
    }

    func draw(_ random: inout Seeded) -> Int {
        let u = random.uniform()
        var at = Int(guide[Int(u * Double(guide.count))])
        while cumulative[at] <= u { at += 1 }
        return at
    }

    /// Events among `n` of probability `p` <= 0.5.
    static func binomial(_ n: Int, _ p: Double) -> CountTable {
        var weights = [exp(Double(n) * log1p(-p))]
        for k in 0..<n { weights.append(weights[k] * Double(n - k) / Double(k + 1) * p / (1 - p)) }
        return CountTable(weights: weights)
    }

    /// Failures before the `n`-th success of probability `p`: stable's requests beside `n` of the candidate.
    static func beside(_ n: Int, _ p: Double) -> CountTable {
        var (weights, sum) = ([exp(Double(n) * log(p))], 0.0)
        while sum < 1 - 1e-15, weights.count < 100_000 {
            let k = weights.count - 1
            sum += weights[k]
            weights.append(weights[k] * Double(n + k) / Double(k + 1) * (1 - p))
        }
        return CountTable(weights: weights)
    }
}

/// Events among any number of requests, each of the same probability.
struct Binomial: Sendable {
    /// By power of two.
    private let tables: [CountTable]
    private let isTurned: Bool

    init(_ p: Double) {
        isTurned = p > 0.5
        let small = isTurned ? 1 - p : p
        tables = small > 0 ? (0...8).map { .binomial(1 << $0, small) } : []
    }

    func draw(_ random: inout Seeded, of n: Int) -> Int {
        guard !tables.isEmpty else { return isTurned ? n : 0 }
        var events = 0
        for _ in 0..<(n >> 8) { events += tables[8].draw(&random) }
        for bit in 0..<8 where n >> bit & 1 == 1 { events += tables[bit].draw(&random) }
        return isTurned ? n - events : events
    }
}

/// A value by its quantiles: the middle of each of many equal shares.
struct QuantileTable: Sendable {
    private let quantiles: [Double]

    /// A beta distribution of the given mean and standard deviation.
    init(mean: Double, deviation: Double, levels: Int = 1024) {
        let t = mean * (1 - mean) / (deviation * deviation) - 1
        let (a, b) = (mean * t, (1 - mean) * t)
        // The density at the middle of each of many thin slices, summed up and inverted.
        let slices = 20_000
        var sums = [0.0]
        for i in 0..<slices {
            let x = (Double(i) + 0.5) / Double(slices)
            sums.append(sums[i] + exp((a - 1) * log(x) + (b - 1) * log1p(-x)))
        }
        var at = 0
        quantiles = (0..<levels).map { i in
            let wanted = (Double(i) + 0.5) / Double(levels) * sums[slices]
            while sums[at + 1] < wanted { at += 1 }
            return (Double(at) + (wanted - sums[at]) / (sums[at + 1] - sums[at])) / Double(slices)
        }
    }

    /// The standard normal distribution.
    init() {
        quantiles = (0..<1024).map { i in
            let wanted = (Double(i) + 0.5) / 1024
            var (low, high) = (-10.0, 10.0)
            for _ in 0..<60 {
                let middle = 0.5 * (low + high)
                if 0.5 * erfc(-middle / 2.0.squareRoot()) < wanted { low = middle } else { high = middle }
            }
            return low
        }
    }

    func draw(_ random: inout Seeded) -> Double { quantiles[Int(random.uniform() * Double(quantiles.count))] }
}
