"""kill -9 around automatic cuts: a cut whose line is in the journal is never forgotten by the next start.

A candidate goes bad under load; Weir is killed before, at, or up to 50 ms after the moment when the cut's
line appears in the journal, and started again. From then on the candidate may not get a single request.

The suite runs a short round of it; a long one takes its time:
    WEIR_BINARY=… python Tests/Integration/kill_cuts.py [kills] [--full-disk]

With --full-disk (as root) the state directory is a small file system of its own that is filled to the last
byte before the candidate goes bad.
"""

import ctypes
import errno
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from processes import wait_until
from weir import Weir, pair

RULES = [{"kind": "error_rate", "worse_than_stable": True}]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.count += 1
        self.send_response(500 if self.server.is_bad else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Servers(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Connections of a Weir that was killed."""


def server():
    made = Servers(("127.0.0.1", 0), Answer)
    made.count, made.is_bad, made.daemon_threads = 0, False, True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


class Asking:
    """Requests over one connection after the other, for as long as there is a Weir."""

    def __init__(self, port: int):
        self.is_on = True
        self.port = port
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while self.is_on:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                while self.is_on:
                    connection.request("GET", "/")
                    connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                time.sleep(0.001)
            finally:
                connection.close()

    def stop(self) -> None:
        self.is_on = False
        self.thread.join()


def verb(proxy, word: str, **more) -> None:
    body = json.dumps({"model": "m", "reason": "the next round", "force": True, **more}).encode()
    if word == "unquarantine":
        body = json.dumps({"model": "m", "version": "v2"}).encode()
    request = urllib.request.Request(
        proxy.admin + "/verbs/" + word, body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=15) as reply:
        assert json.load(reply)["ok"]


def cut_lines(proxy) -> int:
    """Whole lines of cuts in all journal files."""
    count = 0
    for path in proxy.state.glob("journal*.jsonl"):
        whole = path.read_bytes().rpartition(b"\n")[0]
        count += sum(b'"kind":"cut"' in line for line in whole.split(b"\n"))
    return count


def wait_for_cut(proxy, offset: int, seconds: float) -> bool:
    """Looks at the journal's end until a cut's line is there, as often as it can."""
    descriptor = os.open(proxy.state / "journal.jsonl", os.O_RDONLY)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if b'"kind":"cut"' in os.pread(descriptor, 1 << 20, offset):
                return True
        return False
    finally:
        os.close(descriptor)


def mount_small(folder: pathlib.Path) -> None:
    """A file system of 4 MiB in a mount namespace of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "weir-test", str(folder)], check=True)


def fill(folder: pathlib.Path) -> None:
    """Takes every byte that is left."""
    with open(folder / "filler", "wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError as full:
                assert full.errno == errno.ENOSPC


def main(kills: int, full_disk: bool, seed: int) -> None:
    choose = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-cuts-"))
    if full_disk:
        mount_small(folder / "state")
    stable, candidate = server(), server()
    model = pair(stable.server_port, candidate.server_port, weights={"v2": "50%"}, guardrails=RULES)
    proxy = Weir(folder, [model])
    tally = {"kills": 0, "with the cut in the journal": 0, "without": 0, "state behind the journal": 0}
    for number in range(kills):
        candidate.is_bad = False
        asking = [Asking(proxy.port) for _ in range(2)]
        before = candidate.count
        wait_until(lambda: candidate.count > before + 3, "requests at the candidate", pause=0.002)
        if full_disk:
            fill(proxy.state)
        cuts = cut_lines(proxy)
        offset = (proxy.state / "journal.jsonl").stat().st_size
        candidate.is_bad = True
        # Two of three wait for the line, and then some while; the others are blind.
        if number % 3 < 2:
            assert wait_for_cut(proxy, offset, 30), f"round {number}: no cut; {proxy.process.tail()}"
            delay = 0 if number % 3 == 0 else choose.uniform(0, 0.05)
        else:
            delay = choose.uniform(0, 0.4)
        if delay:
            time.sleep(delay)
        proxy.process.kill()
        tally["kills"] += 1
        for one in asking:
            one.stop()
        is_cut = cut_lines(proxy) > cuts
        tally["with the cut in the journal" if is_cut else "without"] += 1
        before = candidate.count
        proxy.start()
        if is_cut:
            check(proxy, candidate, before, f"round {number} of seed {seed}")
            status = proxy.status()
            tally["state behind the journal"] += status["journal"]["recovered"] is not None
        if full_disk:
            (proxy.state / "filler").unlink()
            wait_until(lambda: reads(proxy) == "ready", f"round {number}: space")
        if proxy.status()["models"][0]["quarantined"]:
            verb(proxy, "unquarantine")
            verb(proxy, "resume")
    proxy.process.stop()
    shutil.rmtree(folder, ignore_errors=True)
    print(", ".join(f"{value} {name}" for name, value in tally.items()) + "; no cut was forgotten")


def reads(proxy) -> str:
    with urllib.request.urlopen(proxy.admin + "/readyz", timeout=60) as reply:
        return reply.read().decode().strip()


def check(proxy, candidate, before: int, where: str) -> None:
    """The version that was cut gets nothing."""
    for _ in range(20):
        urllib.request.urlopen(proxy.url + "/", timeout=60).read()
    said = proxy.status()["models"][0]
    assert said["phase"] == "cut" and "v2" in said["quarantined"], f"{where}: {said['phase']}"
    assert candidate.count == before, f"{where}: the candidate got {candidate.count - before} requests"


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    if "--full-disk" in sys.argv and os.getuid() != 0:
        sys.exit("--full-disk mounts a small file system, which needs root")
    main(numbers[0] if numbers else 500, "--full-disk" in sys.argv, numbers[1] if len(numbers) > 1 else 1)
