// How the tests read: one document by some paths, whole or in pieces, with everything there is to compare.
// Law: helpers hold no expectations; a test states them.

@testable import Payload

/// Everything that a reading of one document says.
struct Reading: Equatable {
    var ending: BodyReading
    var findings: [Finding]
    var texts: [String?]
}

func read(
    _ bytes: [UInt8], _ reader: inout ValueReader, paths: Int, pieces: Int = .max, isTruncated: Bool = false
) -> Reading {
    reader.restart()
    var from = 0
    while from < bytes.count {
        let piece = Array(bytes[from..<min(bytes.count, pieces == .max ? .max : from + pieces)])
        reader.take(piece.span.bytes)
        from += piece.count
    }
    let ending = reader.finish(isTruncated: isTruncated)
    return Reading(
        ending: ending, findings: (0..<paths).map { reader.finding($0) },
        texts: (0..<paths).map { reader.text($0) })
}

func read(_ text: String, _ paths: [String], pieces: Int = .max, isTruncated: Bool = false) throws -> Reading
{
    var reader = ValueReader(try paths.map { try JSONPath($0) })
    return read(Array(text.utf8), &reader, paths: paths.count, pieces: pieces, isTruncated: isTruncated)
}

/// What one path finds in a whole document.
func find(_ path: String, in text: String) throws -> Finding { try read(text, [path]).findings[0] }

/// Whether bytes are JSON.
func isJSON(_ bytes: [UInt8]) -> Bool {
    var reader = ValueReader([])
    return read(bytes, &reader, paths: 0).ending == .whole
}

func masked(_ text: String, _ paths: [String], isTruncated: Bool = false) throws -> String? {
    let mask = JSONMask(try paths.map { try JSONPath($0) })
    let bytes = Array(text.utf8)
    guard case .body(let body) = mask.masked(bytes.span.bytes, isTruncated: isTruncated) else { return nil }
    return String(decoding: body, as: UTF8.self)
}
