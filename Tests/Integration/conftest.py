"""Fixtures: the real servers live for the whole run, a Weir for each test that asks for one."""

import pathlib
import subprocess
import sys

import pytest

from processes import SERVERS, MLServer, Process, accepts, answers, free_port
from weir import Weir


@pytest.fixture(scope="session")
def iris(tmp_path_factory):
    """Two MLServers, v1 and v2 of the same model, trained here."""
    folder = tmp_path_factory.mktemp("iris")
    subprocess.run([sys.executable, SERVERS / "train.py", folder], check=True)
    servers = {v: MLServer(v, folder / v) for v in ("v1", "v2")}
    try:
        for server in servers.values():
            server.wait_ready()
        yield servers
    finally:
        for server in servers.values():
            server.process.stop()


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """The port of a LitServe that streams words."""
    port = free_port()
    log = tmp_path_factory.mktemp("words") / "log"
    process = Process([sys.executable, SERVERS / "lit_stream.py", port], log, cwd=log.parent)
    try:
        process.wait_ready(lambda: answers(f"http://127.0.0.1:{port}/health"), "LitServe")
        yield port
    finally:
        process.stop()


@pytest.fixture(scope="session")
def echo(tmp_path_factory):
    """The port of a WebSocket echo."""
    port = free_port()
    log = tmp_path_factory.mktemp("echo") / "log"
    process = Process([sys.executable, SERVERS / "ws_echo.py", port], log)
    try:
        process.wait_ready(lambda: accepts(port), "the WebSocket echo")
        yield port
    finally:
        process.stop()


@pytest.fixture
def weir(tmp_path):
    """Starts Weirs; those still running are ended with the test, and what they said is shown if it failed."""
    started = []

    def start(models, **settings):
        folder = tmp_path / f"weir-{len(started)}"
        folder.mkdir()
        started.append(Weir(folder, models, **settings))
        return started[-1]

    yield start
    for one in started:
        one.process.stop()
        print(one.process.tail())
