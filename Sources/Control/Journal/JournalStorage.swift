// The few things a journal needs of a disk, as a protocol, so that tests can fill the disk at any byte and
// pull the plug at any call. `FileStorage` is the real one.
//
// Invariant: after `append` has thrown, any prefix of its bytes may stand at the end of the file; the
// journal truncates back to the last durable byte before it writes again.

import Platform

/// Where journal lines live.
protocol JournalStorage: AnyObject {
    /// Hands over the whole journal file in pieces, in order; nothing when there is none.
    func scan(_ body: ([UInt8]) -> Void) throws(SystemFailure)
    /// All of `bytes` at the end, or a failure.
    func append(_ bytes: [UInt8]) throws(SystemFailure)
    /// Returns when everything appended would survive a power cut.
    func sync() throws(SystemFailure)
    func truncate(to size: Int) throws(SystemFailure)
    /// Keeps bytes that cannot stay in the journal; returns the file name they went to.
    func setAside(_ bytes: [UInt8], name: String) throws(SystemFailure) -> String
    /// The small record beside the journal that says how long it was: nil when there is none.
    func readHead() throws(SystemFailure) -> [UInt8]?
    func writeHead(_ bytes: [UInt8]) throws(SystemFailure)
}

/// `journal.head`: the number and hash of the last durable line, so that a tail cut off can be told from a
/// tail never written. Written after the line is durable, hence never ahead of an honest journal.
struct JournalHead: Equatable {
    var lines: UInt64
    var hash: ChainHash

    init(lines: UInt64, hash: ChainHash) {
        self.lines = lines
        self.hash = hash
    }

    /// nil when the bytes are not a head (torn, or of another format).
    init?(bytes: [UInt8]) {
        guard let value = try? JSON(parsing: bytes), let lines = value["lines"]?.integer, lines >= 0,
            let hash = value["hash"]?.string, hash.utf8.count == 64
        else { return nil }
        self.init(lines: UInt64(lines), hash: ChainHash(hex: hash))
    }

    /// Always the same length for up to 10^18 lines, so that a rewrite in place leaves no rest.
    var bytes: [UInt8] {
        let text = JSON.object([
            .init("lines", .count(lines)), .init("hash", .string(hash.hex)),
        ]).text
        return Array((text + String(repeating: " ", count: max(0, 120 - text.utf8.count)) + "\n").utf8)
    }
}
