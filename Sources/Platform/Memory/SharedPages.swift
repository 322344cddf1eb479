// Memory that several threads look at, each word by the discipline its owner states (single writer, relaxed
// atomics). This is the one door through which raw memory crosses threads.
// Invariant: the pages live as long as the one value that owns them; views must not outlive it.

/// Zeroed pages that may be used from any thread; released with the last owner.
///
/// Unchecked, because the compiler cannot see the discipline: every user keeps to words with one writing
/// thread.
public struct SharedPages: ~Copyable, @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int

    /// - Parameter byteCount: rounded up to whole pages by the kernel; untouched pages cost nothing.
    public init(byteCount: Int) {
        base = Pages.allocate(bytes: byteCount)
        self.byteCount = byteCount
    }

    deinit {
        Pages.release(base, bytes: byteCount)
    }
}
