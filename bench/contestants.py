"""The proxies that are compared: how each is configured and started."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from machine import accepts, free_port, on_cpu

HERE = pathlib.Path(__file__).parent
PROXY_CPU = 0

# name: (program, configuration, arguments, the scenarios it can do)
ALL = {
    "weir": ("weir", "weir.yaml", ["run", "--config", "@config@"], {"plain", "split", "shadow"}),
    "haproxy": ("haproxy", "haproxy.cfg", ["-db", "-f", "@config@"], {"plain", "split"}),
    "nginx": (
        "nginx",
        "nginx.conf",
        ["-c", "@config@", "-e", "@dir@/error.log"],
        {"plain", "split", "shadow"},
    ),
    "nghttpx": ("nghttpx", "nghttpx.conf", ["--conf=@config@"], {"plain"}),
    "envoy": (
        "envoy",
        "envoy.yaml",
        ["-c", "@config@", "--concurrency", "1", "--use-dynamic-base-id", "-l", "off"],
        {"plain", "split", "shadow"},
    ),
}
DEFAULT = ["weir", "haproxy", "nginx"]


def find(program: str) -> str | None:
    if program == "weir":
        return os.environ.get("WEIR_BINARY")
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def render(template: str, parts: set[str], values: dict) -> str:
    """Keeps `#if part … #end` for the parts asked for and fills in @name@."""
    out, keep = [], True
    for line in template.splitlines():
        word = line.strip()
        if word.startswith("#if "):
            keep = word[4:] in parts
        elif word == "#end":
            keep = True
        elif keep:
            out.append(line)
    return re.sub(r"@(\w+)@", lambda m: str(values[m[1]]) if m[1] in values else m[0], "\n".join(out) + "\n")


class Contestant:
    """One proxy, running on the proxies' CPU."""

    def __init__(
        self, name: str, scenario: str, origins: dict, command=None, environment=None, patience: float = 20
    ):
        """`command` replaces the program, as for a run under valgrind."""
        program, config, arguments, _ = ALL[name]
        self.name = name
        self.port = free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"weir-bench-{name}-"))
        values = {**origins, "port": self.port, "dir": self.dir, "admin": free_port()}
        self.admin = values["admin"]
        parts = {"shadow": {"split", "shadow"}, "split": {"split"}}.get(scenario, set())
        path = self.dir / config
        path.write_text(render((HERE / "configs" / config).read_text(), parts, values))
        filled = [render(a, set(), {"config": path, "dir": self.dir}).strip() for a in arguments]
        self.log = open(self.dir / "log", "ab")
        self.child = subprocess.Popen(
            [*(command or [find(program)]), *filled],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, **(environment or {})},
            preexec_fn=on_cpu(PROXY_CPU),
        )
        self._wait(patience)

    def _wait(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not accepts(self.port):
            if self.child.poll() is not None or time.monotonic() > deadline:
                said = (self.dir / "log").read_text()[-2000:]
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{said}")
            time.sleep(0.02)
        time.sleep(0.1)

    @property
    def pid(self) -> int:
        return self.child.pid

    def stop(self, patience: float = 3) -> None:
        self.child.send_signal(signal.SIGINT if self.name == "nghttpx" else signal.SIGTERM)
        try:
            self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
