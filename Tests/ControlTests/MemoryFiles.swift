// A file layer in memory that stops before any of its calls, tears the write it stops in, fails a single
// call, fills up, and forgets what was not synced: names without the fsync of their directory, bytes without
// that of their file.

import Platform

@testable import Control

/// How a process ends.
enum Crash: CaseIterable {
    /// kill -9: what was written stands.
    case kill
    /// The machine: only what was synced stands.
    case power
}

final class MemoryFiles: FileLayer {
    final class Node {
        var bytes: [UInt8] = []
        var synced: [UInt8] = []
        /// Bytes that have their blocks, beyond the size too.
        var blocks = 0
    }

    private(set) var names: [String: Node] = [:]
    private var durable: [String: Node] = [:]
    /// Calls that change something, so far.
    private(set) var calls = 0
    /// The call that the process does not survive; what comes later does nothing.
    var diesAt = Int.max
    /// How much of a write is done when it dies in it.
    var tear = 0.5
    /// The call that fails, once, with EIO.
    var failsAt = Int.max
    /// Bytes that all files together may take.
    var capacity = Int.max
    private(set) var log: [String] = []

    /// What a new process finds.
    func after(_ crash: Crash) -> MemoryFiles {
        let next = MemoryFiles()
        for (name, node) in crash == .kill ? names : durable {
            let copy = Node()
            copy.bytes = crash == .kill ? node.bytes : node.synced
            copy.synced = copy.bytes
            copy.blocks = max(node.blocks, copy.bytes.count)
            next.names[name] = copy
        }
        next.durable = next.names
        next.capacity = capacity
        return next
    }

    /// Puts a file there from outside; nil: takes it away.
    func put(_ path: String, _ bytes: [UInt8]?) {
        names[path] = bytes.map { bytes in
            let node = Node()
            (node.bytes, node.synced, node.blocks) = (bytes, bytes, bytes.count)
            return node
        }
        durable = names
    }

    func bytes(_ path: String) -> [UInt8]? { names[path]?.bytes }

    var isDead: Bool { calls >= diesAt }
    /// What all files take.
    var used: Int { names.values.reduce(0) { $0 + $1.blocks } }

    /// - Returns: whether the process dies in this call.
    private func call(_ operation: String) throws(SystemFailure) -> Bool {
        guard calls < diesAt else { throw SystemFailure(operation: operation, errno: Errno(code: 5)) }
        calls += 1
        log.append(operation)
        if calls == failsAt { throw SystemFailure(operation: operation, errno: Errno(code: 5)) }
        return calls == diesAt
    }

    /// Dies before doing anything; a call is either done or not, except for writes.
    private func step(_ operation: String) throws(SystemFailure) {
        if try call(operation), tear < 1 { throw SystemFailure(operation: operation, errno: Errno(code: 5)) }
    }

    private func grow(_ node: Node, to size: Int, _ operation: String) throws(SystemFailure) {
        guard size > node.blocks else { return }
        let free = capacity == .max ? .max : max(0, capacity - used)
        guard size - node.blocks <= free else {
            throw SystemFailure(operation: operation, errno: Errno(code: 28))
        }
        node.blocks = size
    }

    // MARK: FileLayer

    func size(_ path: String) throws(SystemFailure) -> Int? { names[path]?.bytes.count }

    func read(_ path: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8] {
        let bytes = names[path]?.bytes ?? []
        return Array(bytes[min(offset, bytes.count)..<min(offset + count, bytes.count)])
    }

    func list(_ directory: String) throws(SystemFailure) -> [String] {
        names.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
            .sorted()
    }

    func openAppend(_ path: String) throws(SystemFailure) -> any LayerFile {
        if names[path] == nil {
            try step("create \(path)")
            names[path] = Node()
            try syncDirectory(of: path)
        }
        return Open(self, names[path] ?? Node(), path, isAppending: true)
    }

    func openOver(_ path: String) throws(SystemFailure) -> any LayerFile {
        try step("open \(path)")
        let node = names[path] ?? Node()
        names[path] = node
        return Open(self, node, path, isAppending: false)
    }

    func rename(_ old: String, to new: String) throws(SystemFailure) {
        try step("rename \(old)")
        names[new] = names.removeValue(forKey: old)
    }

    func remove(_ path: String) throws(SystemFailure) {
        try step("unlink \(path)")
        names[path] = nil
    }

    func syncDirectory(of path: String) throws(SystemFailure) {
        try step("fsync the directory of \(path)")
        durable = names
    }

    private final class Open: LayerFile {
        let files: MemoryFiles
        let node: Node
        let path: String
        let isAppending: Bool
        var position = 0

        init(_ files: MemoryFiles, _ node: Node, _ path: String, isAppending: Bool) {
            (self.files, self.node, self.path, self.isAppending) = (files, node, path, isAppending)
        }

        func write(_ bytes: [UInt8]) throws(SystemFailure) {
            let isLast = try files.call("write \(path)")
            var wanted = isLast ? Int(Double(bytes.count) * files.tear) : bytes.count
            if isAppending { position = node.bytes.count }
            let failure: SystemFailure?
            do throws(SystemFailure) {
                try files.grow(node, to: position + wanted, "write \(path)")
                failure = nil
            } catch {
                // A full disk takes what it has blocks for.
                wanted = max(0, min(wanted, node.blocks - position))
                failure = error
            }
            let end = position + wanted
            if node.bytes.count < end { node.bytes += [UInt8](repeating: 0, count: end - node.bytes.count) }
            node.bytes.replaceSubrange(position..<end, with: bytes.prefix(wanted))
            position = end
            if let failure { throw failure }
            if isLast { throw SystemFailure(operation: "write \(path)", errno: Errno(code: 5)) }
        }

        func sync() throws(SystemFailure) {
            try files.step("fsync \(path)")
            node.synced = node.bytes
        }

        func truncate(to size: Int) throws(SystemFailure) {
            try files.step("truncate \(path)")
            node.bytes = Array(node.bytes.prefix(size))
            node.blocks = node.bytes.count
        }

        func reserve(from: Int, bytes: Int) throws(SystemFailure) {
            try files.step("reserve \(path)")
            try files.grow(node, to: from + bytes, "reserve \(path)")
        }
    }
}
