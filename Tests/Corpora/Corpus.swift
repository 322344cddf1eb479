// Bytes that once got past the validator, or broke a law: found by mutation or by the fuzzer, kept for good.
// A crash that bench/fuzz finds becomes a line here before it is mended.
// Law: what is refused once stays refused.

/// Requests, and what they must be.
public let corpus: [Hostile] = [
    // A word compare that ignored length took "GET" and a zero byte for "GET".
    Hostile("GET\u{0} / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method_syntax"),
    Hostile("POST\u{0}\u{0} / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method_syntax"),
    // The answer shows the request with its cookies and with what proxies before us have added to it.
    Hostile("TRACE / HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\n\r\n", 405, "trace_method"),
]
