// The state directory: one process at a time, one file for what a restart must know.
//
// Theory: the lock is held on the directory itself by flock(2) for as long as the process lives, so a kill
// -9 releases it, and removing files in it does not. The file `lock` names the holder, and is locked as
// well: releases before this one lock nothing else, and some network file systems lock files only.
// `rollouts.json` is replaced as a whole (temporary file, fsync, rename, fsync of the directory): a crash
// leaves the old state or the new one. A state file that cannot be read exactly stops the start, because
// starting without it would expose quarantined versions. Files are opened as `Directory` does it: whoever
// could put a link or a file of theirs in the place of one would decide what Weir remembers.

import Glibc
import Platform

/// A locked state directory. Owner: the process; the lock goes with the value.
package final class StateDirectory: Sendable {
    static let lockName = "lock"
    static let stateName = "rollouts.json"

    package let path: String
    package let files: Directory
    /// What is doubtful about it, as sentences that say what to do.
    package let warnings: [String]
    private let lock: Descriptor

    /// Creates the directory when it is missing, and locks it.
    /// - Parameter user: who runs this process (effective uid).
    package init(path: String, user: UInt32 = geteuid()) throws(StateProblem) {
        self.path = path
        do throws(SystemFailure) {
            try File.makeDirectory(path)
            // The path itself may be a link: systemd makes one for a dynamic user.
            files = try Directory(path, links: .followed)
        } catch {
            throw .unusable(directory: path, what: "\(error)")
        }
        if let what = Self.distrust(owner: files.owner, user: user) {
            throw .untrusted(directory: path, what: what)
        }
        var doubts = Self.doubts(owner: files.owner, mode: files.mode, user: user, path: path)
        do throws(SystemFailure) {
            if try !Self.lockDirectory(files) { doubts.append(Self.noDirectoryLock(path)) }
            lock = try Self.openLock(files)
            guard try File.lock(lock, path: files.path(of: Self.lockName)) else { throw Self.held }
        } catch {
            if error.errno == Self.held.errno { throw .locked(directory: path, by: Self.holder(files)) }
            throw Self.problem(error, path)
        }
        warnings = doubts
        // Says who holds the lock; a disk that cannot take it changes nothing.
        try? File.truncate(lock, bytes: 0, path: files.path(of: Self.lockName))
        try? File.write(Array("\(getpid())\n".utf8), to: lock, path: files.path(of: Self.lockName))
    }

    private static let held = SystemFailure(operation: "lock", errno: Errno(code: EWOULDBLOCK))

    /// False where the file system has no locks for directories, as NFS.
    private static func lockDirectory(_ files: Directory) throws(SystemFailure) -> Bool {
        do throws(SystemFailure) {
            guard try files.lock() else { throw Self.held }
            return true
        } catch {
            guard error.errno.isUnsupported || [EBADF, ENOLCK].contains(error.errno.code) else { throw error }
            return false
        }
    }

    /// A directory that has turned read-only can still be locked when its lock file exists.
    private static func openLock(_ files: Directory) throws(SystemFailure) -> Descriptor {
        do throws(SystemFailure) {
            return try files.openAppend(lockName)
        } catch {
            guard [EROFS, EACCES, ENOSPC].contains(error.errno.code) else { throw error }
            return try files.openRead(lockName)
        }
    }

    private static func holder(_ files: Directory) -> String {
        let text = (try? files.readAll(lockName, bytesMax: 64)).map { String(decoding: $0, as: UTF8.self) }
        guard let pid = text?.split(separator: "\n").first.flatMap({ Int32($0) }) else {
            return "another process"
        }
        return "process \(pid)"
    }

    /// Why a directory of that owner is not used; nil when it may be. Root's is: root can do anything anyway.
    static func distrust(owner: UInt32, user: UInt32) -> String? {
        guard owner != user, owner != 0, user != 0 else { return nil }
        return "it belongs to uid \(owner), and weir runs as uid \(user): its owner can replace what says "
            + "which versions are quarantined. Run weir as uid \(owner), or chown the directory to \(user)"
    }

    /// What is doubtful about a directory of that owner and mode.
    static func doubts(owner: UInt32, mode: UInt32, user: UInt32, path: String) -> [String] {
        var doubts: [String] = []
        if user == 0, owner != 0 {
            doubts.append(
                "state_dir \(path) belongs to uid \(owner), and weir runs as root: uid \(owner) can replace "
                    + "what Weir remembers. Run weir as that user")
        }
        if mode & 0o022 != 0 {
            let who = mode & 0o002 != 0 ? "everybody" : "its group"
            doubts.append(
                "state_dir \(path) is writable by \(who) (mode \(String(mode, radix: 8))), who can remove "
                    + "the journal and the quarantine with it. chmod 700 it where nobody else needs it")
        }
        return doubts
    }

    private static func noDirectoryLock(_ path: String) -> String {
        "the file system of state_dir \(path) does not lock directories: the lock is on \(path)/\(lockName) "
            + "only, and a second Weir could start when that file is removed. Use a local file system"
    }

    private static func problem(_ failure: SystemFailure, _ path: String) -> StateProblem {
        if failure.errno == .isLink || failure.errno == .notPermitted {
            return .untrusted(directory: path, what: "\(failure). Remove it, or put the file itself there")
        }
        return .unusable(directory: path, what: "\(failure)")
    }

    /// Why a file in it cannot be read: somebody may have put something else there.
    static func unreadable(_ failure: SystemFailure, _ file: String, in directory: String) -> StateProblem {
        if case .untrusted(_, let what) = problem(failure, directory) {
            return .untrusted(directory: directory, what: what)
        }
        return .corrupt(path: file, what: "\(failure)")
    }

    static func statePath(in directory: String) -> String { directory + "/" + stateName }

    /// The saved state; an empty one when there is none yet.
    func load() throws(StateProblem) -> SavedState {
        try StateFile(files).load() ?? SavedState()
    }

    /// The saved state with what the journal has beyond it.
    package func recover() throws(StateProblem) -> StateRecovery {
        try StateRecovery(
            try StateFile(files).load(), FileStorage(files), directory: path)
    }

    /// Replaces the saved state durably.
    func save(_ state: SavedState) throws(SystemFailure) {
        try StateFile(files).save(state)
    }
}
