// How many cores to run: what the scheduler lets us use, and what a container's quota pays for. A sidecar
// with half a CPU on a large machine must not start one thread per CPU of that machine.
// Source: sched_getaffinity(2), cgroup-v2 `cpu.max`, cgroup-v1 `cpu.cfs_quota_us`.

import CLinux

/// The processors of this process.
public enum CPU {
    /// CPUs that the calling thread may run on; at least 1.
    public static var count: Int {
        var allowed = weir_processors()
        return max(1, Int(weir_processors_allowed(&allowed)))
    }

    /// CPUs that the container's quota pays for, such as 0.5; nil without a quota.
    public static var quota: Double? {
        let v2 = ProcessUsage.text("/sys/fs/cgroup/cpu.max")
        if !v2.isEmpty { return quota(ofMax: v2) }
        let quota = ProcessUsage.text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        let period = ProcessUsage.text("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
        return self.quota(ofMax: "\(quota) \(period)")
    }

    /// A sensible number of cores: `count`, but no more than the quota rounded up.
    public static var usable: Int {
        guard let quota else { return count }
        return min(count, max(1, Int(quota.rounded(.up))))
    }

    /// The quota in a text like `50000 100000`; nil for `max 100000`, `-1 100000` and anything else.
    public static func quota(ofMax text: String) -> Double? {
        let fields = text.split(whereSeparator: \.isWhitespace)
        guard fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]) else {
            return nil
        }
        let cpus = quota / period
        return cpus.isFinite && cpus > 0 && cpus < 1e6 ? cpus : nil
    }
}
