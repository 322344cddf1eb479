// The few file operations that durable state needs, with the fsync that makes them true: append and sync
// for the journal, atomic replacement for state, a lock against a second process. They block; only
// Control and the command line call them. Source of the replacement recipe: rename(2), fsync(2).

import CLinux
import Glibc

/// Files by path, and the calls on open files. Every failure names its operation and path.
public enum File {
    /// Opens for reading.
    public static func openRead(_ path: String) throws(SystemFailure) -> Descriptor {
        try open(path, O_RDONLY, 0, "open \(path)")
    }

    /// Opens for reading a file that somebody named, links followed, without waiting for a pipe's writer.
    /// - Throws: where it is anything but a regular file.
    public static func openRegular(_ path: String) throws(SystemFailure) -> Descriptor {
        let file = try open(path, O_RDONLY | O_NONBLOCK, 0, "open \(path)")
        var status = stat()
        _ = try check(weir_stat(file.raw, &status), "stat \(path)")
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SystemFailure(
                operation: "open \(path), which is not a regular file", errno: .notPermitted)
        }
        return file
    }

    /// Opens for appending, reading too; creates the file (with `mode`) and makes its name durable.
    public static func openAppend(_ path: String, mode: UInt32 = 0o600) throws(SystemFailure) -> Descriptor {
        let made = weir_open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL, mode)
        if made >= 0 {
            let file = Descriptor(adopting: made)
            try syncDirectory(of: path)
            return file
        }
        guard made == 0 &- EEXIST else {
            throw SystemFailure(operation: "create \(path)", errno: Errno(negated: made))
        }
        return try open(path, O_RDWR | O_APPEND, 0, "open \(path)")
    }

    /// Opens a pipe for writing, without waiting for somebody who reads it; what is written waits for nobody
    /// either.
    /// - Throws: ENXIO where nobody reads it.
    public static func openPipe(_ path: String) throws(SystemFailure) -> Descriptor {
        try open(path, O_WRONLY | O_NONBLOCK, 0, "open \(path), a pipe that somebody has to read")
    }

    /// Whether there is a pipe at a path, links followed.
    public static func isPipe(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    /// Opens for writing from the start over what is there, so that the blocks it has are used again; creates
    /// the file (with `mode`) where there is none.
    public static func openOver(_ path: String, mode: UInt32 = 0o600) throws(SystemFailure) -> Descriptor {
        try open(path, O_WRONLY | O_CREAT, mode, "create \(path)")
    }

    /// Writes all bytes, as many calls as it takes.
    public static func write(
        _ bytes: some Collection<UInt8>, to file: borrowing Descriptor, path: String
    ) throws(SystemFailure) {
        var rest = ContiguousArray(bytes)[...]
        while !rest.isEmpty {
            let result = rest.withUnsafeBytes { weir_write(file.raw, $0.baseAddress, $0.count) }
            rest = rest.dropFirst(Int(try check(Int32(clamping: result), "write \(path)")))
        }
    }

    /// Returns when the file's bytes are on the disk (fsync(2)).
    public static func sync(_ file: borrowing Descriptor, path: String) throws(SystemFailure) {
        _ = try check(weir_sync(file.raw), "sync \(path)")
    }

    /// Cuts the file to a size in bytes, as when a torn last line is dropped.
    public static func truncate(
        _ file: borrowing Descriptor, bytes: Int, path: String
    ) throws(SystemFailure) {
        _ = try check(weir_truncate(file.raw, bytes), "truncate \(path)")
    }

    /// Gives the file blocks for `bytes` from `from` on, beyond its end too, without changing its size
    /// (fallocate(2)): later writes there cannot fail for want of space.
    /// - Throws: ENOSPC or EDQUOT when they are not to be had; EOPNOTSUPP where the file system has no such
    ///   thing.
    public static func reserve(
        _ file: borrowing Descriptor, from: Int, bytes: Int, path: String
    ) throws(SystemFailure) {
        _ = try check(weir_reserve(file.raw, from, bytes), "reserve \(bytes) bytes of \(path)")
    }

    /// Size in bytes.
    public static func size(_ file: borrowing Descriptor, path: String) throws(SystemFailure) -> Int {
        var status = stat()
        _ = try check(weir_stat(file.raw, &status), "stat \(path)")
        return Int(status.st_size)
    }

    /// Takes the file's lock (flock(2)) until the descriptor closes; false when another holder has it.
    public static func lock(_ file: borrowing Descriptor, path: String) throws(SystemFailure) -> Bool {
        let result = weir_lock(file.raw)
        if result == 0 &- EWOULDBLOCK { return false }
        _ = try check(result, "lock \(path)")
        return true
    }

    /// `count` bytes from `offset` on, fewer where the file ends (pread(2)).
    public static func read(
        _ file: borrowing Descriptor, from offset: Int, count: Int, path: String
    ) throws(SystemFailure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let result = bytes.withUnsafeMutableBytes { buffer in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
                return pread(file.raw, rest.baseAddress, rest.count, offset + filled)
            }
            guard result >= 0 else {
                if errno == EINTR { continue }
                throw SystemFailure(operation: "read \(path)", errno: Errno(code: errno))
            }
            if result == 0 { break }
            filled += result
        }
        bytes.removeLast(count - filled)
        return bytes
    }

    /// The whole file, or pseudo-file, from its start.
    /// - Parameter bytesMax: a larger file fails with EFBIG instead of filling the memory.
    public static func readAll(_ path: String, bytesMax: Int) throws(SystemFailure) -> [UInt8] {
        try readAll(try openRead(path), bytesMax: bytesMax, path: path)
    }

    /// The whole of a regular file; as `readAll(_:bytesMax:)`, but for what `openRegular(_:)` refuses.
    public static func readRegular(_ path: String, bytesMax: Int) throws(SystemFailure) -> [UInt8] {
        try readAll(try openRegular(path), bytesMax: bytesMax, path: path)
    }

    /// What is left of an open file.
    static func readAll(
        _ file: borrowing Descriptor, bytesMax: Int, path: String
    ) throws(SystemFailure) -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(max(bytesMax, 1), 64 << 10))
        while true {
            let result = chunk.withUnsafeMutableBytes { weir_read(file.raw, $0.baseAddress, $0.count) }
            let count = Int(try check(Int32(clamping: result), "read \(path)"))
            if count == 0 { return content }
            guard content.count + count <= bytesMax else {
                throw SystemFailure(operation: "read \(path)", errno: .fileTooLarge)
            }
            content.append(contentsOf: chunk[..<count])
        }
    }

    /// Replaces a file as a whole: whoever reads it, also after a crash at any instant, finds the old bytes
    /// or the new ones. When this returns, the new ones are durable. A failure leaves the old ones. One
    /// writer per path at a time: the new bytes are first written to `path` + ".new".
    public static func replace(
        _ path: String, with bytes: some Collection<UInt8>, mode: UInt32 = 0o600
    ) throws(SystemFailure) {
        let temporary = path + ".new"
        do {
            let file = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode, "create \(temporary)")
            try write(bytes, to: file, path: temporary)
            try sync(file, path: temporary)
            _ = try check(weir_rename(temporary, path), "rename \(temporary)")
        } catch {
            _ = weir_unlink(temporary)
            throw error
        }
        try syncDirectory(of: path)
    }

    /// Renames, durably; replaces what is at `new`.
    public static func rename(_ old: String, to new: String) throws(SystemFailure) {
        try renameOnly(old, to: new)
        try syncDirectory(of: new)
    }

    /// Renames; durable once `syncDirectory` has returned.
    public static func renameOnly(_ old: String, to new: String) throws(SystemFailure) {
        _ = try check(weir_rename(old, new), "rename \(old) to \(new)")
    }

    /// Removes a file; false when there was none.
    @discardableResult
    public static func remove(_ path: String) throws(SystemFailure) -> Bool {
        let result = weir_unlink(path)
        if result == 0 &- ENOENT { return false }
        _ = try check(result, "remove \(path)")
        return true
    }

    static func open(
        _ path: String, _ flags: Int32, _ mode: UInt32, _ operation: @autoclosure () -> String
    ) throws(SystemFailure) -> Descriptor {
        Descriptor(adopting: try check(weir_open(path, flags, mode), operation()))
    }
}
