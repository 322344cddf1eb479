// Reading a YAML tree by a table of keys. A `NodeReader` is a node with its path; a `SectionReader` is a
// mapping whose keys are consumed one line each, and what is left over at the end is an unknown key; a
// `Kind` says how one value is read and what to expect in its place. Every key is known by being read and in
// no other way: suggestions, the list of allowed keys and the test of the reference page come from there.
//
// Invariant: a reader that returns nil has reported a problem. A section's body reads all of its keys before
// it gives up on any, so that one bad value does not turn its neighbours into unknown keys.

import Platform
import Yams

/// Where a value stands in the file.
struct Place: Hashable {
    var path: String
    var line: Int
    var column: Int
}

/// A value, where it stands and how it was written.
struct Marked<Value> {
    var value: Value
    var place: Place
    var text: String?
}

/// One reading of one file: what is wrong with it so far, and which keys were asked for.
final class Reading {
    let file: String
    let resolve: NameResolver
    /// nil: the files that the config names are not looked for.
    private let files: FileLook?
    /// nil: files whose content is part of the config are refused.
    let read: FileRead?
    /// Probing walks an empty document into every section, to learn the keys; its problems mean nothing.
    let isProbing: Bool
    /// Keys whose first letter was replaced, by line and column, so that a file with duplicates can be read.
    let maskedKeys: [MaskedKey]
    private(set) var problems: [ConfigProblem] = []
    /// Named files that are not there, or not to be used.
    private(set) var absentFiles: [ConfigProblem] = []
    /// Every key asked for, as `models[].versions.<name>.endpoints`.
    private(set) var keys: Set<String> = []
    private var answers: [String: Result<[SocketAddress], NameFailure>] = [:]
    private var visits = 0
    private var merges = 0

    /// Aliases can make a small file large; more values than the largest sensible config has are refused,
    /// and more merges than its versions could need.
    static let visitsMax = 2_000_000
    static let mergesMax = 20_000

    init(
        file: String, resolve: @escaping NameResolver, files: FileLook? = nil, read: FileRead? = nil,
        probing: Bool = false, masked: [MaskedKey] = []
    ) {
        self.file = file
        self.resolve = resolve
        self.files = files
        self.read = read
        self.isProbing = probing
        self.maskedKeys = masked
    }

    func report(
        _ place: Place, _ message: String, value: String? = nil, expected: String? = nil,
        suggestion: String? = nil
    ) {
        if isProbing { return }
        let problem = ConfigProblem(
            file: file, line: place.line, column: place.column, path: place.path, message: message,
            value: value, expected: expected, suggestion: suggestion)
        problems.append(problem)
    }

    /// Looks for a file that the config names, where that was asked for.
    func look(_ place: Place, _ path: String, _ use: FileUse) {
        guard !isProbing, let objection = files?(path, use) else { return }
        absentFiles.append(
            ConfigProblem(
                file: file, line: place.line, column: place.column, path: place.path,
                message: "\(objection):", value: path, expected: nil, suggestion: nil,
                valueBytesMax: 4_096))
    }

    fileprivate func asks(for key: String) { keys.insert(key) }

    /// Whether one more value may be read.
    fileprivate func visit(_ place: Place) -> Bool {
        visits += 1
        if visits == Reading.visitsMax {
            report(place, "aliases expand the file to more than \(Reading.visitsMax) values")
        }
        return visits < Reading.visitsMax
    }

    /// Whether one more mapping may be merged into another.
    fileprivate func merge(_ place: Place) -> Bool {
        merges += 1
        if merges == Reading.mergesMax {
            report(place, "aliases expand the file to more than \(Reading.mergesMax) merged mappings")
        }
        return merges < Reading.mergesMax
    }

    /// The addresses of a name; asked once per file.
    func addresses(of host: String, port: UInt16) -> Result<[SocketAddress], NameFailure> {
        let name = "\(host):\(port)"
        if let known = answers[name] { return known }
        let answer = resolve(host, port)
        answers[name] = answer
        return answer
    }
}

/// A key that stood in its mapping before, and the letter that its mask replaced.
struct MaskedKey {
    var line: Int
    var column: Int
    var text: String
}

/// One node of the tree, its path for people and its path in the table of keys.
struct NodeReader {
    /// nil for the empty document of a probe.
    let node: Node?
    let place: Place
    let schema: String
    let reading: Reading

    init(_ node: Node?, path: String, schema: String, reading: Reading, parent: Place? = nil) {
        self.node = node
        self.place = Place(
            path: path, line: node?.mark?.line ?? parent?.line ?? 1,
            column: node?.mark?.column ?? parent?.column ?? 1)
        self.schema = schema
        self.reading = reading
    }

    /// The text of a scalar that is not null.
    var text: String? {
        guard let scalar = node?.scalar, !isNull else { return nil }
        return scalar.string
    }

    /// A plain empty scalar, `~` or `null`.
    var isNull: Bool {
        guard let scalar = node?.scalar, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// Reports that this node is not what was expected.
    func mismatch<Value>(expected: String, suggestion: String? = nil) -> Value? {
        switch node {
        case .scalar where isNull:
            reading.report(place, "has no value", expected: expected)
        case .scalar(let scalar):
            reading.report(
                place, "wrong value", value: scalar.string, expected: expected, suggestion: suggestion)
        case .mapping(let mapping):
            reading.report(place, mapping.isEmpty ? "is empty" : "is a mapping", expected: expected)
        case .sequence(let sequence):
            reading.report(place, sequence.isEmpty ? "is empty" : "is a list", expected: expected)
        case .alias, nil: reading.report(place, "cannot be read", expected: expected)
        }
        return nil
    }

    /// Reports a list with too few or too many items.
    func miscounted<Value>(_ count: Int, _ range: ClosedRange<Int>) -> Value? {
        let isShort = count < range.lowerBound
        reading.report(
            place, count == 0 ? "is empty" : "has \(count) entries",
            expected: isShort ? "at least \(range.lowerBound)" : "at most \(range.upperBound)")
        return nil
    }

    /// Reads this node; nil when a problem was reported.
    func read<Value>(_ kind: Kind<Value>) -> Value? {
        reading.visit(place) ? kind.read(self) : nil
    }

    /// The items of a list.
    func items() -> [NodeReader]? {
        guard let sequence = node?.sequence else { return nil }
        return sequence.enumerated().map { index, item in
            NodeReader(
                item, path: "\(place.path)[\(index)]", schema: schema + "[]", reading: reading, parent: place)
        }
    }
}

/// How one value is read: what to expect, and the reading itself.
package struct Kind<Value> {
    let expected: String
    let read: (NodeReader) -> Value?
}

/// A mapping whose keys are consumed by name.
struct SectionReader {
    let node: NodeReader
    private var entries: [MappingEntry]
    private var asked: [String] = []
    private var taken: Set<String> = []
    /// What is not there and should be: one of `keys`.
    private var missing: [(keys: [String], message: String, expected: String)] = []

    fileprivate init(_ node: NodeReader) {
        self.node = node
        entries = node.entries() ?? []
    }

    var reading: Reading { node.reading }
    var place: Place { node.place }

    /// The value of a key, or nil when the key is absent or its value is wrong.
    mutating func optional<Value>(_ key: String, _ kind: Kind<Value>) -> Value? {
        find(key)?.read(kind)
    }

    /// The value of a key, or the default when the key is absent or its value is wrong.
    mutating func value<Value>(_ key: String, _ kind: Kind<Value>, or standard: Value) -> Value {
        optional(key, kind) ?? standard
    }

    /// The value of a key that must be there; nil when it is absent or wrong.
    mutating func required<Value>(_ key: String, _ kind: Kind<Value>) -> Value? {
        if let node = find(key) { return node.read(kind) }
        lacks([key], "lacks '\(key)'", expected: kind.expected)
        return nil
    }

    /// A key that people may expect and that does not exist, with a sentence that says what does.
    mutating func refuse(_ key: String, _ message: String, expected: String) {
        guard let entry = entries.first(where: { $0.name == key }) else { return }
        taken.insert(key)
        var place = entry.place
        place.path = node.place.path.isEmpty ? key : "\(node.place.path).\(key)"
        reading.report(place, message, expected: expected)
    }

    /// That none of `keys` is there and one should be; reported at the end, unless a misspelt one is.
    mutating func lacks(_ keys: [String], _ message: String, expected: String) {
        missing.append((keys, message, expected))
    }

    /// Whether the file has the key.
    func has(_ key: String) -> Bool { entries.contains { $0.name == key } }

    private mutating func find(_ key: String) -> NodeReader? {
        asked.append(key)
        taken.insert(key)
        reading.asks(for: node.schema.isEmpty ? key : "\(node.schema).\(key)")
        if reading.isProbing { return node.child(nil, key, schema: key) }
        guard let entry = entries.first(where: { $0.name == key }) else { return nil }
        return node.child(entry.value, key, schema: key)
    }

    /// Reports every key that nobody asked for, and every required key for which none of them stands.
    fileprivate func finish() {
        var meant: Set<String> = []
        var hasUnknown = false
        for entry in entries where !taken.contains(entry.name) {
            let nearest = Nearest.to(entry.name, among: asked)
            if let nearest { meant.insert(nearest) }
            hasUnknown = true
            reading.report(
                Place(path: place.path, line: entry.place.line, column: entry.place.column), "unknown key",
                value: entry.name, expected: "one of " + asked.joined(separator: ", "), suggestion: nearest)
        }
        for lack in missing {
            let isMisspelt = lack.keys.count > 1 ? hasUnknown : meant.contains(lack.keys[0])
            if !isMisspelt { reading.report(place, lack.message, expected: lack.expected) }
        }
    }
}

extension Kind {
    /// A mapping with a fixed set of keys. `body` reads every key; what it leaves is reported as unknown.
    /// - Parameter name: a name of its own in the table of keys, for sections that stand in several places.
    static func section(
        _ expected: String, named name: String? = nil, body: @escaping (inout SectionReader) -> Value?
    ) -> Kind {
        Kind(expected: expected) { node in
            let node = name.map { node.renamed($0) } ?? node
            if !node.reading.isProbing, node.node?.mapping == nil { return node.mismatch(expected: expected) }
            var section = SectionReader(node)
            let value = body(&section)
            section.finish()
            return value
        }
    }

    /// A mapping from names that the user chooses, at most `max` of them.
    static func table<Item>(
        _ expected: String, names: Kind<String>, of kind: Kind<Item>, max: Int = 64
    ) -> Kind where Value == [TableEntry<Item>] {
        Kind(expected: expected) { node in
            if node.reading.isProbing {
                _ = node.child(nil, "<name>", schema: "<name>").read(kind)
                return []
            }
            guard let entries = node.entries(), !entries.isEmpty else {
                return node.mismatch(expected: expected)
            }
            if entries.count > max { return node.miscounted(entries.count, 1...max) }
            var seen: Set<String> = []
            return entries.compactMap { entry in
                let key = NodeReader(
                    entry.key, path: node.place.path, schema: node.schema, reading: node.reading)
                guard let name = key.read(names) else { return nil }
                if !seen.insert(name).inserted {
                    node.reading.report(
                        key.place, "means the same as a name before it:", value: entry.name,
                        expected: "each name once")
                }
                let value = node.child(entry.value, entry.name, schema: "<name>").read(kind)
                return TableEntry(name: Marked(value: name, place: key.place, text: name), value: value)
            }
        }
    }

    /// A list of such values, `count` of them. Items that cannot be read are left out.
    static func list<Item>(
        of kind: Kind<Item>, count: ClosedRange<Int> = 1...4_096
    ) -> Kind where Value == [Item] {
        let expected = "a list, each item \(kind.expected)"
        return Kind(expected: expected) { node in
            if node.reading.isProbing {
                _ = node.child(nil, "", schema: "[]").read(kind)
                return []
            }
            guard let items = node.items() else { return node.mismatch(expected: expected) }
            guard count.contains(items.count) else {
                return node.miscounted(items.count, count)
            }
            return items.compactMap { $0.read(kind) }
        }
    }

    /// One such value, or a list of them.
    static func oneOrMany<Item>(
        _ kind: Kind<Item>, max: Int = 4_096
    ) -> Kind where Value == [Item] {
        Kind(expected: "\(kind.expected), or a list of such") { node in
            guard let items = node.items() else { return node.read(kind).map { [$0] } }
            guard (1...max).contains(items.count) else {
                return node.miscounted(items.count, 1...max)
            }
            return items.compactMap { $0.renamed(node.schema).read(kind) }
        }
    }

    /// Such a value with its place and text.
    static func marked<Inner>(_ kind: Kind<Inner>) -> Kind where Value == Marked<Inner> {
        Kind(expected: kind.expected) { node in
            kind.read(node).map { Marked(value: $0, place: node.place, text: node.text) }
        }
    }

    /// The value made into another.
    func map<Other>(_ transform: @escaping (Value) -> Other) -> Kind<Other> {
        Kind<Other>(expected: expected) { node in read(node).map(transform) }
    }
}

/// One entry of a table; `value` is nil when it could not be read, so that the name still counts as known.
struct TableEntry<Value> {
    var name: Marked<String>
    var value: Value?
}

/// A key and its value, after merging.
struct MappingEntry {
    var key: Node
    var value: Node
    var name: String
    var place: Place
}

extension NodeReader {
    fileprivate func child(_ node: Node?, _ name: String, schema part: String) -> NodeReader {
        let separator = part == "[]" || schema.isEmpty ? "" : "."
        return NodeReader(
            node, path: place.path.isEmpty ? name : "\(place.path).\(name)",
            schema: schema + separator + part, reading: reading, parent: place)
    }

    func renamed(_ schema: String) -> NodeReader {
        NodeReader(node, path: place.path, schema: schema, reading: reading, parent: place)
    }

    /// The entries of a mapping: merge keys (`<<`) followed, names compared as text, duplicates reported.
    fileprivate func entries() -> [MappingEntry]? {
        guard let mapping = node?.mapping else { return nil }
        var own: [MappingEntry] = []
        var merged: [MappingEntry] = []
        var firstLines: [String: Int] = [:]
        for (key, value) in mapping {
            let mark = Place(path: place.path, line: key.mark?.line ?? 0, column: key.mark?.column ?? 0)
            guard let scalar = key.scalar else {
                reading.report(mark, "a key is a list or a mapping", expected: "a word")
                continue
            }
            let masked = reading.maskedKeys.first { $0.line == mark.line && $0.column == mark.column }
            let name = masked?.text ?? scalar.string
            if name == "<<", scalar.style == .plain {
                merged += self.merged(value, at: mark)
            } else if let line = firstLines[name] {
                reading.report(
                    mark, "duplicate key", value: name,
                    expected: "it once; it stands first in line \(line)")
            } else {
                firstLines[name] = mark.line
                let key = Node.scalar(.init(name, scalar.tag, scalar.style, scalar.mark))
                own.append(MappingEntry(key: key, value: value, name: name, place: mark))
            }
        }
        for entry in merged where firstLines.updateValue(entry.place.line, forKey: entry.name) == nil {
            own.append(entry)
        }
        return own
    }

    /// What `<<` brings in: the keys of one mapping or of several, the first of them winning.
    private func merged(_ value: Node, at mark: Place) -> [MappingEntry] {
        guard reading.merge(mark) else { return [] }
        let sources = value.sequence.map(Array.init) ?? [value]
        return sources.flatMap { source -> [MappingEntry] in
            let node = NodeReader(source, path: place.path, schema: schema, reading: reading)
            guard let entries = node.entries() else {
                reading.report(mark, "'<<' merges what is not a mapping", expected: "an alias of a mapping")
                return []
            }
            return entries
        }
    }
}
