// How much memory this process may come to use: what its container allows, else what the machine has to
// spare. Read on demand; nothing here is kept. Source: cgroup-v2 `memory.max`, cgroup-v1
// `memory.limit_in_bytes`, proc(5).

/// A bound on the memory of this process.
public enum MemoryLimit: Sendable, Hashable {
    /// The smallest limit of the control groups that it is in: going over it ends the process.
    case container(bytes: Int)
    /// What the machine can give without swapping, as of now.
    case machine(bytes: Int)
    /// /proc is not there.
    case unknown

    public static var current: MemoryLimit { MemoryLimit { ProcessUsage.text($0) } }

    /// - Parameter read: a file's text; empty when it is missing.
    public init(read: (String) -> String) {
        var least: Int?
        for line in read("/proc/self/cgroup").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let root: String
            let file: String
            if parts[1].isEmpty {
                (root, file) = ("/sys/fs/cgroup", "memory.max")
            } else if parts[1].split(separator: ",").contains("memory") {
                (root, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                continue
            }
            // The path as the host sees it may not be there: inside a container the root is its own group.
            for folder in Self.ancestors(String(parts[2])) {
                guard let bytes = Self.bytes(read(root + folder + "/" + file)) else { continue }
                least = min(least ?? bytes, bytes)
            }
        }
        if let least {
            self = .container(bytes: least)
        } else if let bytes = Self.available(read("/proc/meminfo")) {
            self = .machine(bytes: bytes)
        } else {
            self = .unknown
        }
    }

    /// "/a/b", "/a" and "" of "/a/b".
    private static func ancestors(_ path: String) -> [String] {
        var parts = path.split(separator: "/").filter { $0 != ".." }
        var all: [String] = []
        while !parts.isEmpty {
            all.append("/" + parts.joined(separator: "/"))
            parts.removeLast()
        }
        return all + [""]
    }

    /// nil for "max", and for the huge number with which version 1 says the same.
    private static func bytes(_ text: String) -> Int? {
        guard let line = text.split(whereSeparator: \.isWhitespace).first, let bytes = Int(line),
            bytes > 0, bytes < 1 << 60
        else { return nil }
        return bytes
    }

    private static func available(_ meminfo: String) -> Int? {
        for line in meminfo.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count > 1, let kilobytes = Int(words[1]), kilobytes < 1 << 50 else { return nil }
            return kilobytes << 10
        }
        return nil
    }
}
