// What this process uses, for the process_* metrics and for the limits that a start-up checks. Read on
// demand from getrusage(2), getrlimit(2) and /proc; nothing here is kept.
// Source: proc(5).

import CLinux
import Glibc

/// The resources of this process.
public enum ProcessUsage {
    /// User and system CPU time of all threads, in seconds.
    public static var cpuSeconds: Double { Double(weir_cpu_micros()) / 1e6 }

    /// Resident memory in bytes; 0 when /proc is not there.
    public static var residentBytes: Int { memoryPages(1) * pageBytes }

    /// Reserved address space in bytes; 0 when /proc is not there. Large by design, see `Pages`.
    public static var virtualBytes: Int { memoryPages(0) * pageBytes }

    /// Open descriptors; 0 when /proc is not there.
    public static var openDescriptors: Int {
        guard let stream = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(stream) }
        var count = 0
        while readdir(stream) != nil { count += 1 }
        // Less `.`, `..` and the descriptor of the listing itself.
        return max(0, count - 3)
    }

    /// Most descriptors that may be open (the soft RLIMIT_NOFILE).
    public static var descriptorsMax: Int { Int(clamping: weir_descriptors_max()) }

    /// What that limit can be raised to (the hard RLIMIT_NOFILE).
    public static var descriptorsHardMax: Int { Int(clamping: weir_descriptors_hard_max()) }

    /// Raises the limit of open descriptors to what the system allows this process; returns the new limit.
    @discardableResult
    public static func raiseDescriptorsMax() -> Int {
        _ = weir_raise_descriptors_max()
        return descriptorsMax
    }

    /// When the process started, in seconds since 1970; 0 when /proc is not there.
    public static var startSeconds: Double {
        // Field 22 of /proc/self/stat, in clock ticks after boot; the name in field 2 may hold spaces.
        let fields = text("/proc/self/stat").split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 19, let ticks = Double(fields[19]) else { return 0 }
        for line in text("/proc/stat").split(separator: "\n") where line.hasPrefix("btime ") {
            guard let boot = Double(line.dropFirst(6)) else { return 0 }
            return boot + ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        }
        return 0
    }

    static func text(_ path: String) -> String {
        guard let bytes = try? File.readAll(path, bytesMax: 4 << 20) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func memoryPages(_ field: Int) -> Int {
        let fields = text("/proc/self/statm").split(whereSeparator: \.isWhitespace)
        return fields.count > field ? Int(fields[field]) ?? 0 : 0
    }

    private static var pageBytes: Int { max(1, sysconf(Int32(_SC_PAGESIZE))) }
}
