// A disk in memory that can be filled at any byte, be made to refuse any call, and lose what was not synced.

import Platform

@testable import Control

final class FaultyDisk: JournalStorage {
    var bytes: [UInt8] = []
    /// What would survive a power cut.
    var synced: [UInt8] = []
    var head: [UInt8]?
    var aside: [(name: String, bytes: [UInt8])] = []
    /// Appends beyond this size write what fits and fail.
    var capacity = Int.max
    var syncFails = false
    private(set) var syncs = 0
    var isReadOnly = false

    init(_ bytes: [UInt8] = [], head: [UInt8]? = nil) {
        self.bytes = bytes
        synced = bytes
        self.head = head
    }

    private func check(_ operation: String) throws(SystemFailure) {
        if isReadOnly { throw SystemFailure(operation: operation, errno: Errno(code: 30)) }
    }

    func scan(_ body: ([UInt8]) -> Void) throws(SystemFailure) {
        // Odd pieces, so that lines are cut everywhere.
        var rest = bytes[...]
        while !rest.isEmpty {
            body(Array(rest.prefix(7)))
            rest = rest.dropFirst(7)
        }
    }

    func append(_ more: [UInt8]) throws(SystemFailure) {
        try check("write")
        let room = max(0, capacity - bytes.count)
        bytes += more.prefix(room)
        if room < more.count { throw SystemFailure(operation: "write", errno: Errno(code: 28)) }
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

    var lines: [String] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
