// Fuzz entry of Wire for libFuzzer: request heads, response heads, trailer sections, chunked bodies, scans.
//
// The first byte chooses what is fuzzed and how it is cut. Beyond "never traps": a result does not depend on
// where the bytes were cut, and what is accepted has exact bounds. See README.md in this folder.

private func require(_ law: Bool, _ words: StaticString) { if !law { fatalError("\(words)") } }

private func isInside(_ slice: Slice, _ count: Int) -> Bool { slice.end <= count }

/// Checks the fields of an accepted head.
private func check(_ parser: borrowing HeadParser, _ bytes: UnsafeRawBufferPointer, _ end: Int) {
    for index in 0..<parser.fieldCount {
        let field = parser.field(index)
        require(
            !field.name.isEmpty && isInside(field.name, end) && isInside(field.value, end),
            "slices are inside")
        for byte in bytes[field.name.range] { require(ByteClass.isToken(byte), "names are tokens") }
        for byte in bytes[field.value.range] {
            require(byte >= 0x20 && byte != 0x7F || byte == 9, "values have no control bytes")
        }
    }
}

/// Parsers that see every input: what they remember must not change what they read. One thread fuzzes.
nonisolated(unsafe) private var oldRequests = HeadParser(limits: limits)
nonisolated(unsafe) private var oldResponses = HeadParser(limits: limits)
private let limits = HeadLimits(lineBytesMax: 400, headBytesMax: 1000, fieldsMax: 10)

private func isSame(_ one: borrowing HeadParser, _ other: borrowing HeadParser) -> Bool {
    guard one.fieldCount == other.fieldCount else { return false }
    for index in 0..<one.fieldCount {
        let (left, right) = (one.field(index), other.field(index))
        guard left.name == right.name, left.value == right.value, left.known == right.known,
            left.isHopByHop == right.isHopByHop
        else { return false }
    }
    return true
}

private func requests(_ bytes: UnsafeRawBufferPointer, _ step: Int) {
    var parser = HeadParser(limits: limits)
    var accepted: Int?
    let again = oldRequests.request(bytes.bytes)
    if case .complete(let head) = parser.request(bytes.bytes) {
        guard case .complete(let same) = again, same.byteCount == head.byteCount, isSame(parser, oldRequests)
        else { fatalError("a parser reads what a new one reads") }
        accepted = head.byteCount
        require(head.byteCount <= min(bytes.count, 1000), "a head is inside its bytes")
        let slices = [head.methodName, head.target, head.path, head.query, head.authority]
        for slice in slices { require(isInside(slice, head.byteCount), "slices are inside") }
        require(!head.path.isEmpty && !head.methodName.isEmpty, "method and path are never empty")
        check(parser, bytes, head.byteCount)
    } else if case .complete = again {
        fatalError("a parser reads what a new one reads")
    }
    var scanned = 0
    var count = 0
    while true {
        switch parser.request(UnsafeRawBufferPointer(rebasing: bytes[..<count]).bytes, scanned: scanned) {
        case .complete(let head): return require(head.byteCount == accepted, "cuts do not matter")
        case .refused: return require(accepted == nil, "cuts do not matter")
        case .needMore(let seen): scanned = seen
        }
        if count == bytes.count { return require(accepted == nil, "a complete head is seen") }
        count = min(bytes.count, count + step)
    }
}

private func responses(_ bytes: UnsafeRawBufferPointer, _ step: Int) {
    var parser = HeadParser(limits: limits)
    var accepted: Int?
    let again = oldResponses.response(bytes.bytes, to: .get)
    if case .complete(let head) = parser.response(bytes.bytes, to: .get) {
        accepted = head.byteCount
        require(
            (100...599).contains(head.status) && isInside(head.reason, head.byteCount), "status and reason")
        check(parser, bytes, head.byteCount)
        guard case .complete(let same) = again, same.byteCount == head.byteCount, isSame(parser, oldResponses)
        else { fatalError("a parser reads what a new one reads") }
    } else if case .complete = again {
        fatalError("a parser reads what a new one reads")
    }
    var scanned = 0
    var count = 0
    while true {
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<count]).bytes
        switch parser.response(part, scanned: scanned, to: .get) {
        case .complete(let head): return require(head.byteCount == accepted, "cuts do not matter")
        case .refused: return require(accepted == nil, "cuts do not matter")
        case .needMore(let seen): scanned = seen
        }
        if count == bytes.count { return require(accepted == nil, "a complete head is seen") }
        count = min(bytes.count, count + step)
    }
}

private func trailers(_ bytes: UnsafeRawBufferPointer, _ step: Int) {
    var parser = HeadParser(limits: limits)
    var accepted: Int?
    if case .complete(_, let count) = parser.trailers(bytes.bytes, of: .request) {
        accepted = count
        check(parser, bytes, count)
    }
    var scanned = 0
    var count = 0
    while true {
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<count]).bytes
        switch parser.trailers(part, scanned: scanned, of: .request) {
        case .complete(_, let end): return require(end == accepted, "cuts do not matter")
        case .refused: return require(accepted == nil, "cuts do not matter")
        case .needMore(let seen): scanned = seen
        }
        if count == bytes.count { return require(accepted == nil, "a complete section is seen") }
        count = min(bytes.count, count + step)
    }
}

/// Content as a sum that depends on order, where the body ended, and whether it was refused.
private func decode(_ bytes: UnsafeRawBufferPointer, _ step: Int) -> (UInt64, Int?, Bool) {
    var decoder = ChunkedDecoder()
    var sum: UInt64 = 0
    var start = 0
    while start < bytes.count {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + step)])
        var at = 0
        reading: while true {
            switch decoder.next(piece.bytes, from: at) {
            case .data(let from, let count):
                require(from >= at && count > 0 && from + count <= piece.count, "content is inside")
                for byte in piece[from..<from + count] { sum = sum &* 31 &+ UInt64(byte) &+ 1 }
                at = from + count
            case .needMore(let consumed):
                require(consumed == piece.count, "everything is taken in")
                break reading
            case .trailers(let from): return (sum, start + from, false)
            case .refused: return (sum, nil, true)
            }
        }
        start += piece.count
    }
    return (sum, nil, false)
}

private func scans(_ bytes: UnsafeRawBufferPointer) {
    guard let length = bytes.first, bytes.count > Int(length % 24) else { return }
    let name = UnsafeRawBufferPointer(rebasing: bytes[1..<1 + Int(length % 24)])
    let list = Slice(start: UInt32(name.count + 1), count: UInt32(bytes.count - name.count - 1))
    let values = [
        CookieScan.value(of: name.bytes, in: bytes.bytes, field: list),
        QueryScan.value(of: name.bytes, in: bytes.bytes, query: list),
    ]
    for case .some(let value) in values {
        require(value.start >= list.start && value.end <= list.end, "values are inside")
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let all = UnsafeRawBufferPointer(start: start, count: count)
    guard let first = all.first else { return 0 }
    let bytes = UnsafeRawBufferPointer(rebasing: all.dropFirst())
    let step = Int(first >> 3) + 1
    switch first & 7 {
    case 0, 1, 2: requests(bytes, step)
    case 3, 4: responses(bytes, step)
    case 5: trailers(bytes, step)
    case 6:
        let whole = decode(bytes, max(1, bytes.count))
        require(decode(bytes, step) == whole, "cuts do not matter")
    default: scans(bytes)
    }
    return 0
}
