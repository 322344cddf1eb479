// `sources.json` in the state directory: what registries have said, so that a start without them comes up
// with the candidates it had. Replaced as a whole (temporary file, fsync, rename); its first line carries the
// SHA-256 of the rest, because a flipped bit must not name another version.
//
// Unlike `rollouts.json`, a file that is damaged stops no start: without an answer there is no candidate,
// which exposes nobody, and the registry is asked at once.

import Config
import Control
import Payload
import Platform

/// The answers of registries, on disk.
enum SourceFile {
    static let format: Int64 = 1
    /// Larger files are none of ours: an answer has at most a few hundred bytes.
    static let bytesMax = 1 << 20

    static let name = "sources.json"

    static func path(in directory: String) -> String { directory + "/" + name }

    /// The answers by model name; none where there is no file yet.
    static func load(_ directory: String) -> Result<[String: SourceAnswer], SourceFileProblem> {
        let path = path(in: directory)
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try Directory(directory, links: .followed).readAll(name, bytesMax: bytesMax)
        } catch {
            if error.errno == .noSuchFile { return .success([:]) }
            return .failure(SourceFileProblem(reason: "cannot be read: \(error)"))
        }
        guard let answers = decoded(bytes) else {
            return .failure(SourceFileProblem(reason: "\(path) is damaged: it is not what Weir wrote there"))
        }
        return .success(answers)
    }

    /// Replaces the file durably.
    static func save(_ answers: [String: SourceAnswer], in directory: String) throws(SystemFailure) {
        try Directory(directory, links: .followed).replace(name, with: encoded(answers))
    }

    static func encoded(_ answers: [String: SourceAnswer]) -> [UInt8] {
        let sorted = answers.sorted { $0.key < $1.key }
        let body = Array(JSON.array(sorted.map { $1.json(model: $0) }).text.utf8)
        let header: JSON = ["weir_sources": .integer(format), "sha256": .string(Digest.sha256(body))]
        return Array((header.text + "\n").utf8) + body + [UInt8(ascii: "\n")]
    }

    /// nil when the bytes are not exactly what `encoded` wrote.
    static func decoded(_ bytes: [UInt8]) -> [String: SourceAnswer]? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), bytes.last == UInt8(ascii: "\n"),
            end + 1 < bytes.count, let header = try? JSON(parsing: bytes[..<end]),
            header["weir_sources"]?.integer == format
        else { return nil }
        let body = Array(bytes[(end + 1)..<(bytes.count - 1)])
        guard header["sha256"]?.string == Digest.sha256(body), let list = try? JSON(parsing: body) else {
            return nil
        }
        var answers: [String: SourceAnswer] = [:]
        for entry in list.elements {
            guard let name = entry["for"]?.string, let answer = SourceAnswer(entry) else { return nil }
            answers[name] = answer
        }
        return answers
    }
}

/// Why there are no saved answers.
struct SourceFileProblem: Error {
    var reason: String
}

extension SourceAnswer {
    fileprivate func json(model: String) -> JSON {
        var json: JSON = [
            "for": .string(model), "registry": .string(pointer.registry), "model": .string(pointer.model),
            "alias": .string(pointer.alias), "version": latest.json,
            "since": .string(Timestamp.text(wallMicros: sinceMicros)),
        ]
        if let before { json = json.with("before", before.json) }
        return json
    }

    fileprivate init?(_ json: JSON) {
        guard let registry = json["registry"]?.string, let model = json["model"]?.string,
            let alias = json["alias"]?.string, let latest = json["version"].flatMap(AliasTarget.init),
            let since = json["since"]?.string.flatMap(Timestamp.wallMicros)
        else { return nil }
        self.init(
            pointer: SourcePointer(registry: registry, model: model, alias: alias), latest: latest,
            before: json["before"].flatMap(AliasTarget.init), sinceMicros: since)
    }
}

extension AliasTarget {
    /// A version's number, or null for no alias.
    fileprivate var json: JSON {
        switch self {
        case .missing: .null
        case .version(let number): .string(number)
        }
    }

    fileprivate init?(_ json: JSON) {
        switch json {
        case .null: self = .missing
        case .string(let number): self = .version(number)
        case .bool, .integer, .number, .array, .object: return nil
        }
    }
}
