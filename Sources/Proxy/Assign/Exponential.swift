// Minus the natural logarithm of a uniform variate, from 64 hash bits: the exponential variate that
// weighted rendezvous compares. Only additions, multiplications and one division of IEEE doubles, so every
// sidecar of a fleet, whatever its libm, deals every key alike.
// Invariant: finite and above zero for every input; within 1 ulp of the true value.
// Source: fdlibm's e_log.c (Sun Microsystems, 1993; "permission to use, copy, modify and distribute is
// freely granted, provided that this notice is preserved"): the reduction and the seven coefficients.

enum Exponential {
    /// −ln(u) with u = (top 52 bits of `hash` + ½) / 2⁵²: strictly between 0 and 37.
    @inline(__always)
    static func variate(_ hash: UInt64) -> Double {
        // Below 2⁵² and a half: exact in a double.
        let scaled = Double(Int64(truncatingIfNeeded: hash &>> 12)) + 0.5
        // scaled = m · 2^k with m in [√½, √2).
        let shifted = scaled.bitPattern &+ (0x3FF0_0000_0000_0000 &- 0x3FE6_A09E_0000_0000)
        let mantissa = (shifted & 0x000F_FFFF_FFFF_FFFF) &+ 0x3FE6_A09E_0000_0000
        let exponent = Double(Int64(truncatingIfNeeded: shifted &>> 52) &- (1023 &+ 52))
        let f = Double(bitPattern: mantissa) - 1
        let s = f / (2 + f)
        let z = s * s
        let w = z * z
        let odd = z * (c1 + w * (c3 + w * (c5 + w * c7)))
        let even = w * (c2 + w * (c4 + w * c6))
        let halfSquare = 0.5 * f * f
        let low = s * (halfSquare + odd + even) + exponent * ln2Low
        return (halfSquare - low - f) - exponent * ln2High
    }

    private static let ln2High = 6.93147180369123816490e-01
    private static let ln2Low = 1.90821492927058770002e-10
    private static let c1 = 6.666666666666735130e-01
    private static let c2 = 3.999999999940941908e-01
    private static let c3 = 2.857142874366239149e-01
    private static let c4 = 2.222219843214978396e-01
    private static let c5 = 1.818357216161805012e-01
    private static let c6 = 1.531383769920937332e-01
    private static let c7 = 1.479819860511658591e-01
}
