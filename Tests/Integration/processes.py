"""Processes of the tests: started, awaited until they answer, and ended by their own id."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).parent
SERVERS = HERE / "servers"


def free_port() -> int:
    """A port that was free a moment ago: for servers that cannot be given port 0."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what: str, seconds: float = 120.0, pause: float = 0.02):
    """Waits for a condition to hold; its last value is returned, and lateness is a failure that says what."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(pause)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Process:
    """A child in a process group of its own, with its output in a file."""

    def __init__(self, arguments, log: pathlib.Path, cwd=None, env=None):
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(a) for a in arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    def wait_ready(self, check, what: str, seconds: float = 180.0) -> None:
        def ready():
            if self.child.poll() is not None:
                raise AssertionError(f"{what} ended with {self.child.returncode}:\n{self.tail()}")
            return check()

        try:
            wait_until(ready, f"{what} becoming ready", seconds, 0.05)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.tail()}") from None

    def tail(self, count: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-count:]

    def kill(self) -> None:
        """kill -9, the children too."""
        self._signal(signal.SIGKILL)
        self.child.wait()

    def stop(self, seconds: float = 10.0) -> int:
        """SIGTERM, then SIGKILL; the exit code."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self._signal(signal.SIGKILL)
        return self.child.wait()

    def _signal(self, number) -> None:
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            pass


class MLServer:
    """One version of the iris model in an MLServer of its own."""

    def __init__(self, version: str, folder: pathlib.Path):
        self.version = version
        self.folder = folder
        self.port = free_port()
        self.metrics_port = free_port()
        self.slow_file = folder / "slow"
        (folder / "settings.json").write_text(
            '{"host": "127.0.0.1", "http_port": %d, "grpc_port": %d, "metrics_port": %d,'
            ' "metrics_rest_server_prefix": "rest_server", "parallel_workers": 0, "debug": false}'
            % (self.port, free_port(), self.metrics_port)
        )
        self.start()

    def start(self) -> None:
        self.slow_file.unlink(missing_ok=True)
        self.process = Process(
            [sys.executable, "-m", "mlserver.cli.main", "start", "."],
            self.folder / "log",
            cwd=self.folder,
            env={"PYTHONPATH": str(SERVERS), "IRIS_SLOW_FILE": str(self.slow_file)},
        )

    def wait_ready(self) -> None:
        url = f"http://127.0.0.1:{self.port}/v2/models/iris/ready"
        self.process.wait_ready(lambda: answers(url), f"MLServer {self.version}")

    def restart(self) -> None:
        self.process.kill()
        self.start()
        self.wait_ready()

    def served(self) -> int:
        """Inference requests that this server counted itself."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as reply:
            lines = reply.read().decode().splitlines()
        return sum(
            int(float(line.rsplit(" ", 1)[1]))
            for line in lines
            if line.startswith("model_infer_request_success_total")
        )
