// A copied head as a start line and fields, for people: the data plane has validated it before it was copied,
// so splitting lines is all there is to do.
// Invariant: any bytes give a value, never a trap; a line that is not here to its end is left out, because
// half a name cannot be recognised as one to be masked.

/// A message's start line and fields.
struct MessageHead {
    /// Up to three words: method, target, version, or version, status, reason.
    var first = ""
    var second = ""
    var third = ""
    var fields: [(name: String, value: String)] = []

    init(_ bytes: UnsafeRawBufferPointer) {
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        // What follows the last line end: nothing, or a line that was cut.
        lines.removeLast()
        var isFirst = true
        for line in lines {
            let text = line.last == 0x0D ? line.dropLast() : line
            guard !text.isEmpty else { continue }
            if isFirst {
                let words = text.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
                first = Self.text(words[0])
                second = words.count > 1 ? Self.text(words[1]) : ""
                third = words.count > 2 ? Self.text(words[2]) : ""
                isFirst = false
            } else if let colon = text.firstIndex(of: 0x3A) {
                let value = text[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
                let end = value.lastIndex { $0 != 0x20 && $0 != 0x09 }
                fields.append(
                    (Self.text(text[..<colon]), end.map { Self.text(value[...$0]) } ?? ""))
            }
        }
    }

    /// Whether the body is `name=value` pairs, as an HTML form sends them.
    var isForm: Bool {
        fields.contains { field in
            field.name.lowercased() == "content-type"
                && field.value.lowercased().hasPrefix("application/x-www-form-urlencoded")
        }
    }

    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
