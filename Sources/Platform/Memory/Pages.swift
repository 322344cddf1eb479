// Memory from the kernel, in pages, zeroed and lazily touched: a table sized for the worst case costs
// address space, not memory, until it is used. The bounded tables of a core live here.
// Source: mmap(2), MAP_NORESERVE; madvise(2), MADV_NOHUGEPAGE.

import CLinux

/// Anonymous memory.
public enum Pages {
    /// Zeroed memory, page-aligned; resident only where touched (mmap, MAP_NORESERVE, no huge pages).
    /// Traps when the kernel refuses: it happens at start-up only and leaves nothing to run with.
    public static func allocate(bytes: Int) -> UnsafeMutableRawPointer {
        precondition(bytes > 0, "some memory")
        guard let start = weir_pages(bytes) else {
            fatalError("the kernel refused \(bytes) bytes: check ulimit -v and vm.overcommit_memory")
        }
        return start
    }

    /// Gives back what `allocate` returned, with the same size.
    public static func release(_ start: UnsafeMutableRawPointer, bytes: Int) {
        precondition(bytes > 0, "some memory")
        weir_pages_release(start, bytes)
    }

    /// Gives the pages of code back that only start-up needed. What runs on comes back from the page cache at
    /// its next use, so this costs some minor faults and no correctness: code is never modified.
    public static func dropStartupCode() { weir_drop_code() }
}
