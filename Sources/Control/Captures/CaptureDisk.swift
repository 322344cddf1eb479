// The few things that captures need of a disk, as a protocol, so that tests can fill it at any byte.
// `FolderDisk` is the real one: a folder for its owner only (0700), files for their owner only (0600).
// Invariant: a file that is appended to begins a new line, also behind one that a crash has torn.

import Platform

/// Where capture files live.
package protocol CaptureDisk: AnyObject {
    /// The folder's files in order of name; empty when there is no folder yet.
    func list() throws(SystemFailure) -> [File.Entry]
    /// Whole lines at the end of a file, which is made when it is missing. A failure may leave some of them.
    func append(_ lines: [UInt8], to name: String) throws(SystemFailure)
    /// Removes a file, if it is there.
    func remove(_ name: String) throws(SystemFailure)
}

/// `captures/` in a state directory. Owner: the thread of the taps' reader.
package final class FolderDisk: CaptureDisk {
    /// Files kept open; more models than that open theirs anew.
    package static let openMax = 32

    private let folder: String
    private var files: Directory?
    private var open: [String: OpenFile] = [:]

    /// A file that lines are appended to.
    private final class OpenFile {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    package init(folder: String) { self.folder = folder }

    package static func folder(in directory: String) -> String { directory + "/captures" }

    package func list() throws(SystemFailure) -> [File.Entry] {
        do throws(SystemFailure) {
            return try Directory(folder, links: .refused).list()
        } catch {
            if error.errno == .noSuchFile { return [] }
            throw error
        }
    }

    package func append(_ lines: [UInt8], to name: String) throws(SystemFailure) {
        let path = "\(folder)/\(name)"
        let file: OpenFile
        do throws(SystemFailure) {
            file = try opened(name, path)
        } catch {
            // The folder may have been removed; the next try makes it anew.
            files = nil
            throw error
        }
        do throws(SystemFailure) {
            try File.write(lines, to: file.descriptor, path: path)
        } catch {
            // Half a line may stand at its end; the next opening takes care of that.
            open[name] = nil
            throw error
        }
    }

    private func opened(_ name: String, _ path: String) throws(SystemFailure) -> OpenFile {
        if let file = open[name] { return file }
        if files == nil {
            try File.makeDirectory(folder, mode: 0o700)
            files = try Directory(folder, links: .refused)
        }
        guard let made = try files?.openAppend(name, mode: 0o600) else { preconditionFailure("opened above") }
        let file = OpenFile(made)
        // Whatever its end is, the next line begins anew; readers skip empty lines.
        if try File.size(file.descriptor, path: path) > 0 {
            try File.write([0x0A], to: file.descriptor, path: path)
        }
        if open.count >= Self.openMax { open = [:] }
        open[name] = file
        return file
    }

    package func remove(_ name: String) throws(SystemFailure) {
        open[name] = nil
        try File.remove("\(folder)/\(name)")
    }
}
