// Request heads that must be refused, each with its status and cause.
//
// Source of the cases: RFC 9112 sections 2-7 and 11, the published request-smuggling families (CL.TE, TE.CL,
// TE.TE, obs-fold, bare LF, bad chunk ends, h2c upgrade), and the failure stories that the design keeps.

import Testing

@testable import Wire

/// One message and the only right answer to it.
struct Hostile: CustomTestStringConvertible, Sendable {
    var text: String
    var status: UInt16
    var label: String

    init(_ text: String, _ status: UInt16, _ label: String) {
        self.text = text
        self.status = status
        self.label = label
    }

    var testDescription: String { "\(label): \(text.debugDescription)" }
}

/// A request with a Host and these field lines.
private func with(_ lines: String, _ status: UInt16, _ label: String) -> Hostile {
    Hostile("POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n", status, label)
}

/// A request with this start line.
private func line(_ line: String, _ status: UInt16, _ label: String) -> Hostile {
    Hostile("\(line)\r\nHost: a\r\n\r\n", status, label)
}

/// A request with this Host value.
private func host(_ value: String, _ label: String = "authority_syntax") -> Hostile {
    Hostile("GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n", 400, label)
}

let hostileFraming: [Hostile] = [
    // Two ways to find the end of a body.
    with("Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "content_length_and_transfer_encoding"),
    with("Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "content_length_and_transfer_encoding"),
    with("Transfer-Encoding: x\r\nContent-Length: 5", 400, "content_length_and_transfer_encoding"),
    with("content-length: 0\r\ntransfer-encoding: chunked", 400, "content_length_and_transfer_encoding"),
    with("Content-Length: 5\r\nContent-Length: 5", 400, "content_length_repeated"),
    with("Content-Length: 5\r\nCONTENT-LENGTH: 6", 400, "content_length_repeated"),
    with("Content-Length: 5\r\nX: y\r\nContent-Length: ", 400, "content_length_repeated"),
    with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400, "transfer_encoding_repeated"),
    with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400, "transfer_encoding_repeated"),
    with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 400, "transfer_encoding_repeated"),
    // Content-Length that is not a row of digits.
    with("Content-Length:", 400, "content_length_syntax"),
    with("Content-Length:  \t", 400, "content_length_syntax"),
    with("Content-Length: +5", 400, "content_length_syntax"),
    with("Content-Length: -5", 400, "content_length_syntax"),
    with("Content-Length: -0", 400, "content_length_syntax"),
    with("Content-Length: 5,5", 400, "content_length_syntax"),
    with("Content-Length: 5, 5", 400, "content_length_syntax"),
    with("Content-Length: 5 5", 400, "content_length_syntax"),
    with("Content-Length: 5;", 400, "content_length_syntax"),
    with("Content-Length: 0x5", 400, "content_length_syntax"),
    with("Content-Length: 5.0", 400, "content_length_syntax"),
    with("Content-Length: 1e3", 400, "content_length_syntax"),
    with("Content-Length: 1_000", 400, "content_length_syntax"),
    with("Content-Length: \"5\"", 400, "content_length_syntax"),
    with("Content-Length: five", 400, "content_length_syntax"),
    with("Content-Length: \u{b2}", 400, "content_length_syntax"),
    with("Content-Length: 12345678:", 400, "content_length_syntax"),
    with("Content-Length: 123456789/", 400, "content_length_syntax"),
    with("Content-Length: 99999999999999999999a", 400, "content_length_syntax"),
    with("Content-Length: 9223372036854775808", 413, "content_length_too_large"),
    with("Content-Length: 18446744073709551616", 413, "content_length_too_large"),
    with("Content-Length: 18446744073709551621", 413, "content_length_too_large"),
    with("Content-Length: 99999999999999999999999999999999", 413, "content_length_too_large"),
    // Transfer-Encoding that is not "chunked" alone.
    with("Transfer-Encoding: identity", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: xchunked", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: chunked-x", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: chunke", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: chunked, identity", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: chunked, gzip", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: gzip", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: gzip, chunked", 501, "transfer_encoding_unsupported"),
    with("Transfer-Encoding: identity, chunked", 501, "transfer_encoding_unsupported"),
    with("Transfer-Encoding: gzip;q=1 , chunked", 501, "transfer_encoding_unsupported"),
    with("Transfer-Encoding: x chunked", 400, "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: chunked, chunked", 400, "transfer_encoding_repeated"),
    with("Transfer-Encoding:", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: ,chunked", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: chunked,", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: chunked;a=b", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: \"chunked\"", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: chunked chunked", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: chun\u{e9}ked", 400, "transfer_encoding_syntax"),
    with("Transfer-Encoding: \u{b}chunked", 400, "control_byte"),
    with("Transfer-Encoding: chunked\u{0}", 400, "control_byte"),
    with("Transfer-Encoding : chunked", 400, "space_before_colon"),
    with("Transfer-Encoding\t: chunked", 400, "space_before_colon"),
    with("Transfer-Encoding\u{b}: chunked", 400, "control_byte"),
    with(" Transfer-Encoding: chunked", 400, "line_folding"),
    with("X: y\n Transfer-Encoding: chunked", 400, "bare_lf"),
    with("X: y\nTransfer-Encoding: chunked", 400, "bare_lf"),
    with("X: y\rTransfer-Encoding: chunked", 400, "bare_cr"),
    with("X: y\r\r\nTransfer-Encoding: chunked", 400, "bare_cr"),
    with("Transfer-Encoding:\r\n chunked", 400, "line_folding"),
    with("Transfer-Encoding\r\n: chunked", 400, "colon_missing"),
    with("Transfer_Encoding: chunked", 400, "field_name_ambiguous"),
    with("content_length: 5", 400, "field_name_ambiguous"),
    Hostile("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "transfer_encoding_in_http_1_0"),
    Hostile(
        "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
        "content_length_and_transfer_encoding"),
    with("Transfer_encoding: chunked\r\nContent-Length: 5", 400, "field_name_ambiguous"),
    with("Connection: close, Content-Length\r\nContent-Length: 5", 400, "connection_names_framing"),
    with("Connection: host", 400, "connection_names_framing"),
    with("Connection: a b", 400, "connection_syntax"),
    with("Connection: \"close\"", 400, "connection_syntax"),
    with("Connection: close;q=1", 400, "connection_syntax"),
    with(
        "Connection: \(Array(repeating: "a", count: 65).joined(separator: ","))", 400,
        "connection_options_too_many"),
    with("Connection: \(String(repeating: ",", count: 64))", 400, "connection_options_too_many"),
    with("Expect: 200-ok", 417, "expectation"),
    with("Expect: 100-continue, x", 417, "expectation"),
    with("Expect:", 417, "expectation"),
    with("Expect: 100-continue\r\nExpect: 100-continue", 417, "expectation"),
]

let hostileLines: [Hostile] = [
    // Field lines.
    with(": empty", 400, "field_name_empty"),
    with("X: y\r\n:", 400, "field_name_empty"),
    with("no colon", 400, "field_name"),
    with("nocolon", 400, "colon_missing"),
    with("X : y", 400, "space_before_colon"),
    with("X \t : y", 400, "space_before_colon"),
    with("X Y: z", 400, "field_name"),
    with("(X): y", 400, "field_name"),
    with("X@: y", 400, "field_name"),
    with("X/Y: z", 400, "field_name"),
    with("X,Y: z", 400, "field_name"),
    with("\"X\": y", 400, "field_name"),
    with("X\u{e9}: y", 400, "field_name"),
    with("\u{80}: y", 400, "field_name"),
    with("X\u{7f}: y", 400, "field_name"),
    with("X\u{0}: y", 400, "control_byte"),
    with("X\u{1f}Y: z", 400, "control_byte"),
    with("X-Weir-\u{e9}: y", 400, "field_name"),
    with("x-weir-a b: y", 400, "field_name"),
    with("Content\rLength: 5", 400, "bare_cr"),
    with("Content\u{d}Length: 5", 400, "bare_cr"),
    with("X: \u{0}", 400, "control_byte"),
    with("X: a\u{0}b", 400, "control_byte"),
    with("X: a\u{1}b", 400, "control_byte"),
    with("X: a\u{8}b", 400, "control_byte"),
    with("X: a\u{b}b", 400, "control_byte"),
    with("X: a\u{c}b", 400, "control_byte"),
    with("X: a\u{1f}b", 400, "control_byte"),
    with("X: a\u{7f}b", 400, "control_byte"),
    with("X: a\rb", 400, "bare_cr"),
    with("X: a\r", 400, "bare_cr"),
    with("X: a\nb", 400, "bare_lf"),
    with("X: a\n", 400, "bare_lf"),
    with("\rX: a", 400, "bare_cr"),
    with("\nX: a", 400, "bare_lf"),
    with("X: a\r\n b", 400, "line_folding"),
    with("X: a\r\n\tb", 400, "line_folding"),
    with("X: a\r\n \r\n", 400, "line_folding"),
    Hostile("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "line_folding"),
    Hostile("GET / HTTP/1.1\nHost: a\n\n", 400, "bare_lf"),
    Hostile("GET / HTTP/1.1\r\nHost: a\n\n", 400, "bare_lf"),
    Hostile("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare_lf"),
    Hostile("GET / HTTP/1.1\r\nHost: a\r\n\rX", 400, "bare_cr"),
    Hostile("GET / HTTP/1.1\rHost: a\r\r", 400, "bare_cr"),
    Hostile("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bare_lf"),
    Hostile("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bare_lf"),
    Hostile("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bare_cr"),
    Hostile("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "leading_empty_lines"),
    // Start lines.
    line("", 400, "method_syntax"),
    line(" GET / HTTP/1.1", 400, "method_syntax"),
    line("\tGET / HTTP/1.1", 400, "method_syntax"),
    line("\u{0}GET / HTTP/1.1", 400, "method_syntax"),
    line("G\u{e9}T / HTTP/1.1", 400, "method_syntax"),
    line("GET(/) / HTTP/1.1", 400, "method_syntax"),
    line("GET\t/ HTTP/1.1", 400, "method_syntax"),
    line("GET", 400, "method_syntax"),
    line(String(repeating: "M", count: 33) + " / HTTP/1.1", 501, "method_too_long"),
    line("CONNECT a:443 HTTP/1.1", 501, "connect_method"),
    line("TRACE / HTTP/1.1", 405, "trace_method"),
    line("TRACE http://a/ HTTP/1.1", 405, "trace_method"),
    line("TRACE / HTTP/1.0", 405, "trace_method"),
    line("trace / HTTP/1.1", 405, "trace_method"),
    line("TRACK / HTTP/1.1", 405, "trace_method"),
    line("Track /p?q HTTP/1.1", 405, "trace_method"),
    line("CONNECT / HTTP/1.1", 501, "connect_method"),
    line("CONNECT * HTTP/1.0", 400, "target_form"),
    line("GET /", 400, "request_line"),
    line("GET  HTTP/1.1", 400, "request_line"),
    line("GET  / HTTP/1.1", 400, "request_line"),
    line("GET /  HTTP/1.1", 400, "version_syntax"),
    line("GET / a HTTP/1.1", 400, "version_syntax"),
    line("GET /\tHTTP/1.1", 400, "target_syntax"),
    line("GET / HTTP/1.1 ", 400, "request_line"),
    line("GET / HTTP/1.10", 400, "request_line"),
    line("GET /\u{b}HTTP/1.1", 400, "target_syntax"),
    line("GET /\u{c} HTTP/1.1", 400, "target_syntax"),
    line("GET /\u{0} HTTP/1.1", 400, "target_syntax"),
    line("GET /\u{7f} HTTP/1.1", 400, "target_syntax"),
    line("GET /\u{80} HTTP/1.1", 400, "target_syntax"),
    line("GET /\u{c3}\u{a9} HTTP/1.1", 400, "target_syntax"),
    line("GET /?\u{ff} HTTP/1.1", 400, "target_syntax"),
    line("GET /?\u{7f} HTTP/1.1", 400, "target_syntax"),
    line("GET /#f HTTP/1.1", 400, "target_syntax"),
    line("GET /?q#f HTTP/1.1", 400, "target_syntax"),
    line("GET /\rHTTP/1.1", 400, "bare_cr"),
    line("GET /\nHTTP/1.1", 400, "bare_lf"),
    line("GET ? HTTP/1.1", 400, "target_form"),
    line("GET a HTTP/1.1", 400, "target_form"),
    line("GET a:80 HTTP/1.1", 400, "target_form"),
    line("GET * HTTP/1.1", 400, "target_form"),
    line("OPTIONS ** HTTP/1.1", 400, "target_form"),
    line("OPTIONS *?q HTTP/1.1", 400, "target_form"),
    line("GET ftp://a/ HTTP/1.1", 400, "target_form"),
    line("GET http:/a HTTP/1.1", 400, "target_form"),
    line("GET http:a HTTP/1.1", 400, "target_form"),
    line("GET http:///p HTTP/1.1", 400, "authority_syntax"),
    line("GET http:// HTTP/1.1", 400, "authority_syntax"),
    line("GET http://?q HTTP/1.1", 400, "authority_syntax"),
    line("GET https:// HTTP/1.1", 400, "authority_syntax"),
    line("GET http?://a HTTP/1.1", 400, "target_form"),
    line("GET https:/?/ HTTP/1.1", 400, "target_form"),
    line("GET http://u@a/ HTTP/1.1", 400, "authority_syntax"),
    line("GET http://u:p@a/ HTTP/1.1", 400, "authority_syntax"),
    line("GET http://a:b/ HTTP/1.1", 400, "authority_syntax"),
    line("GET http://a\\b/ HTTP/1.1", 400, "authority_syntax"),
    line("GET / HTTP/1.2", 505, "version_unsupported"),
    line("GET / HTTP/0.9", 505, "version_unsupported"),
    line("GET / HTTP/2.0", 505, "version_unsupported"),
    line("PRI * HTTP/2.0", 400, "target_form"),
    line("GET / HTTP/9.9", 505, "version_unsupported"),
    line("GET / http/1.1", 400, "version_syntax"),
    line("GET / HTTP/1,1", 400, "version_syntax"),
    line("GET / HTTP/11", 400, "version_syntax"),
    line("GET / HTTP/1.", 400, "version_syntax"),
    line("GET / HTTP/.1", 400, "version_syntax"),
    line("GET / HTTP 1.1", 400, "version_syntax"),
    line("GET / HTTPS/1.1", 400, "version_syntax"),
    line("GET / XTTP/1.1", 400, "version_syntax"),
    line("GET / ", 400, "version_syntax"),
    // Hosts.
    Hostile("GET / HTTP/1.1\r\n\r\n", 400, "host_missing"),
    Hostile("GET http://a/ HTTP/1.1\r\n\r\n", 400, "host_missing"),
    Hostile("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "host_repeated"),
    Hostile("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400, "host_repeated"),
    Hostile("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "authority_syntax"),
    host("", "host_missing"), host("a b"), host("a,b"), host("a, b"), host("u@a"), host("a/b"), host("a?b"),
    host("a#b"), host("a\\b"), host("a:" + "b"), host("a:80b"), host("a:-1"), host("a:65536"),
    host("a:99999"),
    host("a:123456"), host("a:00000080"), host("a:8 0"), host("a:80:80"), host(":80"), host(":"), host("["),
    host("[]"), host("[:]"), host("[::1"), host("[::1]x"), host("[::1]:x"), host("[::g]"),
    host("[fe80::1%eth0]"),
    host("[v1.a]"), host("::1"), host("a[::1]"), host("a%20b"), host("h\u{e9}"), host("http://a"),
    host("a\tb"),
    host("\"a\""), host("a;b"), host("<a>"), host("a\u{7f}", "control_byte"), host("a\u{0}", "control_byte"),
]

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
