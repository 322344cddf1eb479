// What is left of a body that nobody wants: only its end matters, because a check that has its answer ends
// there.
// Source: RFC 9112 sections 6.3 and 7.1. Invariant: any bytes give a rest; of a body that breaks its framing
// none is left.

import Wire

/// The part of a body that has yet to come.
struct BodyRest {
    private enum Form {
        case nothing
        case bytes(UInt64)
        case chunks(ChunkedDecoder)
        /// After the last chunk: the body ends with an empty line.
        case trailers(isLineEmpty: Bool)
        case untilClose
    }

    private var form: Form

    /// Nothing is left.
    static let none = BodyRest(form: .nothing)

    private init(form: Form) { self.form = form }

    /// - Parameter bytes: what has come of the body with its head.
    init(_ framing: BodyFraming, _ bytes: UnsafeRawBufferPointer) {
        switch framing {
        case .none: form = .nothing
        case .length(let count): form = .bytes(count)
        case .chunked: form = .chunks(ChunkedDecoder(.response))
        case .untilClose: form = .untilClose
        }
        advance(over: bytes)
    }

    var isComplete: Bool {
        switch form {
        case .nothing, .bytes(0): true
        case .bytes, .chunks, .trailers, .untilClose: false
        }
    }

    /// Takes in the next bytes of the body.
    mutating func advance(over bytes: UnsafeRawBufferPointer) {
        switch form {
        case .nothing, .untilClose: return
        case .bytes(let left): form = .bytes(left - min(left, UInt64(bytes.count)))
        case .chunks(let decoder): pass(bytes, decoder)
        case .trailers(let isLineEmpty): passTrailers(bytes, from: 0, isLineEmpty: isLineEmpty)
        }
    }

    private mutating func pass(_ bytes: UnsafeRawBufferPointer, _ decoder: ChunkedDecoder) {
        var decoder = decoder
        var position = 0
        while true {
            switch decoder.next(bytes.bytes, from: position) {
            case .data(let start, let count): position = start + count
            case .needMore:
                form = .chunks(decoder)
                return
            case .trailers(let start): return passTrailers(bytes, from: start, isLineEmpty: true)
            case .refused:
                form = .nothing
                return
            }
        }
    }

    private mutating func passTrailers(_ bytes: UnsafeRawBufferPointer, from start: Int, isLineEmpty: Bool) {
        var isLineEmpty = isLineEmpty
        for byte in bytes[start...] {
            switch byte {
            case 0x0A where isLineEmpty:
                form = .nothing
                return
            case 0x0A: isLineEmpty = true
            case 0x0D: break
            default: isLineEmpty = false
            }
        }
        form = .trailers(isLineEmpty: isLineEmpty)
    }
}
