// The few things a journal needs of a disk, as a protocol, so that tests can fill the disk at any byte and
// pull the plug at any call. `FileStorage` is the real one. One file is written, `journal.jsonl`; the files
// that it was rotated into are only read and removed.
//
// Invariant: after `append` has thrown, any prefix of its bytes may stand at the end of the file; the
// journal truncates back to the last durable byte before it writes again.

import Payload
import Platform

/// Where journal lines live.
package protocol JournalStorage: AnyObject {
    /// Bytes of a file of the journal; nil when there is none of that name.
    func size(of name: String) throws(SystemFailure) -> Int?
    /// `count` bytes from `offset` on, fewer at the end of the file.
    func read(_ name: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8]
    /// All of `bytes` at the end of the file that is written, or a failure.
    func append(_ bytes: [UInt8]) throws(SystemFailure)
    /// Returns when everything appended would survive a power cut.
    func sync() throws(SystemFailure)
    func truncate(to size: Int) throws(SystemFailure)
    /// Names of the rotated files, by their first line.
    func rotated() throws(SystemFailure) -> [String]
    /// Gives the file that is written another name, so that the next append begins a new one. A failure
    /// leaves it as it was.
    func rotate(to name: String) throws(SystemFailure)
    /// Blocks for `bytes` behind the first `size` ones of the file that is written, so that appends find them
    /// also on a full disk.
    func reserve(from size: Int, bytes: Int) throws(SystemFailure)
    /// Gives back what a rotated file has reserved.
    func release(_ name: String) throws(SystemFailure)
    /// Removes a rotated file.
    func remove(_ name: String) throws(SystemFailure)
    /// Keeps bytes that cannot stay in the journal; returns the file name they went to.
    func setAside(_ bytes: [UInt8], name: String) throws(SystemFailure) -> String
    /// The small record beside the journal that says how long it was: nil when there is none.
    func readHead() throws(SystemFailure) -> [UInt8]?
    func writeHead(_ bytes: [UInt8]) throws(SystemFailure)
}

/// What the files of a journal are called.
package enum JournalFiles {
    package static let active = "journal.jsonl"
    static let head = "journal.head"

    /// `journal-000000000401-20261121T115000Z.jsonl`: the number of its first line, and when it was closed.
    static func rotated(first: UInt64, wallMicros: UInt64) -> String {
        let digits = String(first)
        let number = String(repeating: "0", count: max(0, 12 - digits.count)) + digits
        let time = Timestamp.text(wallMicros: wallMicros).prefix(19).filter { $0 != "-" && $0 != ":" }
        return "journal-\(number)-\(time)Z.jsonl"
    }

    /// The first line's number in the name of a rotated file; nil for any other name.
    static func firstLine(of name: String) -> UInt64? {
        guard name.hasPrefix("journal-"), name.hasSuffix(".jsonl"),
            let number = UInt64(name.dropFirst("journal-".count).prefix { $0 != "-" }),
            (1...JournalNumber.lineMax).contains(number)
        else { return nil }
        return number
    }

    /// The rotated files among these names, by their first line.
    package static func inOrder(_ names: some Sequence<String>) -> [String] {
        names.compactMap { name in firstLine(of: name).map { (line: $0, name: name) } }
            .sorted { ($0.line, $0.name) < ($1.line, $1.name) }.map(\.name)
    }
}
