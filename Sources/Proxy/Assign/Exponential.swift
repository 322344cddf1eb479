// Minus the logarithm of a uniform variate, from 64 hash bits: the exponential variate that weighted
// rendezvous compares. To base 2, because the base is a factor that all versions share. Only additions,
// multiplications and one division of IEEE doubles, so every sidecar of a fleet, whatever its libm, deals
// every key alike.
// Invariant: finite and above zero for every input; within 2 ulp of the true value.
// Source: fdlibm's e_log.c (Sun Microsystems, 1993; "permission to use, copy, modify and distribute is
// freely granted, provided that this notice is preserved"): the reduction and the coefficients.

enum Exponential {
    /// −log₂(u) with u = (top 52 bits of `hash` + ½) / 2⁵²: strictly between 0 and 54.
    @inline(__always)
    static func variate(_ hash: UInt64) -> Double {
        // Below 2⁵² and a half: exact in a double.
        let scaled = Double(Int64(truncatingIfNeeded: hash &>> 12)) + 0.5
        // scaled = m · 2^k with m in [√½, √2), so that k and log₂(m) never cancel.
        let shifted = scaled.bitPattern &+ (0x3FF0_0000_0000_0000 &- 0x3FE6_A09E_0000_0000)
        let mantissa = (shifted & 0x000F_FFFF_FFFF_FFFF) &+ 0x3FE6_A09E_0000_0000
        let halvings = Double(1023 &+ 52 &- Int64(truncatingIfNeeded: shifted &>> 52))
        let f = Double(bitPattern: mantissa) - 1
        // ln(1 + f) = 2 atanh(s) = s · (2 + c1 z + c2 z² + …), z = s².
        let s = f / (2 + f)
        let z = s * s
        let tail = c3 + z * (c4 + z * (c5 + z * (c6 + z * c7)))
        return halvings - s * (c0 + z * (c1 + z * (c2 + z * tail)))
    }

    // fdlibm's 2 and Lg1...Lg7, each over ln(2).
    private static let c0 = 2.8853900817779268
    private static let c1 = 0.9617966939259854
    private static let c2 = 0.5770780163470651
    private static let c3 = 0.4121985855959412
    private static let c4 = 0.3205985547571299
    private static let c5 = 0.26233349383212967
    private static let c6 = 0.22093197705627815
    private static let c7 = 0.21349287741691675
}
