// What the command line needs of the process it runs in: two streams, an exit, the user's name. Here, because
// the weir target parses words and nothing else. Invariant: answers go to standard output, complaints to
// standard error, so that output can be piped.

import Glibc
import Platform

/// The process as the command line sees it.
public enum Console {
    /// Text on standard output, as it is.
    public static func write(_ text: String) { Terminal.write(text) }

    /// A line on standard error.
    public static func complain(_ line: String) { Terminal.write(line + "\n", to: .error) }

    public static func exit(_ code: Int32) -> Never { Glibc.exit(code) }

    /// Who runs this process, for the journal: the name in `USER`, else the uid.
    public static var user: String {
        let name = getenv("USER").map { String(cString: $0) } ?? ""
        return name.isEmpty ? "uid \(getuid())" : name
    }

    /// The wall clock, microseconds since 1970.
    public static var wallMicros: UInt64 { Clock.wallMicros() }

    /// Waits, for commands that look again and again.
    public static func pause(millis: Int32) {
        _ = try? MailboxWait(Poller(eventsMax: 1)).wait(timeoutMillis: millis)
    }

    /// Whether a file can be opened for reading.
    public static func isReadable(_ path: String) -> Bool { (try? File.openRead(path)) != nil }
}
