// The state directory: one process at a time, one file for what a restart must know.
//
// Theory: `lock` is held by flock(2) for as long as the process lives, so a kill -9 releases it and a second
// Weir with the same directory is refused by name. `rollouts.json` is replaced as a whole (temporary file,
// fsync, rename, fsync of the directory): a crash leaves the old state or the new one. A state file that
// cannot be read exactly stops the start, because starting without it would expose quarantined versions.

import Glibc
import Platform

/// A locked state directory. Owner: the process; the lock goes with the value.
final class StateDirectory: Sendable {
    let path: String
    private let lock: Descriptor

    /// Creates the directory when it is missing, and locks it.
    init(path: String) throws(StateProblem) {
        self.path = path
        do throws(SystemFailure) {
            try File.makeDirectory(path)
        } catch {
            throw .unusable(directory: path, what: "\(error)")
        }
        let lockPath = path + "/lock"
        do throws(SystemFailure) {
            lock = try Self.openLock(lockPath)
            guard try File.lock(lock, path: lockPath) else {
                throw SystemFailure(operation: "lock", errno: Errno(code: EWOULDBLOCK))
            }
        } catch {
            if error.errno.code == EWOULDBLOCK {
                let owner = (try? File.readAll(lockPath, bytesMax: 64)).map {
                    String(decoding: $0, as: UTF8.self)
                }
                let pid = owner?.split(separator: "\n").first.map(String.init) ?? ""
                throw .locked(directory: path, by: pid.isEmpty ? "another process" : "process \(pid)")
            }
            throw .unusable(directory: path, what: "\(error)")
        }
        // Says who holds the lock; a disk that cannot take it changes nothing.
        try? File.truncate(lock, bytes: 0, path: lockPath)
        try? File.write(Array("\(getpid())\n".utf8), to: lock, path: lockPath)
    }

    /// A directory that has turned read-only can still be locked when its lock file exists.
    private static func openLock(_ path: String) throws(SystemFailure) -> Descriptor {
        do throws(SystemFailure) {
            return try File.openAppend(path)
        } catch {
            guard error.errno.code == EROFS || error.errno.code == EACCES || error.errno.code == ENOSPC else {
                throw error
            }
            return try File.openRead(path)
        }
    }

    static func statePath(in directory: String) -> String { directory + "/rollouts.json" }

    /// The saved state; an empty one when there is none yet.
    func load() throws(StateProblem) -> SavedState {
        let path = Self.statePath(in: path)
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try File.readAll(path, bytesMax: 256 << 20)
        } catch {
            if error.errno == .noSuchFile { return SavedState() }
            throw .corrupt(path: path, what: "\(error)")
        }
        return try SavedState.decoded(bytes, path: path)
    }

    /// Replaces the saved state durably.
    func save(_ state: SavedState) throws(SystemFailure) {
        try File.replace(Self.statePath(in: path), with: state.encoded())
    }
}
