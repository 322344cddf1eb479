// Pseudo-random numbers for splits and tests: fast, seeded, and the same on every machine, so that one
// seed replays a run. Not for secrets. Source: xoshiro256** 1.0 and splitmix64, Blackman and Vigna 2018.
// Invariant: the state is never all zero.

/// xoshiro256**, period 2²⁵⁶-1. Owner: one core or one test.
@frozen public struct Random64: RandomNumberGenerator, Sendable {
    @usableFromInline var s0: UInt64
    @usableFromInline var s1: UInt64
    @usableFromInline var s2: UInt64
    @usableFromInline var s3: UInt64

    /// Any seed is good; the state is spread from it by splitmix64 and is never all zero.
    @inlinable public init(seed: UInt64) {
        var x = seed
        s0 = Self.splitmix(&x)
        s1 = Self.splitmix(&x)
        s2 = Self.splitmix(&x)
        s3 = Self.splitmix(&x)
    }

    /// One step of splitmix64: moves `x` on, and returns a word that depends on every bit of it. Of a value
    /// that is no sequence it makes a hash.
    @inlinable public static func splitmix(_ x: inout UInt64) -> UInt64 {
        x &+= 0x9E37_79B9_7F4A_7C15
        var z = x
        z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z &>> 31)
    }

    @inlinable public mutating func next() -> UInt64 {
        let product = s1 &* 5
        let result = (product &<< 7 | product &>> 57) &* 9
        let t = s1 &<< 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= t
        s3 = s3 &<< 45 | s3 &>> 19
        return result
    }

    /// A number in 0..<bound, each equally likely (Lemire 2019: one multiplication in the common case).
    /// - Precondition: `bound > 0`.
    @inlinable public mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a number below zero does not exist")
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    /// A number in 0..<1 with 53 bits.
    @inlinable public mutating func unit() -> Double { Double(next() &>> 11) * 0x1p-53 }
}
