"""kill -9 every 200 ms for a minute during a rollout: no acknowledged verb is lost, no cut version is back.

Not part of the suite, because it takes its minute:
    WEIR_BINARY=… python Tests/Integration/kill_minute.py [seconds]
"""

import http.server
import json
import pathlib
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from processes import wait_until
from weir import Weir, pair


class Fine(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.count += 1
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fine)
    made.count = 0
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


def ask(proxy) -> None:
    try:
        urllib.request.urlopen(proxy.url + "/", timeout=1).read()
    except (urllib.error.URLError, OSError):
        pass


def verb(proxy, word, number, **more):
    """The answer, if one came: only that is an acknowledgement."""
    body = {"model": "m", "reason": f"verb {number}", "request_id": f"id-{number}", **more}
    request = urllib.request.Request(
        proxy.admin + "/verbs/" + word, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=1) as reply:
            return json.load(reply)
    except (urllib.error.URLError, OSError):
        return None


def main(seconds: float) -> None:
    stable, candidate = server(), server()
    stages = [{"weight": "20%"}, {"weight": "50%", "hold": "1h"}, {"weight": "100%"}]
    model = pair(stable.server_port, candidate.server_port, rollout={"stages": stages})
    folder = pathlib.Path(tempfile.mkdtemp())
    proxy = Weir(folder, [model])
    acknowledged, kills, cut, broken = [], 0, False, []
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        deadline = time.monotonic() + 0.2
        before = candidate.count
        while time.monotonic() < deadline:
            ask(proxy)
            number += 1
            # A cut, and some while later an operator's retry.
            word = "retry" if cut else "rollback"
            if number % 11:
                continue
            done = verb(proxy, word, number, **({"force": True} if cut else {}))
            if done and done.get("ok"):
                acknowledged.append((word, number))
                cut = word == "rollback"
                before = candidate.count
            else:
                # Not acknowledged: it may have been obeyed. What is so is what the state says.
                cut = False
                break
        if cut and candidate.count != before:
            broken.append(number)
        proxy.process.kill()
        kills += 1
        proxy.start()
        last = [e for e in proxy.journal() if e["kind"] in ("cut", "verb")]
        last = [e for e in last if e.get("verb") != "rollback"]
        cut = model_phase(proxy) == "cut"
        said = {e["reason"] for e in proxy.journal("verb")}
        for word, n in acknowledged:
            assert f"verb {n}" in said, f"the acknowledged {word} {n} is not in the journal"
        if acknowledged and acknowledged[-1][0] == "rollback" and last[-1]["kind"] == "cut":
            assert cut, "an acknowledged cut is gone after a kill"
    proxy.process.stop()
    assert not broken, f"requests reached a cut version: {broken}"
    print(f"{kills} kills, {len(acknowledged)} verbs acknowledged, none lost; no cut version came back")


def model_phase(proxy) -> str:
    return wait_until(lambda: proxy.status()["models"], "a status")[0]["phase"]


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60)
