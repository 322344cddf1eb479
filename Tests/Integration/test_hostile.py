"""Bytes that are no well-formed request: refused with the right status, closed, and nobody else suffers."""

import socket

import pytest

from clients import ask_many
from weir import iris_model

PATH = b"/v2/models/iris"
HOST = b"Host: x\r\n"


def request(*fields: bytes, line: bytes = b"POST " + PATH + b" HTTP/1.1\r\n", host: bytes = HOST) -> bytes:
    return line + host + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


CASES = {
    "length and coding": (request(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    "two lengths": (request(b"Content-Length: 5", b"Content-Length: 6"), 400),
    "two equal lengths": (request(b"Content-Length: 5", b"Content-Length: 5"), 400),
    "signed length": (request(b"Content-Length: +5"), 400),
    "hexadecimal length": (request(b"Content-Length: 0x5"), 400),
    "length list": (request(b"Content-Length: 5, 5"), 400),
    "chunked twice": (request(b"Transfer-Encoding: chunked, chunked"), (400, 501)),
    "chunked not last": (request(b"Transfer-Encoding: chunked, gzip"), (400, 501)),
    "unknown coding": (request(b"Transfer-Encoding: rot13, chunked"), 501),
    "unknown coding alone": (request(b"Transfer-Encoding: rot13"), (400, 501)),
    "coding in HTTP/1.0": (
        request(b"Transfer-Encoding: chunked", line=b"POST " + PATH + b" HTTP/1.0\r\n"),
        400,
    ),
    "no host": (request(host=b""), 400),
    "two hosts": (request(b"Host: y"), 400),
    "space before the colon": (request(b"X-A : b"), 400),
    "folded line": (request(b"X-A: b\r\n c"), 400),
    "bare line feed": (b"GET " + PATH + b" HTTP/1.1\nHost: x\n\n", 400),
    "bare carriage return": (request(b"X-A: b\rX-B: c"), 400),
    "null byte": (request(b"X-A: b\x00c"), 400),
    "empty name": (request(b": b"), 400),
    "no version": (b"GET " + PATH + b"\r\n" + HOST + b"\r\n", 400),
    "other version": (b"GET " + PATH + b" HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    "connect": (b"CONNECT x:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "endless line": (b"GET /" + b"a" * 70_000, (414, 431)),
    "endless field": (request()[:-2] + b"X-A: " + b"a" * 70_000, 431),
    "too many fields": (request(*[b"X-%d: y" % i for i in range(500)]), 431),
    "chunk size overflow": (request(b"Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n", (400, 413)),
    "chunk size signed": (request(b"Transfer-Encoding: chunked") + b"-1\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n", 400),
    "binary": (bytes(range(256)) + b"\r\n\r\n", 400),
}


def exchange(port: int, sent: bytes) -> bytes:
    """Everything that comes back until the connection ends."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        try:
            s.sendall(sent)
            while chunk := s.recv(65536):
                got += chunk
        except ConnectionResetError:
            pass
    return got


@pytest.fixture(scope="module")
def proxy(iris, tmp_path_factory):
    from weir import Weir

    one = Weir(tmp_path_factory.mktemp("hostile"), [iris_model(iris, weights={"v2": "0%"})])
    yield one
    one.process.stop()


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_and_closed(proxy, case):
    sent, expected = CASES[case]
    got = exchange(proxy.port, sent)
    line = got.split(b"\r\n")[0].split(b" ")
    assert line[0] == b"HTTP/1.1", got[:200]
    allowed = expected if isinstance(expected, tuple) else (expected,)
    assert int(line[1]) in allowed, got[:200]


def test_nobody_else_suffers(proxy, iris):
    before = iris["v1"].served()
    for sent, _ in CASES.values():
        exchange(proxy.port, sent)
    # A client that says nothing, and one that stops in the middle of its head.
    with (
        socket.create_connection(("127.0.0.1", proxy.port)),
        socket.create_connection(("127.0.0.1", proxy.port)) as half,
    ):
        half.sendall(b"GET /v2/mod")
        assert set(ask_many(proxy.url, 60)) == {"v1"}
    assert iris["v1"].served() - before == 60


def test_pipelined_requests_are_answered_in_order(proxy):
    paths = [b"/v2/models/iris", b"/v2/models/iris/versions/9", b"/v2/models/iris/ready"]
    sent = b"".join(b"GET " + p + b" HTTP/1.1\r\n" + HOST + b"\r\n" for p in paths[:-1])
    sent += b"GET " + paths[-1] + b" HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    got = exchange(proxy.port, sent)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]
