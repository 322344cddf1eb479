// A transcript as text: which bytes went to the servers and to the client in each case, short enough to be
// kept in the repository and plain enough that a difference can be read.
// Form: a row names a request, the digests of both sides and the answers to which they belong; below the rows
// stands each digest's text once. Long lines of a body are cut, with their length and digest; ids are masked.
// Invariant: what is not masked is compared byte by byte.

import Glibc

/// What both sides saw, by case.
struct Transcript: Sendable {
    private(set) var cases: [String: [String]] = [:]
    /// What has a digest, by that.
    private(set) var texts: [String: String] = [:]
    private var rows: [(request: String, sides: [String], answers: [String])] = []

    /// - Parameter others: further facts about the case, each a line.
    mutating func add(_ request: String, _ answer: String, _ played: Played, others: [String] = []) {
        var servers = ""
        for part in played.servers {
            let way = part.isNew ? "a new connection" : "the same connection"
            servers += "server \(part.server), \(way):\n" + Self.lines(part.bytes)
            if part.isEnded { servers += "  end\n" }
        }
        let client = Self.lines(played.client) + "  \(played.ending)\n"
        var sides: [String] = []
        for text in [servers, client] + others.map({ $0 + "\n" }) {
            let digest = Self.digest(Array(text.utf8))
            texts[digest] = text
            sides.append(digest)
        }
        append(request, answer, sides)
    }

    private mutating func append(_ request: String, _ answer: String, _ sides: [String]) {
        cases["\(request) \(answer)"] = sides
        if let row = rows.lastIndex(where: { $0.request == request && $0.sides == sides }) {
            rows[row].answers.append(answer)
        } else {
            rows.append((request, sides, [answer]))
        }
    }

    mutating func add(_ other: Transcript) {
        texts.merge(other.texts) { one, _ in one }
        for row in other.rows { for answer in row.answers { append(row.request, answer, row.sides) } }
    }

    // MARK: Text

    var text: String {
        var text = ""
        for row in rows {
            text +=
                "\(row.request) \(row.sides.joined(separator: " ")) \(row.answers.joined(separator: " "))\n"
        }
        for digest in texts.keys.sorted() { text += "\n\(digest)\n" + (texts[digest] ?? "") }
        return text
    }

    init() {}

    /// Reads what `text` wrote, with so many digests in a row.
    init(reading text: String, sides: Int) {
        let blocks = text.split(separator: "\n\n", omittingEmptySubsequences: true)
        for row in (blocks.first ?? "").split(separator: "\n") {
            let words = row.split(separator: " ").map(String.init)
            for answer in words.dropFirst(1 + sides) { append(words[0], answer, Array(words[1...sides])) }
        }
        for block in blocks.dropFirst() {
            let end = block.firstIndex(of: "\n") ?? block.endIndex
            let text = end == block.endIndex ? "" : String(block[block.index(after: end)...])
            texts[String(block[..<end])] = text.hasSuffix("\n") ? text : text + "\n"
        }
    }

    /// Where this one is not the recorded one: each case with the lines that are gone and those that are new.
    func differences(from recorded: Transcript, mostly most: Int = 5) -> [String] {
        let names = Set(cases.keys).union(recorded.cases.keys).sorted()
        let different = names.filter { cases[$0] != recorded.cases[$0] }
        var reports = different.prefix(most).map { name in
            "\(name):\n" + Self.difference(recorded.read(name), read(name))
        }
        if different.count > most { reports.append("and \(different.count - most) more cases") }
        return reports
    }

    /// Both sides of a case, line by line.
    private func read(_ name: String) -> [Substring] {
        guard let sides = cases[name] else { return ["no such case"] }
        return sides.flatMap { (texts[$0] ?? "no such text: \($0)").split(separator: "\n") }
    }

    private static func difference(_ old: [Substring], _ new: [Substring]) -> String {
        new.difference(from: old).map { change in
            switch change {
            case .remove(_, let line, _): "- \(line)\n"
            case .insert(_, let line, _): "+ \(line)\n"
            }
        }.joined()
    }

    // MARK: Bytes

    /// A line of text for each line of the message.
    private static func lines(_ bytes: [UInt8]) -> String {
        var text = ""
        var line: [UInt8] = []
        for byte in bytes {
            line.append(byte)
            if byte == 10 {
                text += "  \(masked(line))\n"
                line = []
            }
        }
        return line.isEmpty ? text : text + "  \(masked(line))\n"
    }

    /// Ids that are drawn have their length in their place.
    private static func masked(_ line: [UInt8]) -> String {
        for name in ["x-request-id: ", "x-weir-id: "] where line.starts(with: name.utf8) && line.count > 24 {
            return "\(name)<\(line.count - name.utf8.count - 2)>\\r\\n"
        }
        guard line.count > 160 else { return escaped(line[...]) }
        return "\(escaped(line.prefix(40))) ... \(line.count) bytes, \(digest(line))"
    }

    private static func escaped(_ bytes: ArraySlice<UInt8>) -> String {
        var text = ""
        for (index, byte) in zip(bytes.indices, bytes) {
            switch byte {
            case 13: text += "\\r"
            case 10: text += "\\n"
            case 0x5C: text += "\\\\"
            case 0x20 where index == bytes.endIndex - 1: text += "\\x20"
            case 0x20...0x7E: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }

    /// FNV-1a, folded to 40 bits.
    private static func digest(_ bytes: [UInt8]) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let text = String((hash >> 40 ^ hash) & 0xFF_FFFF_FFFF, radix: 16)
        return String(repeating: "0", count: 10 - text.count) + text
    }
}

extension Transcript {
    /// Compares with the committed transcript of that name, or writes it where the environment asks for it.
    ///
    /// - Returns: a report for each of the first cases that differ.
    func compare(with name: String, sides: Int = 2) throws -> [String] {
        let path =
            #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
            + "/Transcripts/\(name).txt"
        if getenv("WEIR_RECORD_TRANSCRIPTS") != nil {
            try Self.write(text, to: path)
        }
        return differences(from: Transcript(reading: try Self.read(path), sides: sides))
    }

    private static func read(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else { throw PeerFailure.odd("cannot read \(path)") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw PeerFailure.odd("cannot write \(path)") }
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
            throw PeerFailure.odd("write \(path)")
        }
    }
}
