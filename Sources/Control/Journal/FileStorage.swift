// The journal on a real disk: `journal.jsonl` and `journal.head` in the state directory.
// Place: behind `JournalStorage`; opened by the first call that writes, so that a read-only disk shows there.
// Invariant: after a failed fsync the descriptor is never used again.

import Platform

/// Journal files in a state directory. Owner: the ledger's thread.
final class FileStorage: JournalStorage {
    private let directory: String
    private var file: Descriptor?

    init(directory: String) { self.directory = directory }

    static func journalPath(in directory: String) -> String { directory + "/journal.jsonl" }
    static func headPath(in directory: String) -> String { directory + "/journal.head" }

    private var path: String { Self.journalPath(in: directory) }

    func scan(_ body: ([UInt8]) -> Void) throws(SystemFailure) {
        guard let reader = try Self.openIfThere(path) else { return }
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            switch piece.withUnsafeMutableBytes({ reader.read(into: $0) }) {
            case .moved(let count): body(Array(piece[..<count]))
            case .closed, .wouldBlock: return
            case .failed(let errno): throw SystemFailure(operation: "read \(path)", errno: errno)
            }
        }
    }

    private static func openIfThere(_ path: String) throws(SystemFailure) -> Descriptor? {
        do throws(SystemFailure) {
            return try File.openRead(path)
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
        if file == nil { file = try File.openAppend(path) }
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
        try File.replace(directory + "/" + name, with: bytes)
        return name
    }

    func readHead() throws(SystemFailure) -> [UInt8]? {
        do throws(SystemFailure) {
            return try File.readAll(Self.headPath(in: directory), bytesMax: 4 << 10)
        } catch {
            if error.errno == .noSuchFile { return nil }
            throw error
        }
    }

    func writeHead(_ bytes: [UInt8]) throws(SystemFailure) {
        try File.replace(Self.headPath(in: directory), with: bytes)
    }
}
