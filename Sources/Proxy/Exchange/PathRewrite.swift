// A prefix of the path, and what stands in its place at a version. By segments, as `match.path_prefix` takes
// them: `/m` is the start of `/m`, `/m/infer` and `/m:predict`, not of `/mx`; `/m/` only of what is below it.
// Bytes are compared as they came: `%2F` is no slash.
// Invariant: a path that is changed begins with one slash, and has one at the seam. Two at the start would be
// a host to whoever reads the target as a reference (RFC 3986, section 4.2).
// Source: HTTPPathModifier of the Gateway API (ReplacePrefixMatch), whose table of examples is kept.

import Wire

/// What a version's `rewrite.path_prefix` does to a path. The bytes belong to the plan's arena.
struct PathRewrite {
    /// Without the slash at its end.
    private var from = UnsafeRawBufferPointer(start: nil, count: 0)
    private var to = UnsafeRawBufferPointer(start: nil, count: 0)
    private(set) var isPlanned = false
    /// `from` was written with a slash at its end: only what is below it is meant.
    private var takesOnlyBelow = false
    /// `from` ends with a border itself: anything may follow.
    private var endsAtBorder = false

    init() {}

    /// - Precondition: both start with a slash.
    init(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) {
        precondition(from.first == 0x2F && to.first == 0x2F, "a path starts with a slash")
        isPlanned = true
        takesOnlyBelow = from.last == 0x2F
        endsAtBorder = from.last == 0x3A
        self.from = takesOnlyBelow ? UnsafeRawBufferPointer(rebasing: from.dropLast()) : from
        self.to = to
    }

    /// Writes the path that the version gets for `path`.
    func write(_ path: UnsafeRawBufferPointer, to out: inout HeadWriter) {
        guard isPlanned, covers(path) else {
            out.append(path)
            return
        }
        var rest = UnsafeRawBufferPointer(rebasing: path[from.count...])
        guard rest.first == 0x2F else {
            out.append(to)
            out.append(rest)
            return
        }
        while rest.count > 1, rest[1] == 0x2F { rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst()) }
        out.append(to.last == 0x2F ? UnsafeRawBufferPointer(rebasing: to.dropLast()) : to)
        out.append(rest)
    }

    /// Whether the prefix is the start of `path`.
    private func covers(_ path: UnsafeRawBufferPointer) -> Bool {
        guard path.count >= from.count,
            UnsafeRawBufferPointer(rebasing: path[..<from.count]).elementsEqual(from)
        else { return false }
        guard path.count > from.count else { return !takesOnlyBelow }
        let next = path[from.count]
        return next == 0x2F || !takesOnlyBelow && (next == 0x3A || endsAtBorder)
    }
}
