"""Every way to be wrong counts: a candidate that fails nothing and answers nothing useful is cut by the
default guardrails, soon, and never promoted; an equal one is left alone, whatever it answers."""

import http.client
import http.server
import random
import threading

import pytest

from clients import Crew
from processes import wait_until
from weir import endpoint


class Server:
    """A model server in this process. `answer` gives status, fields and body, or None to say nothing."""

    def __init__(self, answer):
        self.asked = 0
        self.stopping = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                server.asked += 1
                wanted = answer(server.asked)
                if wanted is None:
                    server.stopping.wait()
                    self.close_connection = True
                    return
                status, fields, body = wanted
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def stop(self):
        self.stopping.set()
        self.listener.shutdown()
        self.listener.server_close()


class Clients(Crew):
    """Four clients that ask some thirty times a second each and leave when an answer takes `patience`."""

    def __init__(self, port: int, patience: float):
        super().__init__(lambda: self.ask(port, patience), threads=4)

    def ask(self, port: int, patience: float):
        connection = None
        while not self.stopping.wait(0.03):
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
                connection.request("POST", "/infer", b"{}")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
        if connection:
            connection.close()


def well(_):
    return 200, {}, b'{"y": 1}'


def model(stable, candidate, *stages):
    """Default guardrails, default everything."""
    return {
        "name": "m",
        "match": {"path_prefix": "/"},
        "versions": {
            "v1": {"endpoints": [endpoint(stable.port)]},
            "v2": {"endpoints": [endpoint(candidate.port)]},
        },
        "stable": "v1",
        "candidate": "v2",
        "rollout": {"stages": list(stages)},
    }


WRONG = {
    "429": (lambda _: (429, {"retry-after": "1"}, b"{}"), "non_2xx"),
    "302": (lambda _: (302, {"location": "/login"}, b""), "non_2xx"),
    "401": (lambda _: (401, {}, b"{}"), "non_2xx"),
    "404": (lambda _: (404, {}, b"{}"), "non_2xx"),
    "empty": (lambda _: (200, {}, b""), "empty"),
    "hangs": (lambda _: None, "cancels"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_candidate_that_answers_wrongly_is_cut_and_never_promoted(weir, what):
    answer, rule = WRONG[what]
    stable, candidate = Server(well), Server(answer)
    try:
        proxy = weir(
            [model(stable, candidate, {"weight": "20%", "min_requests": 200}, {"weight": "100%"})]
        )
        # Clients of a server that hangs leave after 100 ms; the others have time, on any machine.
        with Clients(proxy.port, 0.1 if what == "hangs" else 10):
            cut = proxy.wait_for("cut", 120)
            requests = candidate.asked
        print(f"{what}: cut after {requests} candidate requests by {cut['guardrail']}")
        assert cut["versions"] == ["v2"]
        # A busy machine may be late for stable's clients as well; then slowness is what is seen first.
        rules = [rule] + (["latency_p50", "latency_p99"] if what == "hangs" else [])
        assert cut["guardrail"] in [f"{name}_worse_than_stable" for name in rules]
        # With one endpoint each, five slots of 1.5 s decide on cancels, whatever the traffic.
        assert requests <= 100 or what == "hangs"
        assert proxy.journal("promoted") == []
        assert [e["kind"] for e in proxy.journal()].count("stage") == 1
    finally:
        stable.stop()
        candidate.stop()


def test_equal_versions_are_left_alone_whatever_they_answer(weir):
    lots = random.Random(7)
    odd = [(404, {}, b"{}"), (404, {}, b"{}"), (200, {}, b""), (302, {"location": "/"}, b"")]
    answers = odd + [well(0)] * 6

    def some(_):
        return lots.choice(answers)

    stable, candidate = Server(some), Server(some)
    try:
        proxy = weir([model(stable, candidate, {"weight": "50%", "hold": "1h"}, {"weight": "100%"})])
        with Clients(proxy.port, 10):
            wait_until(lambda: candidate.asked >= 500, "500 requests of the candidate", 120)
        assert proxy.journal("cut") == []
    finally:
        stable.stop()
        candidate.stop()
