// Response heads, trailer sections and chunked bodies that must be refused: 502 from an upstream.
// Law: an upstream's message is held to the grammar that a client's is held to.
// Source: RFC 9112 sections 4, 6 and 7.

private func with(_ lines: String, _ label: String) -> Hostile {
    Hostile("HTTP/1.1 200 OK\r\n\(lines)\r\n\r\n", 502, label)
}

private func line(_ line: String, _ label: String) -> Hostile {
    Hostile("\(line)\r\nContent-Length: 0\r\n\r\n", 502, label)
}

/// Response heads.
public let hostileResponses: [Hostile] = [
    with("Content-Length: 5\r\nTransfer-Encoding: chunked", "content_length_and_transfer_encoding"),
    with("Content-Length: 5\r\nContent-Length: 5", "content_length_repeated"),
    with("Content-Length: 5, 5", "content_length_syntax"),
    with("Content-Length: ", "content_length_syntax"),
    with("Content-Length: 9999999999999999999999", "content_length_too_large"),
    with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "transfer_encoding_repeated"),
    with("Transfer-Encoding: gzip, chunked", "transfer_encoding_unsupported"),
    with("Transfer-Encoding: gzip", "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: chunked, gzip", "transfer_encoding_not_chunked"),
    with("Transfer-Encoding: identity", "transfer_encoding_not_chunked"),
    with("X: a\r\n b", "line_folding"),
    with("X : a", "space_before_colon"),
    with("X: a\nY: b", "bare_lf"),
    with("X: a\rY: b", "bare_cr"),
    with("X: \u{0}", "control_byte"),
    with(": a", "field_name_empty"),
    with("colon", "colon_missing"),
    with("Connection: content-length", "connection_names_framing"),
    line("HTTP/1.1 99 x", "status_code"), line("HTTP/1.1 099 x", "status_code"),
    line("HTTP/1.1 600 x", "status_code"), line("HTTP/1.1 1000 x", "status_code"),
    line("HTTP/1.1 20 x", "status_code"), line("HTTP/1.1 2x0 x", "status_code"),
    line("HTTP/1.1 20\u{b2} x", "status_code"), line("HTTP/1.1 -20 x", "status_code"),
    line("HTTP/1.1  200 x", "status_code"), line("HTTP/1.1\t200 x", "status_line"),
    line("HTTP/1.1 200\tx", "status_code"), line("HTTP/1.1 200x", "status_code"),
    line("HTTP/1.1 200 a\u{0}b", "control_byte"), line("HTTP/1.1 200 a\rb", "bare_cr"),
    line("HTTP/1.1 200 a\nb", "bare_lf"), line("HTTP/1.1 200\nb", "bare_lf"),
    line("HTTP/2.0 200 x", "version_unsupported"), line("HTTP/1.2 200 x", "version_unsupported"),
    line("http/1.1 200 x", "version_syntax"), line("ICY 200 OK", "version_syntax"),
    line("", "version_syntax"),
    line("\r\nHTTP/1.1 200 OK", "version_syntax"), line(" HTTP/1.1 200 OK", "version_syntax"),
    Hostile("HTTP/1.1 200 OK\nContent-Length: 0\n\n", 502, "bare_lf"),
    Hostile("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "transfer_encoding_in_http_1_0"),
    Hostile("HTTP/1.1 101 x\r\n\r\n", 502, "switching_protocols"),
    Hostile("HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n", 502, "switching_protocols"),
    Hostile("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", 502, "switching_protocols"),
    Hostile(
        "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 502, "switching_protocols"),
]

/// Trailer sections, with the status that a request with them gets.
public let hostileTrailers: [Hostile] = [
    Hostile("Content-Length: 5\r\n\r\n", 400, "trailer_field"),
    Hostile("Transfer-Encoding: chunked\r\n\r\n", 400, "trailer_field"),
    Hostile("x: 1\r\nHost: a\r\n\r\n", 400, "trailer_field"),
    Hostile("x : 1\r\n\r\n", 400, "space_before_colon"), Hostile("x: 1\n\n", 400, "bare_lf"),
    Hostile("\n", 400, "bare_lf"), Hostile("\rx", 400, "bare_cr"), Hostile("x\r\n\r\n", 400, "colon_missing"),
    Hostile(" x: 1\r\n\r\n", 400, "line_folding"), Hostile("x: 1\r\n y\r\n\r\n", 400, "line_folding"),
    Hostile("GET / HTTP/1.1\r\n\r\n", 400, "field_name"), Hostile("0\r\n\r\n", 400, "colon_missing"),
    Hostile("x: \u{0}\r\n\r\n", 400, "control_byte"), Hostile(":\r\n\r\n", 400, "field_name_empty"),
]

/// Chunked bodies, with the status that a request with them gets.
public let hostileChunked: [Hostile] = [
    Hostile("\r\n", 400, "chunk_size"), Hostile("\n", 400, "bare_lf"), Hostile(" 5\r\n", 400, "chunk_size"),
    Hostile("-5\r\n", 400, "chunk_size"), Hostile("+5\r\n", 400, "chunk_size"),
    Hostile("0x5\r\n", 400, "chunk_size"),
    Hostile("5g\r\n", 400, "chunk_size"), Hostile("g\r\n", 400, "chunk_size"),
    Hostile(";a\r\n", 400, "chunk_size"),
    Hostile("5_\r\n", 400, "chunk_size"), Hostile("5.\r\n", 400, "chunk_size"),
    Hostile("5,5\r\n", 400, "chunk_size"),
    Hostile("\u{0}5\r\n", 400, "chunk_size"), Hostile("5\u{0}\r\n", 400, "chunk_size"),
    Hostile("5\u{b2}\r\n", 400, "chunk_size"), Hostile("5 5\r\n", 400, "chunk_size"),
    Hostile("5 \r\n", 400, "chunk_size"), Hostile("5\t\r\n", 400, "chunk_size"),
    Hostile("5\nhello\r\n", 400, "bare_lf"), Hostile("5\rhello", 400, "bare_cr"),
    Hostile("5\r\rhello", 400, "bare_cr"),
    Hostile("8000000000000000\r\n", 413, "chunk_size_too_large"),
    Hostile("FFFFFFFFFFFFFFFF\r\n", 413, "chunk_size_too_large"),
    Hostile("10000000000000000\r\n", 413, "chunk_size_too_large"),
    Hostile("10000000000000005\r\n", 413, "chunk_size_too_large"),
    Hostile("00000000000000005\r\n", 413, "chunk_size_too_large"),
    Hostile("5\r\nhello0\r\n", 400, "chunk_end"), Hostile("5\r\nhello\n0\r\n", 400, "bare_lf"),
    Hostile("5\r\nhello\rx", 400, "bare_cr"), Hostile("5\r\nhello \r\n", 400, "chunk_end"),
    Hostile("5\r\nhello\r\n\r\n", 400, "chunk_size"), Hostile("4\r\nhello\r\n", 400, "chunk_end"),
    Hostile("5;\r\nhello", 400, "chunk_extension"), Hostile("5;=a\r\n", 400, "chunk_extension"),
    Hostile("5;a=\r\n", 400, "chunk_extension"), Hostile("5;a b\r\n", 400, "chunk_extension"),
    Hostile("5;a\n", 400, "bare_lf"), Hostile("5;a\rx", 400, "bare_cr"),
    Hostile("5;a\u{0}\r\n", 400, "chunk_extension"),
    Hostile("5;a\u{e9}\r\n", 400, "chunk_extension"), Hostile("5;a=\"b\r\n", 400, "control_byte"),
    Hostile("5;a=\"b\n\"\r\n", 400, "bare_lf"), Hostile("5;a=\"b\\\r\n\"\r\n", 400, "control_byte"),
    Hostile("5;a=\"b\"c\r\n", 400, "chunk_extension"), Hostile("5;a=b \r\n", 400, "chunk_extension"),
    Hostile("5;a=b\"c\"\r\n", 400, "chunk_extension"), Hostile("5;;a\r\n", 400, "chunk_extension"),
    Hostile("5;\(String(repeating: "a", count: 5000))\r\n", 400, "chunk_extensions_too_long"),
    Hostile(
        String(repeating: "1;\(String(repeating: "a", count: 800))\r\nx\r\n", count: 8), 400,
        "chunk_extensions_too_long"),
]
