"""The proxies that are compared: how each is configured and started, and the model servers behind them."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from machine import accepts, free_port, on_cpus

HERE = pathlib.Path(__file__).parent
ALLOWED = sorted(os.sched_getaffinity(0))
PROXY_CPU = ALLOWED[0]
# Of one CPU all must share; only bench/gates, whose figures do not mind, runs there.
LOAD_CPU = ALLOWED[1 % len(ALLOWED)]

# name: (program, configuration, arguments, the parts of a configuration that it can do)
ALL = {
    "weir": (
        "weir",
        "weir.yaml",
        ["run", "--config", "@config@"],
        {"split", "shadow", "cohort", "unix", "captures"},
    ),
    "floor": ("relay", None, ["@port@", "@stable@"], set()),
    "haproxy": ("haproxy", "haproxy.cfg", ["-db", "-f", "@config@"], {"split", "cohort"}),
    "nginx": (
        "nginx",
        "nginx.conf",
        ["-c", "@config@", "-e", "@dir@/error.log"],
        {"split", "shadow", "cohort"},
    ),
    "nghttpx": ("nghttpx", "nghttpx.conf", ["--conf=@config@"], {"split"}),
    "envoy": (
        "envoy",
        "envoy.yaml",
        ["-c", "@config@", "--concurrency", "1", "--use-dynamic-base-id", "-l", "off"],
        {"split", "shadow"},
    ),
}
DEFAULT = ["weir", "floor", "haproxy", "nginx", "nghttpx", "envoy"]
PEERS = ["haproxy", "nginx", "nghttpx", "envoy"]


def find(program: str) -> str | None:
    if program in ("weir", "relay"):
        return os.environ.get(f"{program.upper()}_BINARY")
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def render(template: str, parts: set, values: dict) -> str:
    """Keeps `#if part … #end` where the part is asked for, `#unless` where not, and fills in @name@."""
    out, keep = [], [True]
    for line in template.splitlines():
        words = line.split()
        if words[:1] == ["#if"]:
            keep.append(keep[-1] and words[1] in parts)
        elif words[:1] == ["#unless"]:
            keep.append(keep[-1] and words[1] not in parts)
        elif words[:1] == ["#end"]:
            keep.pop()
        elif keep[-1]:
            out.append(line)
    return re.sub(r"@(\w+)@", lambda m: str(values[m[1]]) if m[1] in values else m[0], "\n".join(out) + "\n")


class Origin:
    """The model servers: one process that counts what reaches each."""

    def __init__(self, more=()):
        self.dir = tempfile.mkdtemp(prefix="weir-bench-origin-")
        names = ["stable", "candidate", "shadow", "slow=50", "dead=-1", "late=20", *more]
        self.child = subprocess.Popen(
            [os.environ["ORIGIN_BINARY"], *names, f"local=unix:{self.dir}/local.sock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=on_cpus(LOAD_CPU),
        )
        self.ports = json.loads(self.child.stdout.readline())
        self.ports["local"] = f"{self.dir}/local.sock"

    def counts(self) -> dict:
        self.child.stdin.write("count\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def stop(self) -> None:
        self.child.stdin.close()
        self.child.wait(5)
        shutil.rmtree(self.dir, ignore_errors=True)


class Contestant:
    """One proxy, running on the proxies' CPU."""

    def __init__(
        self,
        name: str,
        parts,
        origins: dict,
        cpus=(PROXY_CPU,),
        config: str | None = None,
        command=None,
        environment=None,
        patience: float = 20,
    ):
        """`config` replaces the rendered template, `command` the program, as for a run under valgrind."""
        program, template, arguments, _ = ALL[name]
        self.name = name
        self.port = free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"weir-bench-{name}-"))
        self.admin = free_port()
        values = {**origins, "port": self.port, "dir": self.dir, "admin": self.admin}
        values["config"] = self.dir / (template or "none")
        if template:
            text = config or (HERE / "configs" / template).read_text()
            values["config"].write_text(render(text, set(parts), values))
        filled = [render(a, set(), values).strip() for a in arguments]
        self.log = open(self.dir / "log", "ab")
        self.child = subprocess.Popen(
            [*(command or [find(program)]), *filled],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, **(environment or {})},
            preexec_fn=on_cpus(*cpus),
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
