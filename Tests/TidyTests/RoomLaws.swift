// The laws about rooms: who may import whom, and what a room may not contain because of what it is. The
// table is the design's; a new arrow between rooms is a decision and starts with a line here.
// Invariant: every folder under Sources has a row, so a new room cannot slip past the table.

/// What each room may import, also a room that is still folders of another target (`FolderLaws`). Rooms that
/// are C modules import nothing of ours.
let mayImport: [String: Set<String>] = [
    "Wire": ["CNghttp2", "COpenSSL"],
    "Metrics": ["Synchronization"],
    "Statistics": ["Metrics", "Glibc"],
    "Rollout": ["Metrics", "Statistics"],
    "Payload": [],
    "Platform": ["CLinux", "Glibc", "Synchronization"],
    "Proxy": ["Platform", "Wire", "Metrics", "Synchronization"],
    "Config": [
        "Payload", "Proxy", "Platform", "Wire", "Metrics", "Statistics", "Rollout", "Yams", "COpenSSL",
        "FoundationEssentials", "Foundation",
    ],
    "Journal": [
        "Payload", "Config", "Platform", "Metrics", "Statistics", "Rollout", "COpenSSL", "Synchronization",
        "FoundationEssentials", "Glibc",
    ],
    "Evidence": [
        "Payload", "Config", "Proxy", "Platform", "Metrics", "Synchronization", "FoundationEssentials",
        "Glibc",
    ],
    "Calls": ["Platform", "Wire", "Payload", "COpenSSL"],
    "Control": [
        "Proxy", "Platform", "Wire", "Metrics", "Statistics", "Rollout", "Payload", "Config", "Journal",
        "Evidence", "Synchronization", "Logging", "COpenSSL", "FoundationEssentials", "Foundation",
        "Glibc",
    ],
    "Sidecar": [
        "Control", "Calls", "Proxy", "Platform", "Wire", "Metrics", "Statistics", "Rollout", "Payload",
        "Config", "Journal", "Evidence", "Synchronization", "Logging", "COpenSSL", "FoundationEssentials",
        "Foundation", "Glibc",
    ],
    "Load": ["Platform", "Wire", "Metrics", "Statistics", "Synchronization"],
    "Demo": [
        "Sidecar", "Control", "Config", "Load", "Proxy", "Payload", "Platform", "Wire", "Metrics",
        "Synchronization",
    ],
    "weir": ["Sidecar", "Control", "Config", "Load", "Demo", "Payload", "Platform", "ArgumentParser"],
    "CLinux": [], "CNghttp2": [], "COpenSSL": [],
]

/// Rooms that a request, a value or a tick passes.
let hotRooms: Set<String> = [
    "Wire", "Metrics", "Statistics", "Rollout", "Payload", "Platform", "Proxy", "Load",
]

/// Rooms of functions on values: time and entropy are arguments.
let pureRooms: Set<String> = ["Wire", "Metrics", "Statistics", "Rollout", "Payload"]

let roomLaws: [Law] = [
    Law(
        "A room imports only what its row of the table allows",
        broken: [("Sources/Rollout/A.swift", "import Metrics\nimport Proxy\n")],
        kept: [
            ("Sources/Rollout/A.swift", "// import Proxy\nimport Metrics\nimport struct Statistics.Gamma\n")
        ]
    ) { (file: SourceFile) in
        guard file.isSwift, let room = file.room, let allowed = mayImport[room] else { return [] }
        return imports(of: file).filter { !allowed.contains($0.module) && $0.module != room }.map {
            Violation(
                path: file.path, line: $0.line,
                message:
                    "\(room) imports \($0.module); it may import \(allowed.sorted().joined(separator: ", "))")
        }
    },
    Law(
        "Every room has a row in the table of imports",
        broken: [("Sources/Attic/A.swift", "import Proxy\n")],
        kept: [("Sources/Wire/A.swift", "let a = 1\n")]
    ) { (file: SourceFile) in
        guard let room = file.room, mayImport[room] == nil else { return [] }
        return [Violation(path: file.path, line: 1, message: "no row for \(room) in the table of imports")]
    },
    Law(
        "Nobody re-exports a module",
        never: #"@_exported"#, because: "an import must stand where it is used",
        in: { $0.isSwift },
        broken: [("Sources/Proxy/A.swift", "@_exported import Platform\n")],
        kept: [("Sources/Proxy/A.swift", "import Platform\n")]
    ),
    Law(
        "No async, await, actors, tasks or Dispatch anywhere in Sources",
        never:
            #"\b(async|await)\b(?!:)|\bactor\s+[A-Z]|\bTask(Group)?\b|\bDispatch[A-Z]\w*|@MainActor"#,
        because: "threads come from Platform.Thread, waiting from the poller",
        in: { $0.isSwift && $0.isUnder("Sources") },
        broken: [
            ("Sources/Control/A.swift", "func load() async {}\n"),
            ("Sources/Control/B.swift", "Task { run() }\n"),
            ("Sources/Control/C.swift", "let q = DispatchQueue.main\n"),
            ("Sources/Control/D.swift", "public actor Journal {\n"),
        ],
        kept: [
            ("Sources/Control/A.swift", "// an async function would cost 3 us\nlet task = \"await\"\n"),
            ("Sources/Control/B.swift", "journal(actor: who, event.actor)\n"),
        ]
    ),
    Law(
        "The pure rooms own no clock, lock, thread or randomness",
        never:
            #"\b(ContinuousClock|SuspendingClock|Mutex|SystemRandomNumberGenerator)\b"#
            + #"|\b(clock_gettime|getrandom)\b|\.random\(|\.shuffled?\(\)|\.randomElement\(\)|\bpthread_\w+"#,
        because: "time and entropy are arguments here",
        in: { file in file.isSwift && file.room.map(pureRooms.contains) == true },
        broken: [
            ("Sources/Rollout/A.swift", "let salt = UInt64.random(in: 0...9)\n"),
            ("Sources/Metrics/A.swift", "let lock = Mutex(0)\n"),
        ],
        kept: [
            ("Sources/Rollout/A.swift", "let salt = random.next()\n"),
            ("Sources/Platform/A.swift", "let lock = Mutex(0)\n"),
        ]
    ),
    Law(
        "Config touches no file, clock, thread or resolver",
        never: #"\b(Clock|File|Socket|CPU|Thread|Worker|Poller|FileManager)\s*[.(]|\bDate\(\)"#,
        because: "what the machine says is a parameter: names, and files that a config names",
        in: { $0.isSwift && $0.room == "Config" },
        broken: [
            ("Sources/Config/A.swift", "let bytes = try File.readAll(path)\n"),
            ("Sources/Config/B.swift", "let now = Clock.wallMicros()\n"),
        ],
        kept: [
            ("Sources/Config/A.swift", "let bytes = read(path, 1 << 20)\nKind.file(\"a\")\n"),
            ("Sources/Control/A.swift", "let bytes = try File.readAll(path)\n"),
        ]
    ),
    Law(
        "Sendable is asserted unchecked only in Platform",
        never: #"@unchecked\s+Sendable|nonisolated\(unsafe\)"#,
        because: "only Platform may promise what the compiler cannot see",
        in: { $0.isSwift && $0.isUnder("Sources") && $0.room != "Platform" },
        broken: [
            ("Sources/Control/A.swift", "final class A: @unchecked Sendable {}\n"),
            ("Sources/Proxy/A.swift", "nonisolated(unsafe) var a = 1\n"),
        ],
        kept: [("Sources/Platform/A.swift", "final class A: @unchecked Sendable {}\n")]
    ),
    Law(
        "Where requests pass, access across rooms is `public`, never `package`",
        never:
            #"\bpackage\s+(func|var|let|struct|enum|class|final|init|protocol|static|typealias|mutating)\b"#,
        because: "package functions do not inline across targets",
        in: { file in file.isSwift && file.room.map(hotRooms.contains) == true },
        broken: [("Sources/Wire/A.swift", "    package func a() {}\n")],
        kept: [
            ("Sources/Wire/A.swift", "let package = 1\n"),
            ("Sources/Config/A.swift", "package struct A {}\n"),
        ]
    ),
    Law(
        "Every room has its documentation catalogue",
        broken: [("Sources/Wire/A.swift", "let a = 1\n")],
        kept: [
            ("Sources/Wire/A.swift", "let a = 1\n"), ("Sources/Wire/Wire.docc/Wire.md", "# Wire\n"),
            ("Sources/CLinux/CLinux.h", "\n"),
        ],
        tree: { files in
            let rooms = Set(files.filter { $0.isSwift }.compactMap(\.room))
            let pages = Set(files.map(\.path))
            return rooms.sorted().map { "Sources/\($0)/\($0).docc/\($0).md" }.filter { !pages.contains($0) }
                .map { Violation(path: $0, line: 1, message: "the room has no catalogue page") }
        }
    ),
]

/// The modules that a file imports.
private func imports(of file: SourceFile) -> [(module: String, line: Int)] {
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
    return file.codeLines.enumerated().compactMap { index, line in
        let words = line.split { $0 == " " || $0 == "." }
        guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
            words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "private"].contains($0) })
        else { return nil }
        let named = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
        return (String(named), index + 1)
    }
}
