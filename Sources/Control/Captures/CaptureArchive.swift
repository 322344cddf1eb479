// The captures of a state directory, read without the process that writes them: what there is, and the lines
// that a selection wants, file by file in order of their age.
// Invariant: a line that is torn, or no capture, is counted and skipped, never a failure; files that vanish
// while they are read are no failure either, because the writer removes old ones.

import Payload
import Platform

/// Which captures are wanted; nil wants all.
package struct CaptureSelection: Sendable {
    package var model: String?
    /// The assigned version.
    package var version: String?
    /// A trip's id, as `cut-3`; nil: sampled ones and those of every trip, each exchange once.
    package var cut: String?
    /// Not before this instant, microseconds since 1970.
    package var sinceMicros: UInt64?

    package init(
        model: String? = nil, version: String? = nil, cut: String? = nil, sinceMicros: UInt64? = nil
    ) {
        self.model = model
        self.version = version
        self.cut = cut
        self.sinceMicros = sinceMicros
    }

    func wants(_ capture: JSON) -> Bool {
        if let model, capture["model"]?.string != model { return false }
        if let version, capture["version"]?.string != version { return false }
        if let cut, capture["cut"]?.string != cut { return false }
        guard let sinceMicros else { return true }
        return (capture["at"]?.string).flatMap(Timestamp.wallMicros).map { $0 >= sinceMicros } ?? false
    }
}

/// Captures that belong together: a model's and version's samples, or those of one trip.
package struct CaptureSet: Sendable, Hashable {
    package var model: String
    package var version: String
    /// `sample`, `cut`, `alert` or `hold`.
    package var kept: String
    /// The trip's id; nil for samples.
    package var cut: String?
    package var count = 0
    /// Bytes of their lines.
    package var bytes = 0
    /// Their first and last instant, as written.
    package var from = ""
    package var to = ""

    /// One line for a terminal.
    package var summary: String {
        func plain(_ text: String) -> String { ForeignText.line(text, bytesMax: 256) }
        return
            "\(plain(model)) \(plain(version))  \(plain(cut ?? kept))  \(count) exchanges, \(bytes) bytes, "
            + "\(plain(from)) to \(plain(to))"
    }

    package var json: JSON {
        [
            "model": .string(model), "version": .string(version), "kept": .string(kept),
            "cut": .optional(cut), "count": .integer(Int64(count)), "bytes": .integer(Int64(bytes)),
            "from": .string(from), "to": .string(to),
        ]
    }
}

/// The captures under a state directory.
package struct CaptureArchive {
    private let folder: String
    /// Lines that were no captures.
    package private(set) var skipped = 0
    /// A line's greatest length; a longer one is skipped.
    private static let lineBytesMax = 4 << 20

    /// - Parameter stateDirectory: as `state_dir` says.
    package init(stateDirectory: String) { folder = FolderDisk.folder(in: stateDirectory) }

    /// What there is, in order of model and version.
    package mutating func sets(_ selection: CaptureSelection) throws(SystemFailure) -> [CaptureSet] {
        var sets: [[String]: CaptureSet] = [:]
        try scan(selection) { capture, line in
            let at = capture["at"]?.string ?? ""
            let (model, version) = (capture["model"]?.string ?? "", capture["version"]?.string ?? "")
            let (kept, cut) = (capture["kept"]?.string ?? "", capture["cut"]?.string)
            var set =
                sets[[model, version, kept, cut ?? ""]]
                ?? CaptureSet(model: model, version: version, kept: kept, cut: cut)
            set.count += 1
            set.bytes += line.count
            if set.from.isEmpty || at < set.from { set.from = at }
            if at > set.to { set.to = at }
            sets[[model, version, kept, cut ?? ""]] = set
        }
        return sets.values.sorted {
            ($0.model, $0.version, $0.from, $0.kept, $0.cut ?? "")
                < ($1.model, $1.version, $1.from, $1.kept, $1.cut ?? "")
        }
    }

    /// Hands over every wanted capture, with its line as it stands in the file. Each exchange comes once,
    /// though it may have been kept as a sample and around a trip.
    package mutating func each(
        _ selection: CaptureSelection, _ body: (JSON, ArraySlice<UInt8>) -> Void
    ) throws(SystemFailure) {
        var seen: Set<String> = []
        try scan(selection) { capture, line in
            let id = [capture["model"], capture["id"]].map { $0?.string ?? "" }.joined(separator: "\n")
            if seen.insert(id).inserted { body(capture, line) }
        }
    }

    private mutating func scan(
        _ selection: CaptureSelection, _ body: (JSON, ArraySlice<UInt8>) -> Void
    ) throws(SystemFailure) {
        let names = try FolderDisk(folder: folder).list().compactMap { CaptureFileName($0.name) }
        guard !names.isEmpty else { return }
        let files = try Directory(folder, links: .refused)
        let model = selection.model.map(CaptureFileName.escaped)
        for name in names.sorted() where model == nil || name.model == model {
            do throws(SystemFailure) {
                let reader = try files.openRead(name.text)
                try read(reader, name.text, selection, body)
            } catch {
                guard error.errno == .noSuchFile else { throw error }
            }
        }
    }

    /// One file, in pieces: it may be larger than what memory should hold.
    private mutating func read(
        _ file: borrowing Descriptor, _ name: String, _ selection: CaptureSelection,
        _ body: (JSON, ArraySlice<UInt8>) -> Void
    ) throws(SystemFailure) {
        var held: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            switch piece.withUnsafeMutableBytes({ file.read(into: $0) }) {
            case .moved(let count): held += piece[..<count]
            // A last line without its end is being written, or was torn.
            case .closed, .wouldBlock: return
            case .failed(let errno): throw SystemFailure(operation: "read \(name)", errno: errno)
            }
            var from = 0
            while let end = held[from...].firstIndex(of: 0x0A) {
                take(held[from..<end], selection, body)
                from = end + 1
            }
            held.removeFirst(from)
            if held.count > Self.lineBytesMax { held = [] }
        }
    }

    private mutating func take(
        _ line: ArraySlice<UInt8>, _ selection: CaptureSelection, _ body: (JSON, ArraySlice<UInt8>) -> Void
    ) {
        guard !line.isEmpty else { return }
        guard let capture = try? JSON(parsing: line), capture["kept"] != nil, capture["request"] != nil else {
            skipped += 1
            return
        }
        if selection.wants(capture) { body(capture, line) }
    }
}
