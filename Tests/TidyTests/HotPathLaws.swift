// The laws about the request path: no String, Dictionary, existential or stored closure where a request
// passes. What is hot is decided by folder, and by file where a folder is not; the few files in hot folders
// that run once per plan, per connection failure or per process are named here with the reason.
// Source: the measured costs of these constructs (150 k instructions per request in the idiomatic form).

/// Folders whose files run per request, per field or per byte.
private let hotFolders = [
    "Sources/Wire", "Sources/Proxy/Accept", "Sources/Proxy/Downstream", "Sources/Proxy/Assign",
    "Sources/Proxy/Upstream", "Sources/Proxy/Exchange", "Sources/Proxy/Finish", "Sources/Proxy/Shadow",
    "Sources/Proxy/Tap",
]

/// Files in other folders that a request passes through, too.
private let hotFiles: Set<String> = [
    "Sources/Proxy/Core.swift", "Sources/Proxy/Core+Turn.swift", "Sources/Proxy/Core+Buffers.swift",
    "Sources/Proxy/ResumeLine.swift", "Sources/Proxy/Plan/Tables.swift",
    "Sources/Proxy/Plan/StateTable.swift",
    "Sources/Platform/Memory/Slab.swift", "Sources/Platform/Memory/ByteQueue.swift",
    "Sources/Platform/Memory/BufferPool.swift", "Sources/Platform/Time/TimerWheel.swift",
    "Sources/Platform/Time/Instant.swift", "Sources/Platform/Time/Clock.swift",
    "Sources/Platform/Kernel/Descriptor.swift", "Sources/Platform/Kernel/Poller.swift",
    "Sources/Platform/Kernel/Token.swift", "Sources/Platform/Kernel/Pipe.swift",
    "Sources/Platform/Random64.swift",
    "Sources/Metrics/EvidenceRing.swift", "Sources/Metrics/VersionMeter.swift",
    "Sources/Metrics/CoreMeter.swift", "Sources/Metrics/Histogram.swift", "Sources/Metrics/LogLinear.swift",
    "Sources/Metrics/KeySketch.swift", "Sources/Metrics/Words.swift", "Sources/Metrics/BadEvent.swift",
    "Sources/Metrics/Outcome.swift",
]

/// Files in hot folders that do not run per request.
private let coldFiles: Set<String> = [
    // A plan's rules to flat records: once per plan, off the cores.
    "Sources/Proxy/Assign/AssignImage.swift", "Sources/Proxy/Assign/AssignCompiler.swift",
    "Sources/Proxy/Assign/AssignCompiler+Cohorts.swift", "Sources/Proxy/Assign/FactNames.swift",
    "Sources/Proxy/Assign/RouteCompiler.swift",
    // Patterns to tables: when a config is loaded. The loop over a value is in Automaton.swift.
    "Sources/Proxy/Assign/Pattern.swift", "Sources/Proxy/Assign/PatternParser.swift",
    "Sources/Proxy/Assign/AutomatonBuilder.swift",
    // Ids read back, and hashed once per plan.
    "Sources/Proxy/Finish/ExchangeID+Text.swift",
    // The front of `weir explain`.
    "Sources/Proxy/Assign/Explainer.swift", "Sources/Proxy/Assign/Explanation.swift",
]

private func isHot(_ file: SourceFile) -> Bool {
    guard file.isSwift, !coldFiles.contains(file.path) else { return false }
    return hotFiles.contains(file.path) || hotFolders.contains { file.isUnder($0) }
}

/// `label` and `description` are for people; they may be strings.
private let forPeople = #"^(?!.*\bvar (label|description)\b)"#

let hotPathLaws: [Law] = [
    Law(
        "No String on the request path",
        never: forPeople + #".*(?<![A-Za-z])String\b"#,
        because: "a String allocates; pass offsets, bytes or a StaticString",
        in: isHot,
        broken: [("Sources/Wire/A.swift", "func name() -> String { text }\n")],
        kept: [
            (
                "Sources/Wire/A.swift",
                "func name() -> StaticString { \"String\" }\nvar label: String { word }\n"
            ),
            ("Sources/Control/A.swift", "func name() -> String { text }\n"),
        ]
    ),
    Law(
        "No Dictionary or Set on the request path",
        never: #"\bDictionary\b|\bSet<|:\s*\[\s*[A-Z][\w.]*\s*:\s*[A-Z\[]"#,
        because: "use a byte hash table or a precomputed index",
        in: isHot,
        broken: [
            ("Sources/Wire/A.swift", "var byName: [Slice: Int] = [:]\n"),
            ("Sources/Proxy/Assign/A.swift", "let seen = Set<Int>()\n"),
        ],
        kept: [("Sources/Wire/A.swift", "var names: [Slice] = []\nlet a = flag ? [one] : [two]\n")]
    ),
    Law(
        "No existential on the request path",
        never: #"\bany\s+[A-Z]\w*|\bAnyObject\b|:\s*Any\b|\bas[?!]?\s+Any\b"#,
        because: "dispatch by enum",
        in: isHot,
        broken: [("Sources/Proxy/Upstream/A.swift", "let next: any Connection\n")],
        kept: [("Sources/Proxy/Upstream/A.swift", "let next: Connection  // any Connection\n")]
    ),
    Law(
        "No stored or escaping closure on the request path",
        never: #"@escaping|\b(var|let)\s+\w+\s*:\s*(@\w+\s+)*\(?\(.*\)\s*(throws(\(\w+\))?\s*)?->"#,
        because: "a stored closure costs 8 to 80 ns per call and hides the straight line",
        in: isHot,
        broken: [
            ("Sources/Proxy/Finish/A.swift", "    var done: (Int) -> Void\n"),
            ("Sources/Proxy/Finish/B.swift", "func on(_ f: @escaping () -> Void) {}\n"),
        ],
        kept: [("Sources/Proxy/Finish/A.swift", "func each(_ body: (Int) -> Void) {}\n")]
    ),
    Law(
        "No untyped throws on the request path",
        never: #"\bthrows\b(?!\()"#,
        because: "outcomes are enums; `throws(E)` elsewhere",
        in: isHot,
        broken: [("Sources/Wire/A.swift", "func parse() throws -> Int { 1 }\n")],
        kept: [("Sources/Wire/A.swift", "func parse() throws(Refusal) -> Int { 1 }\n")]
    ),
    Law(
        "A file named by the hot path's laws exists",
        broken: [],
        kept: coldFiles.union(hotFiles).sorted().map { ($0, "") },
        tree: { files in
            let paths = Set(files.map(\.path))
            return coldFiles.union(hotFiles).subtracting(paths).sorted()
                .map { Violation(path: $0, line: 1, message: "named, but there is no such file") }
        }
    ),
]
