// Request heads that must be refused, each with its status and cause.
// The table is in Tests/Corpora, because other rooms send the same bytes.

import Corpora
import Testing

@testable import Wire

@Suite struct HostileRequestTests {
    @Test("A message with two readings is refused", arguments: hostileFraming)
    func framing(_ hostile: Hostile) {
        #expect(request(hostile.text) == .refused(hostile.status, hostile.label))
    }

    @Test("A message outside the grammar is refused", arguments: hostileLines)
    func lines(_ hostile: Hostile) {
        #expect(request(hostile.text) == .refused(hostile.status, hostile.label))
    }

    @Test("What follows a refused head does not change the refusal", arguments: hostileFraming + hostileLines)
    func followed(_ hostile: Hostile) {
        let more = "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"
        #expect(request(hostile.text + more) == .refused(hostile.status, hostile.label))
    }

    @Test("A hostile message is never complete, however it is cut", arguments: hostileFraming + hostileLines)
    func cut(_ hostile: Hostile) {
        let whole = bytes(hostile.text)
        var parser = HeadParser()
        var scanned = 0
        var ending = Ending.needMore
        for count in 1...whole.count {
            ending = readRequest(Array(whole[..<count]), &parser, scanned: &scanned)
            if ending != .needMore { break }
        }
        guard case .refused = ending else {
            Issue.record("\(ending)")
            return
        }
    }

    @Test("Every control byte, DEL and high byte is refused wherever it may not stand")
    func everyByte() {
        for value in 0...255 {
            let byte = String(Character(Unicode.Scalar(UInt8(value))))
            let isVisible = (0x21...0x7E).contains(value)
            let token =
                "!#$%&'*+-.^_`|~".utf8.contains(UInt8(value)) || byte.first?.isASCIIAlphanumeric == true
            let inTarget = request("GET /a\(byte)b HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(inTarget.isRead == (isVisible && byte != "#"), "target \(value)")
            let inQuery = request("GET /?a\(byte)b HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(inQuery.isRead == (isVisible && byte != "#"), "query \(value)")
            let inValue = request("GET / HTTP/1.1\r\nHost: a\r\nx: a\(byte)b\r\n\r\n")
            #expect(inValue.isRead == (value >= 0x20 && value != 0x7F || value == 9), "value \(value)")
            let inName = request("GET / HTTP/1.1\r\nHost: a\r\nx\(byte)y: a\r\n\r\n")
            #expect(inName.isRead == (token || byte == ":"), "name \(value)")
            let inMethod = request("A\(byte)B / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(inMethod.isRead == token, "method \(value)")
        }
    }
}

extension Character {
    fileprivate var isASCIIAlphanumeric: Bool { isASCII && (isLetter || isNumber) }
}
