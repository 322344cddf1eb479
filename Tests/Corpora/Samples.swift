// Well-formed messages: the ground on which cuts and mutations are made.
// Each uses another part of the grammar; all must be accepted whole.
// Source: RFC 9112, and what real clients and model servers send.

/// Request heads that must be accepted whole.
public let goodRequests: [String] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET /a?b=c&d HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v2/models/iris/infer?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nContent-Type: application/json\r\n"
        + "Content-Length: 42\r\nX-User-Id: u-7\r\n\r\n",
    "POST /v1/models/m:predict HTTP/1.1\r\nhOsT: [::1]:8080\r\nTRANSFER-ENCODING: Chunked\r\n"
        + "Expect: 100-Continue\r\nTrailer: x-sum\r\nTE: trailers\r\n\r\n",
    "GET http://b.example:80/p?q?r HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET https://b.example HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS http://b.example HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade, keep-alive\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nx-hop: 1\r\nX-Kept: 2\r\n"
        + "Keep-Alive: timeout=5\r\n\r\n",
    "PROPFIND /%7Bid%7D/!\"$&'()*+,-.;<=>@[\\]^_`{|}~ HTTP/1.1\r\nHost: a\r\n\r\n",
    "LONG-METHOD-NAME /x HTTP/1.1\r\nHost: a_b.c~d:\r\n\r\n",
    "DELETE /x HTTP/1.1\r\nHost: 127.0.0.1:65535\r\nx-empty:\r\nx-blank: \t \r\n"
        + "x-tabs:\ta\tb\t\r\nx-obs: \u{e9}t\u{e9}\r\n!#$%&'*+-.^_`|~09AZaz: all\r\n\r\n",
    "PUT /x HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\ncookie: a=1; b=2\r\nX-Weir-Version: v1\r\n\r\n",
    "PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
    "TRACES /x HTTP/1.1\r\nHost: a.\r\nX_Forwarded-For: b\r\nx_weir_version: v2\r\nX-Weir-: c\r\n"
        + "Connection: x-request-id, X_Request_Id\r\nx-request-id: d\r\nuser_id: e\r\n\r\n",
]

/// Response heads, with the method of their request.
public let goodResponses: [(text: String, method: String)] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET"),
    ("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", "GET"),
    ("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", "GET"),
    ("HTTP/1.0 200 OK\r\n\r\n", "GET"),
    ("HTTP/1.0 404 Not \u{e9}\tFound\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "POST"),
    ("HTTP/1.1 100 Continue\r\n\r\n", "POST"),
    ("HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n", "GET"),
    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "GET"),
    ("HTTP/1.1 204 No Content\r\n\r\n", "DELETE"),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n", "GET"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", "HEAD"),
    ("HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 08:54:48 GMT\r\nServer: uvicorn\r\n\r\n", "GET"),
    ("HTTP/1.1 599 x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 1\r\n\r\n", "GET"),
]

/// Trailer sections.
public let goodTrailers: [String] = [
    "\r\n", "x-sum: 1\r\nx-weir-version: a\r\nMax-Forwards: 1\r\nx_request_id: b\r\n\r\n",
    "x-sum: 1\r\n\r\n", "grpc-status: 0\r\ngrpc-message: \r\nConnection: close\r\n\r\n",
]

/// Chunked bodies, with what they hold.
public let goodChunked: [(text: String, content: String)] = [
    ("0\r\n", ""), ("000\r\n", ""), ("5\r\nhello\r\n0\r\n", "hello"),
    ("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n", "abcdef"), ("A\r\n0123456789\r\n0\r\n", "0123456789"),
    ("a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n", "\r\n\r\n\r\n\r\n\r\n"),
    ("0000000000000005\r\nhello\r\n0\r\n", "hello"),
    ("5;a\r\nhello\r\n0;b=c\r\n", "hello"),
    ("5;a=1;b;c=\"x;\\\"\\\t\u{e9}\"\r\nhello\r\n0\r\n", "hello"),
    ("5 ; a = 1\t;\tb\r\nhello\r\n0\t;z\r\n", "hello"),
]
