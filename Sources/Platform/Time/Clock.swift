// The two clocks. Durations and deadlines come from the monotonic clock only; the wall clock is for
// people and logs. Nothing below Platform and Proxy reads a clock: time is an argument there.
// Source: clock_gettime(2), which the vDSO answers without entering the kernel.

import CLinux

/// The clocks of the machine.
public enum Clock {
    /// The monotonic clock (CLOCK_MONOTONIC, through the vDSO: about 20 ns).
    @inlinable public static func now() -> Instant { Instant(nanos: weir_now()) }

    /// The wall clock in microseconds since 1970 (CLOCK_REALTIME); may jump.
    public static func wallMicros() -> UInt64 { weir_wall() / 1_000 }
}
