// Instants and intervals: one-field values over nanoseconds of CLOCK_MONOTONIC, so that no bare integer
// carries time through the code. Arithmetic saturates: a deadline can be far, never wrapped.
// Invariant: both are non-negative; `.max` nanoseconds mean "never".

/// A point on the monotonic clock, in nanoseconds since an arbitrary origin (boot).
@frozen public struct Instant: Comparable, Hashable, Sendable {
    public var nanos: UInt64

    @inlinable public init(nanos: UInt64) { self.nanos = nanos }

    @inlinable public var micros: UInt64 { nanos / 1_000 }

    /// A deadline that never comes.
    @inlinable public static var never: Instant { Instant(nanos: .max) }

    @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanos < b.nanos }

    @inlinable public static func + (a: Instant, b: Interval) -> Instant {
        let (sum, overflow) = a.nanos.addingReportingOverflow(b.nanos)
        return Instant(nanos: overflow ? .max : sum)
    }

    /// The time from `b` to `a`; zero when `a` is earlier.
    @inlinable public static func - (a: Instant, b: Instant) -> Interval {
        Interval(nanos: a.nanos > b.nanos ? a.nanos &- b.nanos : 0)
    }
}

/// A length of time, in nanoseconds, never negative.
@frozen public struct Interval: Comparable, Hashable, Sendable {
    public var nanos: UInt64

    @inlinable public init(nanos: UInt64) { self.nanos = nanos }

    @inlinable public static var zero: Interval { Interval(nanos: 0) }
    /// Longer than anything lasts.
    @inlinable public static var forever: Interval { Interval(nanos: .max) }

    @inlinable public static func micros(_ n: UInt64) -> Interval {
        saturating(n, 1_000)
    }
    @inlinable public static func millis(_ n: UInt64) -> Interval {
        saturating(n, 1_000_000)
    }
    @inlinable public static func seconds(_ n: UInt64) -> Interval {
        saturating(n, 1_000_000_000)
    }

    @inlinable static func saturating(_ n: UInt64, _ nanosPerUnit: UInt64) -> Interval {
        let (product, overflow) = n.multipliedReportingOverflow(by: nanosPerUnit)
        return Interval(nanos: overflow ? .max : product)
    }

    @inlinable public var micros: UInt64 { nanos / 1_000 }
    @inlinable public var millis: UInt64 { nanos / 1_000_000 }

    @inlinable public static func < (a: Interval, b: Interval) -> Bool { a.nanos < b.nanos }

    @inlinable public static func + (a: Interval, b: Interval) -> Interval {
        let (sum, overflow) = a.nanos.addingReportingOverflow(b.nanos)
        return Interval(nanos: overflow ? .max : sum)
    }
}
