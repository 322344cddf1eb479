// The journal on a real disk: `journal.jsonl` and `journal.head` in the state directory.
// Place: behind `JournalStorage`; opened by the first call that writes, so that a read-only disk shows there.
// Invariant: after a failed fsync the descriptor is never used again.

import Platform

/// Journal files in a state directory. Owner: the ledger's thread.
final class FileStorage: JournalStorage {
    private let directory: String
    private var opened: Directory?
    private var file: Descriptor?

    /// In a directory that is locked already.
    init(_ directory: Directory) {
        self.directory = directory.path
        opened = directory
    }

    /// For readers; the directory is opened by the first call.
    init(directory: String) { self.directory = directory }

    private func files() throws(SystemFailure) -> Directory {
        if let opened { return opened }
        let made = try Directory(directory, links: .followed)
        opened = made
        return made
    }

    static func journalPath(in directory: String) -> String { directory + "/" + JournalFiles.active }
    static func headPath(in directory: String) -> String { directory + "/" + JournalFiles.head }

    private var path: String { Self.journalPath(in: directory) }

    func size(of name: String) throws(SystemFailure) -> Int? {
        guard let reader = try openIfThere(name) else { return nil }
        return try File.size(reader, path: directory + "/" + name)
    }

    func read(_ name: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8] {
        guard let reader = try openIfThere(name) else { return [] }
        return try File.read(reader, from: offset, count: count, path: directory + "/" + name)
    }

    func rotated() throws(SystemFailure) -> [String] {
        JournalFiles.inOrder(try files().list().map(\.name))
    }

    /// The open descriptor goes on to mean the old file, so it is let go once the name has changed.
    func rotate(to name: String) throws(SystemFailure) {
        guard try size(of: name) == nil else {
            throw SystemFailure(operation: "rename \(path) to \(name)", errno: .exists)
        }
        do throws(SystemFailure) {
            try files().rename(JournalFiles.active, to: name)
        } catch {
            // Renamed, but the directory's fsync failed: the one that makes the new file durable follows.
            guard (try? size(of: JournalFiles.active)) == .some(nil) else { throw error }
        }
        file = nil
    }

    func remove(_ name: String) throws(SystemFailure) {
        try files().remove(name)
        try files().sync()
    }

    private func openIfThere(_ name: String) throws(SystemFailure) -> Descriptor? {
        do throws(SystemFailure) {
            return try files().openRead(name)
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
    }

    func append(_ bytes: [UInt8]) throws(SystemFailure) {
        try withFile { file throws(SystemFailure) in try File.write(bytes, to: file, path: path) }
    }

    /// After a failed fsync the kernel may count lost pages as clean, so the descriptor is let go: the
    /// journal truncates and writes again through a fresh one.
    func sync() throws(SystemFailure) {
        do throws(SystemFailure) {
            try withFile { file throws(SystemFailure) in try File.sync(file, path: path) }
        } catch {
            file = nil
            throw error
        }
    }

    func truncate(to size: Int) throws(SystemFailure) {
        try withFile { file throws(SystemFailure) in try File.truncate(file, bytes: size, path: path) }
    }

    private func withFile(
        _ body: (borrowing Descriptor) throws(SystemFailure) -> Void
    ) throws(SystemFailure) {
        if file == nil { file = try files().openAppend(JournalFiles.active) }
        guard let open = file.take() else { return }
        do throws(SystemFailure) {
            try body(open)
        } catch {
            file = consume open
            throw error
        }
        file = consume open
    }

    func setAside(_ bytes: [UInt8], name: String) throws(SystemFailure) -> String {
        try files().replace(name, with: bytes)
        return name
    }

    func readHead() throws(SystemFailure) -> [UInt8]? {
        do throws(SystemFailure) {
            return try files().readAll(JournalFiles.head, bytesMax: 4 << 10)
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
    }

    func writeHead(_ bytes: [UInt8]) throws(SystemFailure) {
        try files().replace(JournalFiles.head, with: bytes)
    }
}
