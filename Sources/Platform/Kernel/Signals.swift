// Signals as readable events: blocked everywhere, then read from a descriptor like any other input, so no
// handler ever runs in the middle of anything.
// Source: signalfd(2).

import CLinux
import Glibc

/// Signal handling through signalfd(2).
public enum Signals {
    /// Blocks signals in the calling thread and in all threads that it starts from now on. To be called
    /// first thing in the process, before any thread exists.
    public static func block(_ numbers: [Int32]) {
        var set = signalSet(numbers)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// A descriptor that turns readable when one of these signals arrives; they must be blocked.
    public static func descriptor(for numbers: [Int32]) throws(SystemFailure) -> Descriptor {
        var set = signalSet(numbers)
        return Descriptor(adopting: try check(weir_signal_descriptor(&set), "create a signal descriptor"))
    }

    /// The next signal that arrived, or nil. Several of the same number may have become one.
    public static func next(_ descriptor: borrowing Descriptor) -> Int32? {
        let number = weir_next_signal(descriptor.raw)
        return number > 0 ? number : nil
    }

    /// A write to a pipe that nobody reads becomes EPIPE instead of the end of the process.
    public static func ignoreBrokenPipe() { weir_ignore_signal(SIGPIPE) }

    private static func signalSet(_ numbers: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in numbers { sigaddset(&set, number) }
        return set
    }
}
