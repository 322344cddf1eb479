// Directories: making them, making their entries durable, and looking through them, as the bounded
// captures directory needs.
// Source: fsync(2), which makes a file durable but not its name; that takes the fsync of its directory.

import CLinux
import Glibc

extension File {
    /// One file of a directory.
    public struct Entry: Sendable, Equatable {
        /// Name inside the directory.
        public let name: String
        public let bytes: Int
        /// Last modification, seconds since 1970.
        public let modifiedSeconds: Int

        public init(name: String, bytes: Int, modifiedSeconds: Int) {
            self.name = name
            self.bytes = bytes
            self.modifiedSeconds = modifiedSeconds
        }
    }

    /// The directory that holds a path's last component.
    public static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes the creation, renaming or removal of a name durable (fsync(2) of its directory).
    public static func syncDirectory(of path: String) throws(SystemFailure) {
        let directory = directory(of: path)
        let descriptor = try open(directory, O_RDONLY | O_DIRECTORY, 0, "open \(directory)")
        try sync(descriptor, path: directory)
    }

    /// Makes a directory and those above it, where they are missing.
    public static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(SystemFailure) {
        var result = weir_make_directory(path, mode)
        if result == 0 &- ENOENT, directory(of: path) != path {
            try makeDirectory(directory(of: path), mode: mode)
            result = weir_make_directory(path, mode)
        }
        if result == 0 { return try syncDirectory(of: path) }
        var status = stat()
        if result == 0 &- EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
        _ = try check(result, "make directory \(path)")
    }

    /// The regular files of a directory in order of name; symbolic links and what vanishes meanwhile are
    /// left out.
    public static func list(_ path: String) throws(SystemFailure) -> [Entry] {
        do throws(SystemFailure) {
            return try Directory(path, links: .followed).list()
        } catch {
            throw SystemFailure(operation: "list \(path)", errno: error.errno)
        }
    }
}
