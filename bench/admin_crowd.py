"""Whether an operator's rollback is answered while a crowd holds connections to the admin API.

    bash bench/admin_crowd                        500 connections of each kind, 81 rollbacks beside each
    bash bench/admin_crowd --kinds status --clients 2000

The crowd asks for pages and never reads them, says half of a request, or nothing; eight of it leave and come
back before each rollback, as those do who were made to leave. A rollback is answered when it is a 200 within
the 35 seconds that `weir` itself waits. The exit code is 1 unless all of them are.
"""

import argparse
import http.client
import json
import socket
import sys
import time

from contestants import Contestant, Origin
from machine import raise_descriptor_limit

ROLLBACKS, RETURNING, PATIENCE = 81, 8, 35.0
VERB = b"POST /verbs/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
KINDS = {
    "silent": b"",
    "half a head": b"GET /livez HTTP/1.1\r\nhost: loc",
    "half a body": VERB + b'content-length: 20\r\n\r\n{"mod',
    "metrics": b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "status": b"GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n" * 200,
}


def stranger(port: int, text: bytes) -> socket.socket:
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(PATIENCE)
    peer.connect(("127.0.0.1", port))
    peer.setblocking(False)
    try:
        peer.send(text)
    except OSError:
        pass  # made to leave already
    return peer


def rollback(port: int, reason: str) -> str:
    """Nothing when the verb was obeyed; else what came instead."""
    operator = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        body = json.dumps({"model": "bench", "reason": reason})
        operator.request("POST", "/verbs/rollback", body, {"content-type": "application/json"})
        answer = operator.getresponse()
        text = answer.read().decode(errors="replace")
        return "" if answer.status == 200 else f"{answer.status} {text[:100]}"
    except (OSError, http.client.HTTPException) as problem:
        return repr(problem)
    finally:
        operator.close()


def beside(port: int, text: bytes, count: int) -> tuple:
    """Seconds of each rollback, and what came instead of the answers that did not."""
    crowd = [stranger(port, text) for _ in range(count)]
    times, failures = [], []
    for number in range(ROLLBACKS):
        for i in range(RETURNING):
            slot = (number * RETURNING + i) % count
            crowd[slot].close()
            crowd[slot] = stranger(port, text)
        begun = time.monotonic()
        failure = rollback(port, f"rollback {number}")
        times.append(time.monotonic() - begun)
        if failure:
            failures.append(failure)
    for peer in crowd:
        peer.close()
    return sorted(times), failures


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--clients", type=int, default=500)
    options = parser.parse_args()
    raise_descriptor_limit()
    origin = Origin()
    lost = 0
    print(f"{'crowd':12} {'clients':>7} {'answered':>9} {'median ms':>9} {'most ms':>8}")
    try:
        for kind in options.kinds.split(","):
            weir = Contestant("weir", {"split"}, origin.ports)
            try:
                times, failures = beside(weir.admin, KINDS[kind], options.clients)
            finally:
                weir.stop()
            lost += len(failures)
            answered = f"{ROLLBACKS - len(failures)}/{ROLLBACKS}"
            median, most = times[len(times) // 2] * 1000, times[-1] * 1000
            print(
                f"{kind:12} {options.clients:7} {answered:>9} {median:9.1f} {most:8.1f}"
                + (f"   {failures[0]}" if failures else ""),
                flush=True,
            )
    finally:
        origin.stop()
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
