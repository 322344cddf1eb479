// `rollouts.json` on the disk: replaced as a whole (written beside it, fsync, rename, fsync of the
// directory), so a crash leaves the old state or the new one. What it is written into, `rollouts.json.new`,
// is made beforehand and has its blocks (fallocate), so that a full disk can still take the next state.
//
// Source: rename(2), fsync(2), fallocate(2). Where a file system copies on write, blocks that are there do
// not help; then the journal's line alone holds the decision, and the next start applies it.
// Invariant: after a failure the old state is there whole, and the spare keeps its blocks. One thread calls.

import Platform

/// The state file and its spare. Owner: the ledger's thread.
package final class StateFile {
    private let path: String
    private let directory: String
    private let files: any FileLayer
    /// Why there is no spare with blocks of its own; nil when there is one, or when the file system has none.
    private var spareTrouble: SystemFailure?
    /// Bytes of the last state that was saved here.
    private var stateBytes = 0

    /// What a spare has at least; twice the last state when that is more.
    private static let spareBytesMin = 256 << 10

    init(directory: String, files: any FileLayer) {
        path = StateDirectory.statePath(in: directory)
        self.directory = directory
        self.files = files
    }

    /// In a directory that is locked already.
    package convenience init(_ directory: Directory) {
        self.init(directory: directory.path, files: DiskFiles(directory))
    }

    private var spare: String { path + ".new" }

    /// The saved state; nil when there is none.
    func load() throws(StateProblem) -> SavedState? {
        let bytes: [UInt8]?
        do throws(SystemFailure) {
            bytes = try files.readAll(path, bytesMax: 256 << 20)
        } catch {
            throw StateDirectory.unreadable(error, path, in: directory)
        }
        guard let bytes else { return nil }
        return try SavedState.decoded(bytes, path: path)
    }

    /// Replaces the saved state durably.
    package func save(_ state: SavedState) throws(SystemFailure) {
        let bytes = state.encoded()
        let file = try files.openOver(spare)
        try file.write(bytes)
        // Also gives back what the state does not need: after the renaming nobody writes here again.
        try file.truncate(to: bytes.count)
        try file.sync()
        try files.rename(spare, to: path)
        try files.syncDirectory(of: path)
        makeSpare(for: bytes.count)
    }

    /// Makes the spare that the next state goes into; of a full disk it takes what there is.
    package func makeSpare(for bytes: Int = 0) {
        stateBytes = bytes
        var wanted = max(Self.spareBytesMin, 2 * bytes)
        spareTrouble = nil
        do throws(SystemFailure) {
            let file = try files.openOver(spare)
            while wanted >= 4 << 10 {
                do throws(SystemFailure) {
                    return try file.reserve(from: 0, bytes: wanted)
                } catch {
                    guard error.errno.isOutOfSpace else { return }
                    spareTrouble = spareTrouble ?? error
                }
                wanted /= 2
            }
        } catch {
            spareTrouble = spareTrouble ?? (error.errno.isOutOfSpace ? error : nil)
        }
    }

    /// Why the spare is not whole, after another try where it is not.
    package func retrySpare() -> SystemFailure? {
        if spareTrouble != nil { makeSpare(for: stateBytes) }
        return spareTrouble
    }
}
