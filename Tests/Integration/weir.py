"""Weir as the tests run it: the built binary with a configuration, a state folder and ports of its own."""

import json
import os
import pathlib
import signal
import urllib.request

from processes import Process, answers, free_port, wait_until

BINARY = os.environ.get("WEIR_BINARY", "")


def endpoint(port: int) -> str:
    return f"127.0.0.1:{port}"


def iris_model(iris: dict, **settings) -> dict:
    """The iris model with v1 as stable and v2 as candidate; `settings` are further keys of the model."""
    return {
        "name": "iris",
        "match": {"path_prefix": "/v2/models/iris"},
        "versions": {v: {"endpoints": [endpoint(s.port)]} for v, s in iris.items()},
        "stable": "v1",
        "candidate": "v2",
        **settings,
    }


def pair(stable: int, candidate: int, **settings) -> dict:
    """A model m with a version on each of two ports, v1 stable and v2 the candidate."""
    return {
        "name": "m",
        "versions": {"v1": {"endpoints": [endpoint(stable)]}, "v2": {"endpoints": [endpoint(candidate)]}},
        "stable": "v1",
        "candidate": "v2",
        "cool_down": "0s",
        **settings,
    }


class Weir:
    """A running `weir run`."""

    def __init__(self, folder: pathlib.Path, models: list, **settings):
        self.folder = folder
        self.port = free_port()
        self.admin_port = free_port()
        self.state = folder / "state"
        self.config_path = folder / "weir.yaml"
        self.settings = {
            "admin": {"listen": endpoint(self.admin_port)},
            "state_dir": str(self.state),
            "listeners": [{"listen": endpoint(self.port)}],
            **settings,
        }
        self.write_config(models)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    def write_config(self, models: list) -> None:
        """JSON is YAML."""
        text = json.dumps({**self.settings, "models": models}, indent=1)
        self.config_path.write_text(text)

    def start(self) -> None:
        self.process = Process([BINARY, "run", "--config", self.config_path], self.folder / "log")
        self.process.wait_ready(lambda: answers(self.admin + "/readyz"), "weir", 20)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def reload(self, models: list) -> None:
        """Writes a new configuration and sends SIGHUP."""
        self.write_config(models)
        self.signal(signal.SIGHUP)

    def journal(self, kind: str | None = None) -> list:
        """The journal's events, oldest first."""
        path = self.state / "journal.jsonl"
        if not path.exists():
            return []
        events = [json.loads(line) for line in path.read_text().splitlines()]
        return [e for e in events if kind is None or e["kind"] == kind]

    def wait_for(self, kind: str, seconds: float = 120.0) -> dict:
        """The first event of a kind."""
        wait_until(lambda: self.journal(kind), f"a {kind} in the journal", seconds, 0.05)
        return self.journal(kind)[0]

    def status(self) -> dict:
        with urllib.request.urlopen(self.admin + "/status", timeout=60) as reply:
            return json.load(reply)

    def metrics(self, accept: str = "text/plain") -> tuple:
        """Content type and text of /metrics."""
        request = urllib.request.Request(self.admin + "/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.headers["Content-Type"], reply.read().decode()
