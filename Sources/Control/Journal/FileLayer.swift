// The calls on files that durable state is made of, one method per system call, so that tests can stop the
// process before any of them, write half of what was asked, fill the disk, or lose what was not synced.
// Place: under `FileStorage` (journal) and `StateFile` (rollouts.json). `DiskFiles` is the real one.
// Invariant: nothing here retries, orders or hides a call; what makes a step durable is in the callers.

import Platform

/// A file that is open for writing. Writes go to its end, or from its start on, as it was opened.
protocol LayerFile: AnyObject {
    func write(_ bytes: [UInt8]) throws(SystemFailure)
    func sync() throws(SystemFailure)
    func truncate(to size: Int) throws(SystemFailure)
    /// Blocks for `bytes` from `from` on; the size stays.
    func reserve(from: Int, bytes: Int) throws(SystemFailure)
}

/// Files by path.
protocol FileLayer: AnyObject {
    /// Size in bytes; nil when there is no such file.
    func size(_ path: String) throws(SystemFailure) -> Int?
    /// `count` bytes from `offset` on, fewer at the end; none when there is no such file.
    func read(_ path: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8]
    func list(_ directory: String) throws(SystemFailure) -> [String]
    /// Opens for appending; a file that is created is durable by name.
    func openAppend(_ path: String) throws(SystemFailure) -> any LayerFile
    /// Opens for writing over what is there.
    func openOver(_ path: String) throws(SystemFailure) -> any LayerFile
    func rename(_ old: String, to new: String) throws(SystemFailure)
    /// Does nothing when there is no such file.
    func remove(_ path: String) throws(SystemFailure)
    /// Makes names in the directory of `path` durable.
    func syncDirectory(of path: String) throws(SystemFailure)
}

extension FileLayer {
    /// The whole file; nil when there is none.
    func readAll(_ path: String, bytesMax: Int) throws(SystemFailure) -> [UInt8]? {
        guard let size = try size(path) else { return nil }
        guard size <= bytesMax else {
            throw SystemFailure(operation: "read \(path)", errno: .fileTooLarge)
        }
        return try read(path, from: 0, count: size)
    }

    /// Replaces a file as a whole: after a crash at any instant it has the old bytes or the new ones.
    func replace(_ path: String, with bytes: [UInt8]) throws(SystemFailure) {
        let temporary = path + ".new"
        do throws(SystemFailure) {
            let file = try openOver(temporary)
            try file.truncate(to: 0)
            try file.write(bytes)
            try file.sync()
            try rename(temporary, to: path)
        } catch {
            try? remove(temporary)
            throw error
        }
        try syncDirectory(of: path)
    }
}

/// The files of one directory of the machine, opened as `Directory` does it: no link in it is followed.
final class DiskFiles: FileLayer {
    private final class Open: LayerFile {
        private let descriptor: Descriptor
        private let path: String

        init(_ descriptor: consuming Descriptor, _ path: String) {
            self.descriptor = descriptor
            self.path = path
        }

        func write(_ bytes: [UInt8]) throws(SystemFailure) {
            try File.write(bytes, to: descriptor, path: path)
        }
        func sync() throws(SystemFailure) { try File.sync(descriptor, path: path) }
        func truncate(to size: Int) throws(SystemFailure) {
            try File.truncate(descriptor, bytes: size, path: path)
        }
        func reserve(from: Int, bytes: Int) throws(SystemFailure) {
            try File.reserve(descriptor, from: from, bytes: bytes, path: path)
        }
    }

    private let path: String
    private var opened: Directory?

    init(_ directory: Directory) {
        path = directory.path
        opened = directory
    }

    /// The directory is opened by the first call.
    init(_ path: String) { self.path = path }

    private func directory() throws(SystemFailure) -> Directory {
        if let opened { return opened }
        let made = try Directory(path, links: .followed)
        opened = made
        return made
    }

    private func name(_ path: String) -> String {
        precondition(File.directory(of: path) == self.path, "a file of another directory")
        return String(path.dropFirst(self.path.count + 1))
    }

    func size(_ path: String) throws(SystemFailure) -> Int? {
        guard let file = try openIfThere(path) else { return nil }
        return try File.size(file, path: path)
    }

    func read(_ path: String, from offset: Int, count: Int) throws(SystemFailure) -> [UInt8] {
        guard let file = try openIfThere(path) else { return [] }
        return try File.read(file, from: offset, count: count, path: path)
    }

    func list(_ directory: String) throws(SystemFailure) -> [String] {
        try self.directory().list().map(\.name)
    }

    func openAppend(_ path: String) throws(SystemFailure) -> any LayerFile {
        Open(try directory().openAppend(name(path)), path)
    }

    func openOver(_ path: String) throws(SystemFailure) -> any LayerFile {
        Open(try directory().openOver(name(path)), path)
    }

    func rename(_ old: String, to new: String) throws(SystemFailure) {
        try directory().renameOnly(name(old), to: name(new))
    }
    func remove(_ path: String) throws(SystemFailure) { try directory().remove(name(path)) }
    func syncDirectory(of path: String) throws(SystemFailure) { try directory().sync() }

    private func openIfThere(_ path: String) throws(SystemFailure) -> Descriptor? {
        do throws(SystemFailure) {
            return try directory().openRead(name(path))
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
    }
}
