// An open directory, for files that nobody may put elsewhere: every call names a file relative to the
// directory's descriptor, so it stays the same directory when its path is renamed or replaced.
//
// Invariant: no symbolic link is followed inside it, and a file that is opened is a regular one that belongs
// to this process's user, to root or to the directory's owner; so a link, a pipe or a file that another user
// has put there is refused and left as it is. Source: openat(2), rename(2), flock(2), fsync(2).

import CLinux
import Glibc

/// An open directory. Owner: whoever holds a reference; any thread may use it.
public final class Directory: Sendable {
    /// Whether the path that opens a directory may end in a symbolic link.
    public enum Links: Sendable { case followed, refused }

    /// As it was opened, for messages.
    public let path: String
    /// Who owns it, and its permission bits, when it was opened.
    public let owner: UInt32
    public let group: UInt32
    public let mode: UInt32
    private let descriptor: Descriptor

    /// Opens a directory that exists.
    public convenience init(_ path: String, links: Links) throws(SystemFailure) {
        let flags = O_RDONLY | O_DIRECTORY | (links == .followed ? 0 : O_NOFOLLOW)
        let result = weir_open(path, flags, 0)
        guard result >= 0 else {
            var status = stat()
            let isLink = weir_stat_path(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
            throw Self.failure("open", path, result, isLink: isLink && links == .refused)
        }
        try self.init(path, Descriptor(adopting: result))
    }

    private init(_ path: String, _ descriptor: consuming Descriptor) throws(SystemFailure) {
        var status = stat()
        _ = try check(weir_stat(descriptor.raw, &status), "stat \(path)")
        self.path = path
        self.descriptor = descriptor
        (owner, group) = (status.st_uid, status.st_gid)
        mode = UInt32(status.st_mode) & 0o7777
    }

    /// The path of a file in it, for messages.
    public func path(of name: String) -> String { path + "/" + name }

    /// A directory in it, made when it is missing.
    public func directory(_ name: String, mode: UInt32 = 0o700) throws(SystemFailure) -> Directory {
        let made = weir_make_directory_at(descriptor.raw, name, mode)
        if made == 0 {
            try sync()
        } else if made != 0 &- EEXIST {
            throw Self.failure("make directory", path(of: name), made, isLink: false)
        }
        let result = weir_open_at(descriptor.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
        guard result >= 0 else {
            throw Self.failure("open", path(of: name), result, isLink: isLink(name))
        }
        let file = Descriptor(adopting: result)
        if made == 0 { give(file) }
        return try Directory(path(of: name), file)
    }

    /// Takes the directory's own lock (flock(2)) for as long as it is open; false when another holder has it.
    /// Nothing that happens to the files in it can release it.
    public func lock() throws(SystemFailure) -> Bool { try File.lock(descriptor, path: path) }

    /// Makes the creation, renaming and removal of names in it durable.
    public func sync() throws(SystemFailure) { try File.sync(descriptor, path: path) }

    // MARK: Files

    /// Opens for reading.
    public func openRead(_ name: String) throws(SystemFailure) -> Descriptor {
        try open(name, O_RDONLY, 0, "open")
    }

    /// Opens for appending, reading too; creates the file (with `mode`) and makes its name durable.
    public func openAppend(_ name: String, mode: UInt32 = 0o600) throws(SystemFailure) -> Descriptor {
        do throws(SystemFailure) {
            let file = try open(name, O_RDWR | O_APPEND | O_CREAT | O_EXCL, mode, "create")
            try sync()
            return file
        } catch {
            guard error.errno == .exists else { throw error }
        }
        return try open(name, O_RDWR | O_APPEND, 0, "open")
    }

    /// Opens for writing from the start over what is there, so that the blocks it has are used again; creates
    /// the file (with `mode`) where there is none. A link or another user's file that was laid there goes.
    public func openOver(_ name: String, mode: UInt32 = 0o600) throws(SystemFailure) -> Descriptor {
        do throws(SystemFailure) {
            return try open(name, O_WRONLY | O_CREAT, mode, "create")
        } catch {
            guard error.errno == .isLink || error.errno == .notPermitted else { throw error }
        }
        _ = weir_unlink_at(descriptor.raw, name)
        return try open(name, O_WRONLY | O_CREAT | O_EXCL, mode, "create")
    }

    /// The whole file.
    /// - Parameter bytesMax: a larger file fails with EFBIG instead of filling the memory.
    public func readAll(_ name: String, bytesMax: Int) throws(SystemFailure) -> [UInt8] {
        try File.readAll(try openRead(name), bytesMax: bytesMax, path: path(of: name))
    }

    /// Replaces a file as a whole, as `File.replace` does.
    public func replace(
        _ name: String, with bytes: some Collection<UInt8>, mode: UInt32 = 0o600
    ) throws(SystemFailure) {
        let temporary = name + ".new"
        // What a crash left, or a link that somebody laid there.
        _ = weir_unlink_at(descriptor.raw, temporary)
        do throws(SystemFailure) {
            let file = try open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode, "create")
            try File.write(bytes, to: file, path: path(of: temporary))
            try File.sync(file, path: path(of: temporary))
            _ = try check(
                weir_rename_at(descriptor.raw, temporary, name), "rename \(path(of: temporary))")
        } catch {
            _ = weir_unlink_at(descriptor.raw, temporary)
            throw error
        }
        try sync()
    }

    /// Renames, durably; replaces what is at `new`.
    public func rename(_ old: String, to new: String) throws(SystemFailure) {
        try renameOnly(old, to: new)
        try sync()
    }

    /// Renames; durable once `sync` has returned.
    public func renameOnly(_ old: String, to new: String) throws(SystemFailure) {
        _ = try check(
            weir_rename_at(descriptor.raw, old, new), "rename \(path(of: old)) to \(path(of: new))")
    }

    /// Removes a file; false when there was none.
    @discardableResult
    public func remove(_ name: String) throws(SystemFailure) -> Bool {
        let result = weir_unlink_at(descriptor.raw, name)
        if result == 0 &- ENOENT { return false }
        _ = try check(result, "remove \(path(of: name))")
        return true
    }

    /// The regular files in it, as `File.list` gives them.
    public func list() throws(SystemFailure) -> [File.Entry] {
        // A descriptor of its own: the position of a listing belongs to the open file.
        let flags = O_RDONLY | O_DIRECTORY
        let reading = try check(weir_open_at(descriptor.raw, ".", flags, 0), "list \(path)")
        guard let stream = fdopendir(reading) else {
            let code = errno
            _ = weir_close(reading)
            throw SystemFailure(operation: "list \(path)", errno: Errno(code: code))
        }
        defer { closedir(stream) }
        var entries: [File.Entry] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard weir_stat_at(descriptor.raw, name, &status) == 0, status.st_mode & S_IFMT == S_IFREG
            else { continue }
            entries.append(
                File.Entry(
                    name: name, bytes: Int(status.st_size), modifiedSeconds: Int(status.st_mtim.tv_sec)))
        }
        return entries.sorted { $0.name < $1.name }
    }

    // MARK: Opening

    /// Never waits, also where a pipe has a file's name.
    private func open(
        _ name: String, _ flags: Int32, _ mode: UInt32, _ verb: String
    ) throws(SystemFailure) -> Descriptor {
        precondition(!name.isEmpty && !name.utf8.contains(UInt8(ascii: "/")), "a name inside the directory")
        let result = weir_open_at(descriptor.raw, name, flags | O_NOFOLLOW | O_NONBLOCK, mode)
        guard result >= 0 else {
            throw Self.failure(verb, path(of: name), result, isLink: result == 0 &- ELOOP)
        }
        let file = Descriptor(adopting: result)
        if flags & O_CREAT != 0 { give(file) }
        var status = stat()
        _ = try check(weir_stat(file.raw, &status), "stat \(path(of: name))")
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SystemFailure(
                operation: "\(verb) \(path(of: name)), which is not a regular file", errno: .notPermitted)
        }
        guard [geteuid(), 0, owner].contains(status.st_uid) else {
            throw SystemFailure(
                operation: "\(verb) \(path(of: name)), which belongs to uid \(status.st_uid)",
                errno: .notPermitted)
        }
        return file
    }

    /// What root makes in somebody's directory is theirs, or they could not read their own state.
    private func give(_ file: borrowing Descriptor) {
        if geteuid() == 0, owner != 0 { _ = weir_give(file.raw, owner, group) }
    }

    private func isLink(_ name: String) -> Bool {
        var status = stat()
        return weir_stat_at(descriptor.raw, name, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    private static func failure(
        _ verb: String, _ path: String, _ result: Int32, isLink: Bool
    ) -> SystemFailure {
        guard isLink else {
            return SystemFailure(operation: "\(verb) \(path)", errno: Errno(negated: result))
        }
        return SystemFailure(
            operation: "\(verb) \(path), a symbolic link, which is not followed there", errno: .isLink)
    }
}
