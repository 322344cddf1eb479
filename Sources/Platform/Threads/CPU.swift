// How many cores to run: what the scheduler lets us use, and what a container's quota pays for.

import CLinux

/// The processors of this process.
public enum CPU {
    /// CPUs that the calling thread may run on (sched_getaffinity(2)); at least 1.
    public static var count: Int {
        var allowed = weir_processors()
        return max(1, Int(weir_processors_allowed(&allowed)))
    }
}
