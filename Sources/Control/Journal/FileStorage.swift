// The journal on a real disk: `journal.jsonl` and `journal.head` in the state directory.
// Place: behind `JournalStorage`; opened by the first call that writes, so that a read-only disk shows there.
// Invariant: after a failed fsync the descriptor is never used again.

import Platform

/// Journal files in a state directory. Owner: the ledger's thread.
package final class FileStorage: JournalStorage {
    private let directory: String
    private let files: any FileLayer
    private var file: (any LayerFile)?

    init(directory: String, files: any FileLayer) {
        self.directory = directory
        self.files = files
    }

    /// In a directory that is locked already.
    package convenience init(_ directory: Directory) {
        self.init(directory: directory.path, files: DiskFiles(directory))
    }

    /// For readers; the directory is opened by the first call.
    convenience init(directory: String) { self.init(directory: directory, files: DiskFiles(directory)) }

    package static func journalPath(in directory: String) -> String { directory + "/" + JournalFiles.active }
    static func headPath(in directory: String) -> String { directory + "/" + JournalFiles.head }

    private var path: String { Self.journalPath(in: directory) }
    private func path(_ name: String) -> String { directory + "/" + name }

    package func size(of name: String) throws(SystemFailure) -> Int? { try files.size(path(name)) }

    package func read(_ name: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8] {
        try files.read(path(name), from: offset, count: count)
    }

    package func rotated() throws(SystemFailure) -> [String] {
        JournalFiles.inOrder(try files.list(directory))
    }

    /// The open descriptor goes on to mean the old file, so it is let go once the name has changed.
    package func rotate(to name: String) throws(SystemFailure) {
        guard try size(of: name) == nil else {
            throw SystemFailure(operation: "rename \(path) to \(name)", errno: .exists)
        }
        do throws(SystemFailure) {
            try files.rename(path, to: path(name))
            try files.syncDirectory(of: path)
        } catch {
            // Renamed, but the directory's fsync failed: the one that makes the new file durable follows.
            guard (try? size(of: JournalFiles.active)) == .some(nil) else { throw error }
        }
        file = nil
    }

    package func remove(_ name: String) throws(SystemFailure) {
        try files.remove(path(name))
        try files.syncDirectory(of: path)
    }

    package func append(_ bytes: [UInt8]) throws(SystemFailure) { try opened().write(bytes) }

    /// After a failed fsync the kernel may count lost pages as clean, so the descriptor is let go: the
    /// journal truncates and writes again through a fresh one.
    package func sync() throws(SystemFailure) {
        do throws(SystemFailure) {
            try opened().sync()
        } catch {
            file = nil
            throw error
        }
    }

    package func truncate(to size: Int) throws(SystemFailure) { try opened().truncate(to: size) }

    package func reserve(from size: Int, bytes: Int) throws(SystemFailure) {
        try opened().reserve(from: size, bytes: bytes)
    }

    package func release(_ name: String) throws(SystemFailure) {
        guard let size = try size(of: name) else { return }
        try files.openAppend(path(name)).truncate(to: size)
    }

    private func opened() throws(SystemFailure) -> any LayerFile {
        if let file { return file }
        let opened = try files.openAppend(path)
        file = opened
        return opened
    }

    package func setAside(_ bytes: [UInt8], name: String) throws(SystemFailure) -> String {
        try files.replace(path(name), with: bytes)
        return name
    }

    package func readHead() throws(SystemFailure) -> [UInt8]? {
        try files.readAll(Self.headPath(in: directory), bytesMax: JournalHead.bytesMax)
    }

    package func writeHead(_ bytes: [UInt8]) throws(SystemFailure) {
        try files.replace(Self.headPath(in: directory), with: bytes)
    }
}
