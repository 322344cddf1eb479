// Weir's own log: one event, one line on standard error, in the order time, level, message, metadata. What
// supervisors (journald, container runtimes) expect; no colours, no multi-line values.
// Invariant: a line is written by one call, so that lines of several threads do not mix.

import Logging
import Platform

/// A swift-log handler that writes one line per event.
struct LineLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
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
        line += Self.flat("\(event.message)")
        for (name, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " \(name)=" + Self.quoted("\(value)")
        }
        write(line + "\n")
    }

    /// One line, whatever was in it.
    static func flat(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            return text
        }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }

    private static func quoted(_ text: String) -> String {
        let plain = !text.isEmpty && !text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        return plain ? flat(text) : JSON.string(text).text
    }
}

/// The log of the whole process.
public enum WeirLog {
    /// The words for least levels, most talkative first.
    public static let levels = Logger.Level.allCases.map(\.rawValue)

    /// A logger that writes lines to standard error.
    public static func standardError(level: Logger.Level = .info) -> Logger {
        logger(level: level) { line in
            // Borrowed, not owned: released again, so that standard error stays open.
            let descriptor = Descriptor(adopting: 2)
            try? File.write(line.utf8, to: descriptor, path: "standard error")
            _ = descriptor.release()
        }
    }

    /// A logger that hands its lines to `write`, from any thread.
    public static func logger(
        level: Logger.Level = .info, write: @escaping @Sendable (String) -> Void
    ) -> Logger {
        var logger = Logger(label: "weir") { _ in LineLog(write: write) }
        logger.logLevel = level
        return logger
    }

    /// A logger that says nothing: for embedding, where the host shows what it wants.
    public static func silent() -> Logger { Logger(label: "weir") { _ in SwiftLogNoOpLogHandler() } }
}
