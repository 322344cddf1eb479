// Laws of the memory limit: the smallest of a container's groups counts, in both versions of control groups;
// without one the machine's spare memory does.

import Platform
import Testing

@Suite struct MemoryLimitTests {
    private func limit(_ files: [String: String]) -> MemoryLimit { MemoryLimit { files[$0] ?? "" } }
    private static let meminfo = "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable:   2048 kB\n"

    @Test("Of nested groups the smallest limit counts")
    func nested() {
        let files = [
            "/proc/self/cgroup": "0::/a/b/c\n", "/proc/meminfo": Self.meminfo,
            "/sys/fs/cgroup/a/b/c/memory.max": "max\n", "/sys/fs/cgroup/a/b/memory.max": "1000000\n",
            "/sys/fs/cgroup/a/memory.max": "2000000\n",
        ]
        #expect(limit(files) == .container(bytes: 1_000_000))
    }

    @Test("Inside a container, where the group's path of the host is not there, its root counts")
    func root() {
        let files = [
            "/proc/self/cgroup": "0::/../../docker/x\n", "/sys/fs/cgroup/memory.max": "268435456\n",
        ]
        #expect(limit(files) == .container(bytes: 256 << 20))
    }

    @Test("Version 1 says it in its own file, and no limit by a huge number")
    func versionOne() {
        let cgroup = "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n"
        let path = "/sys/fs/cgroup/memory/x/memory.limit_in_bytes"
        #expect(limit(["/proc/self/cgroup": cgroup, path: "4096\n"]) == .container(bytes: 4_096))
        let unlimited = [
            "/proc/self/cgroup": cgroup, path: "9223372036854771712\n", "/proc/meminfo": Self.meminfo,
        ]
        #expect(limit(unlimited) == .machine(bytes: 2 << 20))
    }

    @Test(
        "What is not there or makes no sense is no limit",
        arguments: ["", "0::", "0::/a", "garbage\n::\n", "0::/a\n0::/a"],
        ["", "x", "-5", "0", "99999999999999999999"])
    func nonsense(cgroup: String, max: String) {
        let files = ["/proc/self/cgroup": cgroup, "/sys/fs/cgroup/a/memory.max": max]
        #expect(limit(files) == .unknown)
    }

    @Test("Here there is some memory")
    func here() {
        switch MemoryLimit.current {
        case .container(let bytes), .machine(let bytes): #expect(bytes > 1 << 20)
        case .unknown: Issue.record("neither a control group nor /proc/meminfo")
        }
    }
}
