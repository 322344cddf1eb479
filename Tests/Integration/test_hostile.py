"""Bytes that are no well-formed request: refused with the right status, closed, and nobody else suffers."""

import json
import socket
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from clients import ask_many
from weir import endpoint, iris_model

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
    "trace": (b"TRACE " + PATH + b" HTTP/1.1\r\n" + HOST + b"Cookie: session=1\r\n\r\n", 405),
    "track": (b"TRACK " + PATH + b" HTTP/1.1\r\n" + HOST + b"Cookie: session=1\r\n\r\n", 405),
    "underscore coding": (request(b"Transfer_Encoding: chunked"), 400),
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
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
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


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def wsgi():
    """The port of a WSGI server, which reads "_" in names as "-", that answers what it was told."""

    def application(environ, start_response):
        told = {k: v for k, v in environ.items() if k.startswith("HTTP_")}
        body = json.dumps(told | {"target": environ["PATH_INFO"]}).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_wsgi_server_is_told_by_weir_alone_who_asks(weir, wsgi):
    proxy = weir(
        [{"name": "wsgi", "versions": {"v1": {"endpoints": [endpoint(wsgi)]}}, "stable": "v1"}],
        trusted_proxies=["10.0.0.0/8"],
    )
    forged = [
        b"X_Forwarded_For: 6.6.6.6",
        b"x-forwarded_proto: forged",
        b"X_Forwarded-Host: forged",
        b"x_request_id: forged",
        b"X_Weir_Shadow: forged",
        b"X-Weir-: forged",
        b"Connection: close, x-request-id, x-forwarded-for, x-forwarded-proto, x-forwarded-host",
        b"user_id: 7",
    ]
    got = exchange(proxy.port, request(*forged, line=b"GET /a HTTP/1.1\r\n"))
    told = json.loads(got.split(b"\r\n\r\n", 1)[1])
    assert "forged" not in json.dumps(told) and not any("WEIR" in name for name in told)
    assert told["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert told["HTTP_X_FORWARDED_PROTO"] == "http"
    assert told["HTTP_X_FORWARDED_HOST"] == "x"
    assert len(told["HTTP_X_REQUEST_ID"]) == 32
    assert told["HTTP_USER_ID"] == "7"


def test_a_rewrite_to_the_root_leaves_one_slash(weir, wsgi):
    version = {
        "endpoints": [endpoint(wsgi)],
        "rewrite": {"path_prefix": {"from": "/a", "to": "/"}},
    }
    proxy = weir([{"name": "wsgi", "versions": {"v1": version}, "stable": "v1"}])
    expected = {
        "/a/infer": "/infer",
        "/a//infer": "/infer",
        "/a": "/",
        "/a/": "/",
        "/ab": "/ab",
        "/b/a": "/b/a",
    }
    for path, target in expected.items():
        sent = request(b"Connection: close", line=b"GET " + path.encode() + b" HTTP/1.1\r\n")
        told = json.loads(exchange(proxy.port, sent).split(b"\r\n\r\n", 1)[1])
        assert told["target"] == target, path
