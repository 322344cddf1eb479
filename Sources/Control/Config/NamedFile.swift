// The files that a config names. A relative path starts at the folder of the config file, whatever the
// working directory is, so that a config and what it names move together; this is so for every key.
// Place: read with the key that names it; `weir check`, a start and a reload look whether it is there.
// Invariant: looking opens nothing, so that neither a FIFO nor a device keeps anybody; what reads the file
// later opens it by `File.openRegular`, which waits for nobody either.

import Glibc
import Platform

/// What a named file is for.
enum FileUse: Sendable {
    /// It must be a regular file, with something in it.
    case read
    /// Its folder must be there, and it must not be a folder itself. It may be a pipe or a device, such as
    /// /dev/stdout.
    case appended
    /// It must be a program that may be run.
    case run
}

/// What keeps a file from its use; nil: nothing.
typealias FileLook = @Sendable (_ path: String, _ use: FileUse) -> String?

/// Paths in a config.
enum NamedFile {
    /// A path as it is written, from the folder of the config file on.
    static func path(_ written: String, beside config: String) -> String {
        guard !written.hasPrefix("/"), let slash = config.lastIndex(of: "/") else { return written }
        return config[...slash] + written
    }

    /// Looks on this machine, with this user's rights.
    static let onThisMachine: FileLook = { path, use in
        switch use {
        case .read: objection(path, "the file", R_OK, isFolder: false)
        case .run: objection(path, "the program", X_OK, isFolder: false)
        case .appended:
            objection(folder(of: path), "its folder", W_OK | X_OK, isFolder: true)
                ?? (kind(path) == S_IFDIR ? "the file is a folder" : nil)
        }
    }

    /// The type bits of what is there (inode(7)); nil: nothing that can be reached.
    private static func kind(_ path: String) -> mode_t? {
        var found = stat()
        return stat(path, &found) == 0 ? found.st_mode & S_IFMT : nil
    }

    private static func objection(
        _ path: String, _ what: String, _ rights: Int32, isFolder: Bool
    ) -> String? {
        var found = stat()
        guard stat(path, &found) == 0 else {
            let errno = Errno(code: errno)
            return errno == .noSuchFile ? "\(what) does not exist" : "\(what) is out of reach, \(errno.name)"
        }
        switch found.st_mode & S_IFMT {
        case S_IFDIR: if !isFolder { return "\(what) is a folder" }
        case _ where isFolder: return "\(what) is no folder"
        case S_IFREG: if found.st_size == 0 { return "\(what) is empty" }
        case S_IFIFO: return "\(what) is a pipe"
        case S_IFSOCK: return "\(what) is a socket"
        default: return "\(what) is a device"
        }
        guard access(path, rights) == 0 else {
            let errno = Errno(code: errno)
            return "\(what) is not this user's to \(isFolder ? "write" : "use"), \(errno.name)"
        }
        return nil
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

extension Kind where Value == String {
    /// The path of a file, from the config's folder on; reported where `Reading.look` objects to it.
    static func file(_ expected: String, _ use: FileUse = .read) -> Kind {
        Kind(expected: expected) { node in
            guard let written = node.read(.text(expected)) else { return nil }
            let path = NamedFile.path(written, beside: node.reading.file)
            node.reading.look(node.place, path, use)
            return path
        }
    }

    /// The folder of the durable state, which a start makes where there is none.
    static var stateDir: Kind {
        let expected = "the path of a folder"
        return Kind(expected: expected) { node in
            node.read(.text(expected)).map { NamedFile.path($0, beside: node.reading.file) }
        }
    }
}
