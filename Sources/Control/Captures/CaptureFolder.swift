// The files of captures and their bounds: one model's lines go to files of its own, named
// `model.yyyymmdd.n.jsonl`, a new one each day and each eighth of the model's bound. Before a line is written
// the model's oldest files make room for it, and files that are too old go by themselves; what models have
// left that are gone from the config goes by age.
// Invariants: a model's files never pass its bound, as far as this process writes them; a disk that takes
// nothing costs lines, which are counted, and one warning until it takes some again.

import Config
import Payload
import Platform

/// The captures of a state directory. Owner: the thread of the taps' reader.
package final class CaptureFolder {
    /// One file as last seen.
    private struct Kept {
        var name: CaptureFileName
        var bytes: Int
        var modifiedSeconds: Int
    }

    private let disk: any CaptureDisk
    private let warn: (String) -> Void
    /// By escaped model, oldest first; nil before the folder has been looked at.
    private var kept: [String: [Kept]]?
    private var isFailing = false
    private(set) var written: UInt64 = 0
    private(set) var lost: UInt64 = 0

    package init(_ disk: any CaptureDisk, warn: @escaping (String) -> Void) {
        self.disk = disk
        self.warn = warn
    }

    /// Bytes of all files.
    var bytes: Int { kept?.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.bytes } } ?? 0 }

    /// Writes whole lines, each with its line feed.
    func append(_ lines: [UInt8], count: Int, model: String, _ config: CapturesConfig, wallMicros: UInt64) {
        do throws(SystemFailure) {
            try look()
            let key = CaptureFileName.escaped(model)
            let name = current(key, lines.count, config, wallMicros)
            try makeRoom(lines.count, key, config)
            try disk.append(lines, to: name.text)
            note(name, lines.count, wallMicros)
            written += UInt64(count)
            isFailing = false
        } catch {
            // What stands in the folder is no longer known exactly.
            kept = nil
            lost += UInt64(count)
            if !isFailing { warn("captures: \(error); captures are lost until the disk takes them again") }
            isFailing = true
        }
    }

    /// Removes what is too old, by each model's own bound.
    func age(_ configs: [String: CapturesConfig], wallMicros: UInt64) {
        do throws(SystemFailure) {
            try look()
            let bounds = Dictionary(
                configs.map { (CaptureFileName.escaped($0.key), $0.value.keepAge) },
                uniquingKeysWith: { first, _ in first })
            let now = Int(wallMicros / 1_000_000)
            for (key, files) in kept ?? [:] {
                let age = bounds[key] ?? CapturesConfig().keepAge
                for file in files where now - file.modifiedSeconds > Int(age.millis / 1_000) {
                    try disk.remove(file.name.text)
                    kept?[key]?.removeAll { $0.name == file.name }
                }
            }
        } catch {
            kept = nil
        }
    }

    private func look() throws(SystemFailure) {
        guard kept == nil else { return }
        var found: [String: [Kept]] = [:]
        for entry in try disk.list() {
            guard let name = CaptureFileName(entry.name) else { continue }
            found[name.model, default: []].append(
                Kept(name: name, bytes: entry.bytes, modifiedSeconds: entry.modifiedSeconds))
        }
        kept = found.mapValues { $0.sorted { $0.name < $1.name } }
    }

    /// The file that the next lines go to.
    private func current(
        _ key: String, _ bytes: Int, _ config: CapturesConfig, _ wallMicros: UInt64
    ) -> CaptureFileName {
        let day = CaptureFileName.day(wallMicros)
        guard let last = kept?[key]?.last, last.name.day >= day else {
            return CaptureFileName(model: key, day: day, number: 1)
        }
        if last.bytes == 0 || last.bytes + bytes <= config.keepBytes / 8 { return last.name }
        return CaptureFileName(model: key, day: last.name.day, number: last.name.number + 1)
    }

    private func makeRoom(_ bytes: Int, _ key: String, _ config: CapturesConfig) throws(SystemFailure) {
        var total = kept?[key]?.reduce(0) { $0 + $1.bytes } ?? 0
        // One byte for the line feed that a file taken up again begins with.
        while total + bytes + 1 > config.keepBytes, let oldest = kept?[key]?.first {
            try disk.remove(oldest.name.text)
            total -= oldest.bytes
            kept?[key]?.removeFirst()
        }
    }

    private func note(_ name: CaptureFileName, _ bytes: Int, _ wallMicros: UInt64) {
        var files = kept?[name.model] ?? []
        let seconds = Int(wallMicros / 1_000_000)
        if let at = files.lastIndex(where: { $0.name == name }) {
            files[at].bytes += bytes
            files[at].modifiedSeconds = seconds
        } else {
            files.append(Kept(name: name, bytes: bytes, modifiedSeconds: seconds))
        }
        kept?[name.model] = files
    }
}

/// `model.yyyymmdd.n.jsonl`, the model's name escaped so that it is one plain file name.
struct CaptureFileName: Comparable, Hashable {
    /// Escaped.
    var model: String
    /// As 20261121.
    var day: Int
    var number: Int

    init(model: String, day: Int, number: Int) {
        self.model = model
        self.day = day
        self.number = number
    }

    /// nil: no name of ours.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[parts.count - 1] == "jsonl", let number = Int(parts[parts.count - 2]),
            let day = Int(parts[parts.count - 3]), number > 0, (1_000_00_00..<10_000_00_00).contains(day)
        else { return nil }
        self.init(model: parts[..<(parts.count - 3)].joined(separator: "."), day: day, number: number)
    }

    var text: String { "\(model).\(day).\(number).jsonl" }

    static func < (a: Self, b: Self) -> Bool {
        (a.model, a.day, a.number) < (b.model, b.day, b.number)
    }

    static func day(_ wallMicros: UInt64) -> Int {
        let date = Timestamp.date(daysSince1970: Int(wallMicros / 86_400_000_000))
        return date.year * 10_000 + date.month * 100 + date.day
    }

    /// Slashes as `%2F`; a name that would be too long for a file is cut and told apart by its hash.
    static func escaped(_ model: String) -> String {
        let text = model.replacing("%", with: "%25").replacing("/", with: "%2F")
        guard text.utf8.count > 200 else { return text }
        return String(text.prefix(180)) + "~" + String(Salt.of(model), radix: 16)
    }
}
