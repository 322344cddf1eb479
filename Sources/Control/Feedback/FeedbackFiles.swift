// The files of the feedback log: `feedback/<number>.log` in the state directory, each with the time until
// which anything in it can still count. A full one is closed; a closed one whose time has come is removed.
// Earlier releases wrote them to `outcomes/`; from there they move here before anything is read.
// Invariant: an earlier process's files are read and never appended to, so a torn end stays an end.

import Platform

/// The log's files. Owner: the log's thread, and the start before it.
package struct FeedbackFiles: ~Copyable {
    static let fileBytesMax = 8 << 20

    private struct Closed {
        var name: String
        var expiresAt: UInt64
    }

    private let directory: String
    private var files: Directory?
    private var next = 1
    private var closed: [Closed] = []
    private var open: Descriptor?
    private var openName = ""
    private var openBytes = 0
    private var openExpiresAt: UInt64 = 0
    private(set) var isDirty = false

    package init(directory: String) { self.directory = directory }

    /// Moves the files of an earlier release here, behind those that are here already. A move that a crash
    /// cut short goes on with the next call.
    /// - Parameter former: the directory that they are in; it may be missing, and stays where it is.
    package mutating func adopt(from former: String) throws(SystemFailure) {
        let old: Directory
        do throws(SystemFailure) {
            old = try Directory(former, links: .refused)
        } catch {
            if error.errno == .noSuchFile { return }
            throw error
        }
        let names = try old.list().map(\.name).filter { Self.number($0) != nil }
        if names.isEmpty { return }
        try File.makeDirectory(directory)
        let here = try folder()
        next = max(next, (try here.list().compactMap { Self.number($0.name) }.max() ?? 0) + 1)
        for name in names.sorted() {
            try File.rename(former + "/" + name, to: directory + "/" + Self.name(next))
            next += 1
        }
    }

    private static func number(_ name: String) -> Int? {
        name.hasSuffix(".log") ? Int(name.dropLast(4)) : nil
    }

    private static func name(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".log"
    }

    /// Reads what earlier processes wrote, oldest first.
    /// - Parameter keepUntil: when the files read may go.
    /// - Returns: bytes at the ends of files that were no whole blocks.
    package mutating func load(keepUntil: UInt64, _ take: (FeedbackRecord) -> Void) throws(SystemFailure)
        -> Int
    {
        try File.makeDirectory(directory)
        var torn = 0
        let files = try folder()
        for entry in try files.list() {
            guard let number = Self.number(entry.name) else { continue }
            next = max(next, number + 1)
            let bytes = try files.readAll(entry.name, bytesMax: 4 * Self.fileBytesMax)
            torn += bytes.count - FeedbackRecord.read(bytes, take)
            closed.append(Closed(name: entry.name, expiresAt: keepUntil))
        }
        return torn
    }

    /// Appends to the file in use, a new one where there is none or it is full.
    /// - Parameters:
    ///   - head: what a new file begins with.
    ///   - expiresAt: wall-clock microseconds until which the bytes matter.
    mutating func append(_ bytes: [UInt8], head: [UInt8], expiresAt: UInt64) throws(SystemFailure) {
        if openBytes >= Self.fileBytesMax { close() }
        if open == nil {
            openName = Self.name(next)
            next += 1
            open = try folder().openAppend(openName)
            openBytes = 0
            openExpiresAt = 0
            try write(head)
        }
        try write(bytes)
        openExpiresAt = max(openExpiresAt, expiresAt)
    }

    private mutating func folder() throws(SystemFailure) -> Directory {
        if let files { return files }
        let made = try Directory(directory, links: .refused)
        files = made
        return made
    }

    private mutating func write(_ bytes: [UInt8]) throws(SystemFailure) {
        guard let file = open.take() else { return }
        do throws(SystemFailure) {
            try File.write(bytes, to: file, path: directory + "/" + openName)
        } catch {
            // Half a block may stand at its end; what follows goes into another file.
            closed.append(Closed(name: openName, expiresAt: openExpiresAt))
            throw error
        }
        open = consume file
        openBytes += bytes.count
        isDirty = true
    }

    private mutating func close() {
        guard open != nil else { return }
        open = nil
        closed.append(Closed(name: openName, expiresAt: openExpiresAt))
    }

    /// Makes what was written survive a crash of the machine.
    mutating func sync() throws(SystemFailure) {
        isDirty = false
        guard let file = open.take() else { return }
        let synced: Result<Void, SystemFailure>
        do throws(SystemFailure) {
            try File.sync(file, path: directory + "/" + openName)
            synced = .success(())
        } catch {
            synced = .failure(error)
        }
        open = consume file
        try synced.get()
    }

    /// Removes files whose time is over.
    mutating func prune(now: UInt64) {
        for file in closed where file.expiresAt < now { _ = try? files?.remove(file.name) }
        closed.removeAll { $0.expiresAt < now }
    }
}
