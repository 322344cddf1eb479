// Fuzz entry of Payload for libFuzzer: documents by paths, masking, the structural diff, texts of paths.
//
// The first byte chooses what is fuzzed and how it is cut. Beyond "never traps": a reading does not depend on
// where the bytes were cut, a cut tells only facts of the whole, and a masked body holds nothing but "***" at
// its masked paths. See README.md in this folder.

private func require(_ law: Bool, _ words: StaticString) { if !law { fatalError("\(words)") } }

private func path(_ text: String) -> JSONPath {
    do throws(PathProblem) { return try JSONPath(text) } catch { fatalError("\(error)") }
}

private let paths = ["$", "$.a", "$[*]", "$.b[0].c", "$.outputs[*].data[1]", "$.*.*", "$[1]['']"].map(path)
private let masked = ["$.a", "$[*].b", "$.outputs[*].data"].map(path)

private func read(_ bytes: UnsafeRawBufferPointer, _ step: Int, isTruncated: Bool) -> ([Finding], BodyReading)
{
    var reader = ValueReader(paths, textBytesMax: 16)
    var start = 0
    while start < bytes.count {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + step)])
        reader.take(piece.bytes)
        start += piece.count
    }
    let ending = reader.finish(isTruncated: isTruncated)
    for i in paths.indices {
        require((reader.text(i) != nil) == (reader.finding(i) == .text), "a text is found as a text")
    }
    return (paths.indices.map { reader.finding($0) }, ending)
}

private func documents(_ bytes: UnsafeRawBufferPointer, _ step: Int) {
    let whole = read(bytes, max(1, bytes.count), isTruncated: false)
    let pieces = read(bytes, step, isTruncated: false)
    require(whole == pieces, "cuts do not matter")
    guard whole.1 == .whole else { return }
    let count = bytes.count / 2
    let part = read(UnsafeRawBufferPointer(rebasing: bytes[..<count]), step, isTruncated: true)
    for (seen, known) in zip(part.0, whole.0) where seen != .unknown {
        require(seen == known, "a cut tells facts of the whole")
    }
}

private func masks(_ bytes: UnsafeRawBufferPointer) {
    guard case .body(let body) = JSONMask(masked).masked(bytes.bytes) else { return }
    var reader = ValueReader(masked)
    reader.take(body.span.bytes)
    require(reader.finish() == .whole, "a masked body is a document")
    for i in masked.indices where reader.finding(i) != .absent {
        require(reader.text(i) == "***", "nothing is left at a masked path")
    }
}

private func diffs(_ bytes: UnsafeRawBufferPointer, _ step: Int) {
    let middle = bytes.firstIndex(of: 0) ?? bytes.count
    let left = UnsafeRawBufferPointer(rebasing: bytes[..<middle])
    let right = UnsafeRawBufferPointer(rebasing: bytes[min(bytes.count, middle + 1)...])
    let diff = JSONDiff(ignoresOrder: step % 2 == 0, ignored: [path("$.a")])
    _ = diff.compare(left.bytes, right.bytes)
    if case .differences(let found, _) = diff.compare(left.bytes, left.bytes) {
        require(found.isEmpty, "a document equals itself")
    }
}

private func texts(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    do throws(PathProblem) {
        require(try JSONPath(text).description == text, "a path keeps its text")
    } catch {
        require(error.position >= 1 && error.position <= text.unicodeScalars.count + 1, "a place is inside")
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let all = UnsafeRawBufferPointer(start: start, count: count)
    guard let first = all.first else { return 0 }
    let bytes = UnsafeRawBufferPointer(rebasing: all.dropFirst())
    let step = Int(first >> 3) + 1
    switch first & 7 {
    case 0, 1, 2, 3: documents(bytes, step)
    case 4: masks(bytes)
    case 5, 6: diffs(bytes, step)
    default: texts(bytes)
    }
    return 0
}
