// Weir's own log: one event, one line on standard error, in the order time, level, message, metadata. What
// supervisors (journald, container runtimes) expect; no colours, no multi-line values.
// Invariant: a line is written by one call, so that lines of several threads do not mix; whatever a peer
// wrote into it, it is one line of bounded length without control characters (`ForeignText`).

import Logging
import Payload
import Platform

/// A swift-log handler that writes one line per event.
struct LineLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    /// Of a message; each value of the metadata has `ForeignText.lineBytesMax`.
    static let messageBytesMax = 16 << 10
    /// Takes a whole line with its newline in one write, so that lines of several threads do not mix.
    private let write: @Sendable (String) -> Void

    init(write: @escaping @Sendable (String) -> Void) { self.write = write }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let own = event.metadata { all.merge(own) { $1 } }
        var line = Timestamp.text(wallMicros: Clock.wallMicros()) + " \(event.level) "
        line += ForeignText.line("\(event.message)", bytesMax: Self.messageBytesMax)
        for (name, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " \(name)=" + Self.quoted("\(value)")
        }
        write(line + "\n")
    }

    /// A value as it is where it is one word of ASCII, else as a JSON string.
    private static func quoted(_ text: String) -> String {
        let isWord =
            !text.isEmpty && text.utf8.count <= ForeignText.lineBytesMax
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x3D }
        if isWord { return text }
        // Bound before quoting: a string that is cut must still end with its quote.
        var quoted = ""
        ForeignText.quote(ForeignText.shortened(text), to: &quoted)
        return quoted
    }
}

/// The log of the whole process.
package enum WeirLog {
    /// The words for least levels, most talkative first.
    package static let levels = Logger.Level.allCases.map(\.rawValue)

    /// A logger that writes lines to standard error.
    static func standardError(level: Logger.Level = .info) -> Logger {
        logger(level: level) { line in
            // Borrowed, not owned: released again, so that standard error stays open.
            let descriptor = Descriptor(adopting: 2)
            try? File.write(line.utf8, to: descriptor, path: "standard error")
            _ = descriptor.release()
        }
    }

    /// A logger that hands its lines to `write`, from any thread.
    static func logger(
        level: Logger.Level = .info, write: @escaping @Sendable (String) -> Void
    ) -> Logger {
        var logger = Logger(label: "weir") { _ in LineLog(write: write) }
        logger.logLevel = level
        return logger
    }

    /// A logger that says nothing: for embedding, where the host shows what it wants.
    package static func silent() -> Logger { Logger(label: "weir") { _ in SwiftLogNoOpLogHandler() } }
}
