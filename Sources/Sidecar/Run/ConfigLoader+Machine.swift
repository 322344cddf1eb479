// A config as this machine has it: the file, the system's resolver, and the files that the config names.
// Place: what `weir run`, `weir check` and a reload hand to `ConfigLoader`, which itself touches nothing.
// Invariant: looking opens nothing, so that neither a FIFO nor a device keeps anybody; what reads a file
// opens it by `File.openRegular`, which waits for nobody either.

import Config
import Glibc
import Platform

extension ConfigLoader {
    /// Reads and validates the file at `path`, resolving names through the system.
    /// - Parameter looksForFiles: whether the files that it names are looked for on this machine; what is
    ///   not there is in the config's `absentFiles`.
    package static func load(path: String, looksForFiles: Bool = false) -> Result<Config, ConfigProblems> {
        do throws(SystemFailure) {
            return parse(
                bytes: try File.readRegular(path, bytesMax: fileBytesMax), file: path, resolve: systemNames,
                files: looksForFiles ? NamedFile.onThisMachine : nil, read: NamedFile.readHere)
        } catch {
            return .failure(.whole(path, "cannot be read: \(error)"))
        }
    }

    /// Validates a config given as text, resolving names through the system.
    package static func parse(_ text: String, file: String) -> Result<Config, ConfigProblems> {
        parse(text, file: file, resolve: systemNames, read: NamedFile.readHere)
    }

    /// Asks the system's resolver; blocks.
    package static func systemNames(_ host: String, _ port: UInt16) -> Result<[SocketAddress], NameFailure> {
        do throws(ResolveFailure) {
            let found = try Socket.resolve(host: host, port: port)
            return found.isEmpty ? .failure(NameFailure(reason: "it has no address")) : .success(found)
        } catch {
            return .failure(NameFailure(reason: "\(error)"))
        }
    }
}

extension NamedFile {
    /// Reads a regular file.
    static let readHere: FileRead = { path, bytesMax in
        do throws(SystemFailure) {
            return .success(try File.readRegular(path, bytesMax: bytesMax))
        } catch {
            return .failure(FileReadProblem(reason: "\(error)"))
        }
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
