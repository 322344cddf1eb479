// What the command line needs of the process it runs in: two streams, an exit, the user's name. Here, because
// the weir target parses words and nothing else. Invariant: answers go to standard output, complaints to
// standard error, so that output can be piped; neither carries a character that a terminal would obey.

import Glibc
import Payload
import Platform

/// The process as the command line sees it.
package enum Console {
    /// A page on standard output. Whoever composed it has put foreign text on one line each (`JSON.line`);
    /// what else a terminal would obey is escaped here, in JSON's form, so that JSON stays what it is.
    package static func write(_ page: String) { Terminal.write(ForeignText.page(page)) }

    /// A complaint on standard error, and a line feed.
    package static func complain(_ page: String) { Terminal.write(ForeignText.page(page) + "\n", to: .error) }

    package static func exit(_ code: Int32) -> Never { Glibc.exit(code) }

    /// Who runs this process, for the journal: the name in `USER`, else the uid.
    package static var user: String {
        let name = getenv("USER").map { String(cString: $0) } ?? ""
        return name.isEmpty ? "uid \(getuid())" : name
    }

    /// The wall clock, microseconds since 1970.
    package static var wallMicros: UInt64 { Clock.wallMicros() }

    /// Waits, for commands that look again and again.
    package static func pause(millis: Int32) {
        _ = try? MailboxWait(Poller(eventsMax: 1)).wait(timeoutMillis: millis)
    }

    /// Whether there is a folder at a path.
    package static func isFolder(_ path: String) -> Bool {
        var found = stat()
        return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether a file can be opened for reading.
    package static func isReadable(_ path: String) -> Bool { (try? File.openRead(path)) != nil }
}
