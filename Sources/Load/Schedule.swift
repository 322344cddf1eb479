// When requests are due. The schedule runs on by itself: a slow server delays answers, never questions, so
// that its slowness shows in the latencies instead of in a smaller load (coordinated omission).
// Invariant: due times never go back, and depend on nothing but plan and seed.

import Platform

/// An endless sequence of intended send times.
struct Schedule {
    private let meanGapNanos: Double
    private let arrivals: LoadPlan.Arrivals
    private var random: Random64
    /// Nanoseconds since the start, kept as a real number so that fractions of a gap add up.
    private var offset = 0.0
    private let start: Instant
    /// The next request is due then.
    private(set) var next: Instant

    init(_ plan: LoadPlan, start: Instant) {
        meanGapNanos = 1e9 / plan.ratePerSecond
        arrivals = plan.arrivals
        random = Random64(seed: plan.seed)
        self.start = start
        next = start
        advance()
    }

    /// Moves on to the request after the next.
    mutating func advance() {
        switch arrivals {
        case .regular: offset += meanGapNanos
        case .poisson: offset += meanGapNanos * Self.exponential(random.unit())
        }
        next = start + Interval(nanos: UInt64(offset.rounded()))
    }

    /// An exponentially distributed number with mean 1 from an evenly distributed one in 0..<1.
    static func exponential(_ unit: Double) -> Double { -logarithm(1 - unit) }

    /// The natural logarithm of a positive number: exponent times ln 2 plus the area hyperbolic tangent's
    /// series for the significand, whose argument is at most 1/3; the error is below 1e-12.
    static func logarithm(_ x: Double) -> Double {
        let t = (x.significand - 1) / (x.significand + 1)
        var power = t
        var sum = 0.0
        for k in stride(from: 1.0, through: 23, by: 2) {
            sum += power / k
            power *= t * t
        }
        return Double(x.exponent) * 0.693_147_180_559_945_3 + 2 * sum
    }
}
