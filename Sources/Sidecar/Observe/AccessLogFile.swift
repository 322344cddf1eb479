// Where access lines go: a file opened for appending, a pipe, or standard output. A disk that is full, or a
// reader that has gone, costs lines and nothing else, and never leaves half a line behind that would spoil
// the file for whoever parses it.

import Platform

/// What a batch of lines needs from its destination.
protocol AccessSink: ~Copyable {
    /// Writes some of the bytes, waiting where the destination waits.
    mutating func write(_ bytes: UnsafeRawBufferPointer) -> Transfer
    /// Takes back the last `count` bytes written; false where that cannot be done.
    mutating func takeBack(_ count: Int) -> Bool
    /// Begins anew under the same name, after the old file has been moved away. A failure leaves the old one.
    mutating func reopen() throws(SystemFailure)
}

/// A file, a pipe that somebody reads, or standard output. Owner: the access log's thread.
struct AccessLogFile: ~Copyable, AccessSink {
    /// Nil: standard output.
    private let path: String?
    private var descriptor: Descriptor

    /// - Throws: the file cannot be opened or created, or nobody reads the pipe.
    init(path: String?) throws(SystemFailure) {
        self.path = path
        descriptor = try Self.open(path)
    }

    private static func open(_ path: String?) throws(SystemFailure) -> Descriptor {
        if let path {
            if File.isPipe(path) { return try File.openPipe(path) }
            return try File.openAppend(path, mode: 0o640)
        }
        // A duplicate, so that closing it leaves standard output open.
        let output = Descriptor(adopting: 1)
        do throws(SystemFailure) {
            let copy = try output.duplicate()
            _ = output.release()
            return copy
        } catch {
            _ = output.release()
            throw error
        }
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) -> Transfer { descriptor.write(bytes) }

    mutating func takeBack(_ count: Int) -> Bool {
        guard let path else { return false }
        do throws(SystemFailure) {
            let size = try File.size(descriptor, path: path)
            // A device or a pipe has no size.
            guard size >= count else { return false }
            try File.truncate(descriptor, bytes: size - count, path: path)
            return true
        } catch {
            return false
        }
    }

    mutating func reopen() throws(SystemFailure) {
        guard let path else { return }
        descriptor = try Self.open(path)
    }
}

/// Lines on their way to a sink, with what became of them.
struct AccessBatch<Sink: AccessSink & ~Copyable>: ~Copyable {
    var sink: Sink
    /// Whether the last write left half a line that could not be taken back.
    private var isMidLine = false
    /// Lines that the sink took whole, and lines that it did not.
    private(set) var written: UInt64 = 0
    private(set) var lost: UInt64 = 0
    /// Why lines were lost, since `takeProblem` was last called.
    private var problem: Errno?

    init(sink: consuming Sink) { self.sink = sink }

    /// Writes whole lines, each ended by a line feed. What the sink does not take is lost.
    mutating func write(_ lines: [UInt8]) {
        let total = Self.lineCount(lines[...])
        guard total > 0 else { return }
        if isMidLine {
            guard send([0x0A]) == 1 else {
                lost += total
                return
            }
            isMidLine = false
        }
        let sent = send(lines)
        let whole = Self.lineCount(lines[..<sent])
        written += whole
        lost += total - whole
        guard sent < lines.count else { return }
        let lineStart = lines[..<sent].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        if sent > lineStart { isMidLine = !sink.takeBack(sent - lineStart) }
    }

    /// Sends as much as the sink takes; returns how many bytes that was.
    private mutating func send(_ bytes: [UInt8]) -> Int {
        var sent = 0
        while sent < bytes.count {
            let rest = sent
            let transfer = bytes.withUnsafeBytes { sink.write(UnsafeRawBufferPointer(rebasing: $0[rest...])) }
            switch transfer {
            case .moved(let count) where count > 0:
                sent += count
            case .moved, .closed:
                return sent
            case .wouldBlock:
                // The pipe is full.
                problem = .wouldBlock
                return sent
            case .failed(let errno):
                problem = errno
                return sent
            }
        }
        return sent
    }

    /// Begins a new file under the same name; a failure is a problem like another, and the old file stays.
    mutating func reopen() -> Bool {
        do throws(SystemFailure) {
            try sink.reopen()
            isMidLine = false
            return true
        } catch {
            problem = error.errno
            return false
        }
    }

    /// What went wrong lately, once.
    mutating func takeProblem() -> Errno? {
        defer { problem = nil }
        return problem
    }

    private static func lineCount(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $1 == 0x0A ? $0 + 1 : $0 }
    }
}
