// Where a message ends, by a second and deliberately simple reading of the wire: the actors of a transcript
// need to know when the other side has said everything.
// Source: RFC 9112 section 6.3. Only what Weir itself writes is read here.

/// The offset behind the first whole request in the bytes; nil when it is not whole. A body that no test
/// could send counts as whole with its head: it is answered early.
func requestEnd(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard let head = headEnd(bytes, from: bytes.startIndex) else { return nil }
    let fields = lowercased(bytes[bytes.startIndex..<head])
    if let length = length(in: fields) {
        guard let length = Int(length), length < 1 << 30 else { return head }
        return head + length <= bytes.endIndex ? head + length : nil
    }
    return isChunked(fields) ? chunkedEnd(bytes, from: head) : head
}

/// Whether the bytes hold a whole final response to a request; never where it ends with the connection.
func isResponseWhole(_ bytes: ArraySlice<UInt8>, to method: String) -> Bool {
    var start = bytes.startIndex
    while let head = headEnd(bytes, from: start) {
        let fields = lowercased(bytes[start..<head])
        let status = fields.split(separator: " ", maxSplits: 2).dropFirst().first.map(String.init) ?? ""
        if status.hasPrefix("1"), status != "101" {
            start = head
            continue
        }
        if method == "HEAD" || ["101", "204", "304"].contains(status) { return true }
        if let length = length(in: fields).flatMap({ Int($0) }) { return head + length <= bytes.endIndex }
        return isChunked(fields) && chunkedEnd(bytes, from: head) != nil
    }
    return false
}

private func isChunked(_ head: String) -> Bool { head.contains("\r\ntransfer-encoding: chunked\r\n") }

private func length(in head: String) -> String? {
    guard let name = head.firstRange(of: "\r\ncontent-length:") else { return nil }
    return String(head[name.upperBound...].drop { $0 == " " }.prefix { $0.isNumber })
}

private func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self).lowercased()
}

private func headEnd(_ bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
    mark([13, 10, 13, 10], in: bytes, from: start)
}

/// The offset behind the last chunk's trailer section.
private func chunkedEnd(_ bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
    var at = start
    while let line = mark([13, 10], in: bytes, from: at) {
        let digits = String(decoding: bytes[at..<line - 2], as: UTF8.self)
        guard let count = Int(digits, radix: 16) else { return nil }
        if count == 0 { return mark([13, 10, 13, 10], in: bytes, from: line - 2) }
        at = line + count + 2
        guard at <= bytes.endIndex else { return nil }
    }
    return nil
}

/// The offset behind the first place of `mark`.
private func mark(_ mark: [UInt8], in bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
    var at = start
    while at + mark.count <= bytes.endIndex {
        if bytes[at..<at + mark.count].elementsEqual(mark) { return at + mark.count }
        at += 1
    }
    return nil
}
