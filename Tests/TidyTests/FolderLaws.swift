// The law about folders: which folder of a target may name the types of which other one. A folder is part of
// a room of the design, also where that room is not a target yet, and obeys the room's row in the table of
// imports. So an arrow that points up is seen before a compiler would refuse it.
// Table: `roomOfFolder` says which room a folder is part of; `wrongArrows` lists the arrows that the design
// does not have and that are still there. A row that nothing needs any more is a violation as well, so the
// list only gets shorter.

/// The room that each folder is part of, for targets that are more than one room.
private let roomOfFolder: [String: String] = [
    "Control/Journal": "Journal", "Control/State": "Journal",
    "Control/Values": "Evidence", "Control/Feedback": "Evidence", "Control/Captures": "Evidence",
    "Control/Decide": "Control", "Control/Report": "Control",
]

/// Arrows from a folder to a folder whose types it should not name.
private let wrongArrows: [String] = [
    "Control/Feedback -> Control/Decide",
    "Control/Journal -> Control/Captures",
    "Control/State -> Control/Decide",
    "Control/State -> Control/Feedback",
    "Control/State -> Control/Report",
]

/// A tree that keeps the law: the listed arrows, names that only look like arrows, and one that is allowed.
private let keptSample: [(String, String)] =
    wrongArrows.enumerated().flatMap { number, arrow in
        let ends = arrow.split(separator: " ")
        return [
            ("Sources/\(ends[0])/Names\(number).swift", "let a: Listed\(number)\n"),
            ("Sources/\(ends[2])/Declares\(number).swift", "struct Listed\(number) {}\n"),
        ]
    } + [
        (
            "Sources/Control/Values/A.swift",
            "// Loop\nstruct Page {\n    struct Turn {}\n}\nlet a = Page.Loop()\n"
        ),
        ("Sources/Control/Decide/B.swift", "struct Loop { var page: Page }\nstruct Turn {}\n"),
    ]

let folderLaws: [Law] = [
    Law(
        "A folder names only types of rooms that its own room may import",
        broken: [("Sources/Control/Values/C.swift", "extension Page { var loop: Loop? { nil } }\n")],
        beside: keptSample, kept: keptSample,
        tree: { files in
            let found = arrows(in: files)
            let texts = Set(found.map(\.text))
            return found.filter { !$0.isAllowed && !wrongArrows.contains($0.text) }.map {
                Violation(path: $0.path, line: $0.line, message: "`\($0.name)` makes the arrow \($0.text)")
            }
                + wrongArrows.filter { !texts.contains($0) }.map {
                    Violation(path: "Sources", line: 1, message: "nothing makes the arrow \($0) any more")
                }
        }
    ),
    Law(
        "Every folder of a target with several rooms has a row in the table of folders",
        broken: [("Sources/Control/Attic/A.swift", "let a = 1\n")],
        kept: [("Sources/Control/Decide/A.swift", "let a = 1\n"), ("Sources/Wire/B.swift", "let a = 1\n")]
    ) { (file: SourceFile) in
        guard file.isSwift, let room = file.room, let folder = folder(of: file), roomOfFolder[folder] == nil,
            roomOfFolder.keys.contains(where: { $0.hasPrefix(room + "/") })
        else { return [] }
        return [Violation(path: file.path, line: 1, message: "no row for \(folder) in the table of folders")]
    },
]

/// A type of another folder that a file names.
private struct Arrow {
    let path: String
    let line: Int
    let name: String
    let from: String
    let to: String

    var text: String { "\(from) -> \(to)" }

    var isAllowed: Bool {
        guard let room = roomOfFolder[from], let other = roomOfFolder[to] else { return true }
        return room == other || mayImport[room]?.contains(other) == true
    }
}

/// `Control/Decide` of `Sources/Control/Decide/Plane.swift`; nil for a file that is in no folder of a room.
private func folder(of file: SourceFile) -> String? {
    let parts = file.path.split(separator: "/")
    return parts.count > 3 && parts[0] == "Sources" ? parts[1...2].joined(separator: "/") : nil
}

/// Every type of another folder of the same target that a file names, once per file. A name that the
/// file's own folder declares as well, or that stands behind a dot, is not of the other folder.
private func arrows(in files: [SourceFile]) -> [Arrow] {
    let placed = files.filter(\.isSwift).compactMap { file in
        folder(of: file).flatMap { roomOfFolder[$0] == nil ? nil : (file: file, folder: $0) }
    }
    var home: [String: String] = [:]
    var own: [String: Set<String>] = [:]
    for (file, folder) in placed {
        for type in declaredTypes(in: file) {
            own[folder, default: []].insert(type.name)
            if type.isVisible { home[type.name] = folder }
        }
    }
    return placed.flatMap { file, folder in
        var seen: Set<String> = []
        return namedTypes(in: file).compactMap { word -> Arrow? in
            guard let to = home[word.name], to != folder, own[folder]?.contains(word.name) != true,
                to.split(separator: "/")[0] == folder.split(separator: "/")[0],
                seen.insert(word.name).inserted
            else { return nil }
            return Arrow(path: file.path, line: word.line, name: word.name, from: folder, to: to)
        }
    }
}

/// The types that a file declares; visible in other files: those at its top level that are not private.
private func declaredTypes(in file: SourceFile) -> [(name: String, isVisible: Bool)] {
    let kinds: Set<Substring> = ["struct", "enum", "class", "protocol", "typealias"]
    return file.codeLines.compactMap { line in
        let words = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
        guard let at = words.firstIndex(where: kinds.contains), at + 1 < words.count,
            words[at + 1].first?.isUppercase == true
        else { return nil }
        let isPrivate = words[..<at].contains { $0 == "private" || $0 == "fileprivate" }
        return (String(words[at + 1]), line.first != " " && !isPrivate)
    }
}

/// The capitalised words of a file's code that do not stand behind a dot.
private func namedTypes(in file: SourceFile) -> [(name: String, line: Int)] {
    let dot = UInt8(ascii: ".")
    var words: [(name: String, line: Int)] = []
    for (index, line) in file.codeLines.enumerated() {
        var before: UInt8 = 0
        var word: [UInt8] = []
        for byte in Array(line.utf8) + [0] {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: word.append(byte)
            default:
                if let first = word.first, (0x41...0x5A).contains(first), before != dot {
                    words.append((String(decoding: word, as: UTF8.self), index + 1))
                }
                word = []
                before = byte
            }
        }
    }
    return words
}
