// A disk in memory that can be filled at any byte, be made to refuse any call, lose what was not synced, and
// be killed before any of its calls.

import Platform

@testable import Control

final class FaultyDisk: JournalStorage {
    /// Files by name, the rotated ones too.
    var files: [String: [UInt8]] = [:]
    /// What would survive a power cut.
    var synced: [UInt8] = []
    var head: [UInt8]?
    /// What every reservation fails with.
    var reserveErrno: Int32?
    var aside: [(name: String, bytes: [UInt8])] = []
    /// Appends beyond this size write what fits and fail.
    var capacity = Int.max
    var syncFails = false
    var renameFails = false
    private(set) var syncs = 0
    var isReadOnly = false
    /// Changing calls that are still obeyed; afterwards the process is dead and nothing happens any more.
    var callsLeft = Int.max

    init(_ bytes: [UInt8] = [], head: [UInt8]? = nil) {
        if !bytes.isEmpty { files[JournalFiles.active] = bytes }
        synced = bytes
        self.head = head
    }

    /// A copy as a new process finds it.
    func reopened() -> FaultyDisk {
        let copy = FaultyDisk()
        copy.files = files
        copy.synced = bytes
        copy.head = head
        return copy
    }

    /// The file that is written.
    var bytes: [UInt8] {
        get { files[JournalFiles.active] ?? [] }
        set { files[JournalFiles.active] = newValue }
    }

    private func check(_ operation: String) throws(SystemFailure) {
        if isReadOnly { throw SystemFailure(operation: operation, errno: Errno(code: 30)) }
        if callsLeft <= 0 { throw SystemFailure(operation: operation, errno: Errno(code: 5)) }
        callsLeft -= 1
    }

    func size(of name: String) throws(SystemFailure) -> Int? { files[name]?.count }

    func read(_ name: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8] {
        let bytes = files[name] ?? []
        return Array(bytes[min(offset, bytes.count)..<min(offset + count, bytes.count)])
    }

    func append(_ more: [UInt8]) throws(SystemFailure) {
        try check("write")
        let room = max(0, capacity - bytes.count)
        // The last write of a killed process may stop anywhere; here in the middle.
        let written = callsLeft == 0 ? min(room, more.count / 2) : room
        bytes += more.prefix(written)
        if written < more.count { throw SystemFailure(operation: "write", errno: Errno(code: 28)) }
    }

    func sync() throws(SystemFailure) {
        try check("fsync")
        if syncFails { throw SystemFailure(operation: "fsync", errno: Errno(code: 5)) }
        synced = bytes
        syncs += 1
    }

    func truncate(to size: Int) throws(SystemFailure) {
        try check("ftruncate")
        bytes = Array(bytes[..<size])
    }

    func rotated() throws(SystemFailure) -> [String] { JournalFiles.inOrder(files.keys) }

    func rotate(to name: String) throws(SystemFailure) {
        try check("rename")
        if renameFails { throw SystemFailure(operation: "rename", errno: Errno(code: 13)) }
        files[name] = files.removeValue(forKey: JournalFiles.active)
    }

    func reserve(from size: Int, bytes: Int) throws(SystemFailure) {
        if let reserveErrno { throw SystemFailure(operation: "reserve", errno: Errno(code: reserveErrno)) }
    }
    func release(_ name: String) throws(SystemFailure) {}

    func remove(_ name: String) throws(SystemFailure) {
        try check("unlink")
        files[name] = nil
    }

    func setAside(_ bytes: [UInt8], name: String) throws(SystemFailure) -> String {
        try check("open")
        aside.append((name, bytes))
        return name
    }

    func readHead() throws(SystemFailure) -> [UInt8]? { head }

    func writeHead(_ bytes: [UInt8]) throws(SystemFailure) {
        try check("write")
        head = bytes
    }

    /// Lines of the file that is written.
    var lines: [String] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The journal's files in their order.
    var journal: [AuditFile] {
        (JournalFiles.inOrder(files.keys) + [JournalFiles.active]).compactMap { name in
            files[name].map { AuditFile(name: name, bytes: $0) }
        }
    }
}
