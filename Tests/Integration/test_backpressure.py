"""Bodies much larger than memory should be, against a side that does not read for a while: Weir waits too."""

import socket
import subprocess
import threading
import time

import pytest

from weir import endpoint

SIZE = 256 << 20
RSS_MAX = 64 << 20


def rss_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


class Peer:
    """A server on one thread that serves one connection by `serve`."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.go = threading.Event()
        self.received = 0
        self.thread = threading.Thread(target=self._run, args=(serve,), daemon=True)
        self.thread.start()

    def _run(self, serve):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                serve(self, connection)


def sink(peer: Peer, connection: socket.socket) -> None:
    """Reads a head, waits for the word, reads the body, answers."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(4096)
        if not piece:
            return
        got += piece
    peer.received = len(got.split(b"\r\n\r\n", 1)[1])
    peer.go.wait(30)
    while peer.received < SIZE:
        piece = connection.recv(1 << 20)
        if not piece:
            return
        peer.received += len(piece)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def source(peer: Peer, connection: socket.socket) -> None:
    """Reads a head and answers with a large body."""
    if not connection.recv(4096):
        return
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
    piece = bytes(1 << 20)
    for _ in range(SIZE >> 20):
        connection.sendall(piece)


@pytest.fixture
def through(weir):
    def start(serve):
        peer = Peer(serve)
        model = {"name": "m", "versions": {"v1": {"endpoints": [endpoint(peer.port)]}}, "stable": "v1"}
        return peer, weir([model])

    return start


def watch_rss(pid: int, seconds: float) -> int:
    """The largest resident size over a while."""
    most, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        most = max(most, rss_bytes(pid))
        time.sleep(0.02)
    return most


def test_an_upload_waits_for_a_model_server_that_does_not_read(through, tmp_path):
    peer, proxy = through(sink)
    body = tmp_path / "body"
    with open(body, "wb") as file:
        file.truncate(SIZE)
    url = proxy.url + "/upload"
    client = subprocess.Popen(["curl", "-sS", "-T", body, url], stdout=subprocess.PIPE)
    stalled = watch_rss(proxy.process.pid, 1.5)
    peer.go.set()
    flowing = watch_rss(proxy.process.pid, 0.5)
    out, _ = client.communicate(timeout=60)
    assert (out, peer.received) == (b"ok", SIZE)
    assert max(stalled, flowing) < RSS_MAX


def test_a_download_waits_for_a_client_that_does_not_read(through):
    peer, proxy = through(source)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        stalled = watch_rss(proxy.process.pid, 1.5)
        received = 0
        while piece := client.recv(1 << 20):
            received += len(piece)
    assert received > SIZE
    assert stalled < RSS_MAX


def test_a_truncated_body_is_an_error_at_the_client(through):
    def cut(peer, connection):
        if connection.recv(4096):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")

    _, proxy = through(cut)
    done = subprocess.run(["curl", "-sS", proxy.url + "/"], capture_output=True, timeout=60)
    assert done.stdout == b"half"
    assert done.returncode in (18, 56), done.stderr
