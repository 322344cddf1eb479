// The terminal as a person's end of the process: whether one is there, how wide it is, and text written to
// it whole. Control and Demo decide what is said; this file only knows descriptors 1 and 2.
// Source: isatty(3), ioctl_tty(2) TIOCGWINSZ, https://no-color.org for the variable of that name.

import CLinux
import Glibc

/// Standard output and standard error.
public enum Terminal {
    /// One of the two.
    public enum Stream: Int32, Sendable {
        case output = 1
        case error = 2
    }

    /// Whether a person may be looking: the stream is a terminal and `TERM` is not `dumb`.
    public static func isAttached(_ stream: Stream) -> Bool {
        isatty(stream.rawValue) == 1 && variable("TERM") != "dumb"
    }

    /// Whether colours are welcome: `NO_COLOR` is unset or empty.
    public static var wantsColor: Bool { (variable("NO_COLOR") ?? "").isEmpty }

    /// Columns of the terminal behind standard output; nil without one.
    public static var columns: Int? {
        let columns = weir_terminal_columns(Stream.output.rawValue)
        return columns > 0 ? Int(columns) : nil
    }

    /// Writes a text whole; what a closed or full stream does not take is lost.
    public static func write(_ text: String, to stream: Stream = .output) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while rest.count > 0 {
                let count = weir_write(stream.rawValue, rest.baseAddress, rest.count)
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        return String(cString: value)
    }
}
