"""The figures that Weir must keep, measured on the release binary; exits 1 when one is missed.

    allocations        heap allocations per 10,000 requests on the core's thread, after a warm-up
    instructions       user instructions per request on the core's thread, by callgrind: two runs of different
                       length, differenced, so that start-up cancels out
    idle_connection    resident bytes per idle keep-alive connection that has carried a request
    idle_rss           resident bytes of a sidecar that serves nobody

Everything that Weir does by default is on: measuring, guardrails, journal. CPU time beside other proxies is
bench/run's figure, because it has no threshold that holds on every machine.
"""

import argparse
import glob
import json
import mmap
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import contestants
from compare import Origin, closed_loop
from contestants import HERE, Contestant
from machine import raise_descriptor_limit, rss_bytes

THRESHOLDS = {
    "allocations get": 0.5,
    "allocations post": 0.5,
    "allocations split": 0.5,
    "allocations shadow": 0.5,
    "instructions get": 12_000,
    "instructions post": 12_000,
    "instructions split": 12_000,
    "idle_connection": 2_048,
    "idle_rss": 20 << 20,
}
SCENARIOS = {
    "get": ("GET", "plain"),
    "post": ("POST", "plain"),
    "split": ("POST", "split"),
    "shadow": ("POST", "shadow"),
}
CORE_THREAD = "weir-core"
TABLE_BYTES = 4096 * 16


def core_threads(pid: int) -> set:
    """Thread ids of the event loops."""
    found = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as comm:
            if comm.read().startswith(CORE_THREAD):
                found.add(int(task))
    if not found:
        raise RuntimeError(f"no thread of {pid} is called {CORE_THREAD}")
    return found


def allocations(origin: Origin, library: str, scenario: str, seconds: int) -> float:
    method, config = SCENARIOS[scenario]
    with tempfile.NamedTemporaryFile() as table:
        table.truncate(TABLE_BYTES)
        environment = {"LD_PRELOAD": library, "ALLOC_TABLE": table.name}
        weir = Contestant("weir", config, origin.ports, environment=environment)
        try:
            with mmap.mmap(table.fileno(), TABLE_BYTES, prot=mmap.PROT_READ) as memory:
                threads = core_threads(weir.pid)

                def count() -> int:
                    pairs = struct.iter_unpack("QQ", memory[:])
                    return sum(n for thread, n in pairs if thread in threads)

                closed_loop(weir.port, method, seconds)
                before = count()
                if before == 0:
                    raise RuntimeError("the tally saw no allocation at all; a core makes some at its start")
                done = closed_loop(weir.port, method, seconds)
                if done["bad"]:
                    raise RuntimeError(f"{done['bad']} requests failed")
                return (count() - before) * 10_000 / done["requests"]
        finally:
            weir.stop()


def instructions(origin: Origin, scenario: str, seconds: int) -> float:
    method, config = SCENARIOS[scenario]
    runs = [callgrind(origin, method, config, s) for s in (seconds, 4 * seconds)]
    (short, few), (long, many) = runs
    # The core's is the thread whose work grew with the requests; threads are numbered in order of start.
    return max(long[thread] - short.get(thread, 0) for thread in long) / (many - few)


def callgrind(origin: Origin, method: str, config: str, seconds: int) -> tuple:
    """Instructions by thread, and the requests that were served."""
    folder = tempfile.mkdtemp(prefix="weir-gates-")
    # Debian 12's valgrind does not read the compiler's debug information, and does not need it.
    program = f"{folder}/weir"
    subprocess.run(["strip", "--strip-debug", "-o", program, contestants.find("weir")], check=True)
    command = ["valgrind", "--tool=callgrind", "--separate-threads=yes"]
    command += [f"--callgrind-out-file={folder}/out", program]
    weir = Contestant("weir", config, origin.ports, command=command, patience=120)
    try:
        done = closed_loop(weir.port, method, seconds)
    finally:
        weir.stop(patience=60)
    totals = {}
    for path in glob.glob(f"{folder}/out*"):
        found = re.search(r"^totals: (\d+)", pathlib.Path(path).read_text(), re.MULTILINE)
        if found:
            totals[path.rsplit("-", 1)[1]] = int(found[1])
    shutil.rmtree(folder)
    if not totals:
        raise RuntimeError("callgrind wrote nothing")
    return totals, done["requests"]


def idle(origin: Origin, connections: int) -> tuple:
    """Resident bytes when idle, and per idle connection."""
    weir = Contestant("weir", "plain", origin.ports)
    request = b"GET /v2/models/bench/infer HTTP/1.1\r\nHost: x\r\n\r\n"
    clients = []
    try:
        time.sleep(0.5)
        at_rest = rss_bytes(weir.pid)
        closed_loop(weir.port, "GET", 1)
        time.sleep(0.5)
        before = rss_bytes(weir.pid)
        for _ in range(connections):
            client = socket.create_connection(("127.0.0.1", weir.port))
            client.sendall(request)
            while not client.recv(65536):
                raise RuntimeError("the connection ended")
            clients.append(client)
        time.sleep(0.5)
        return at_rest, (rss_bytes(weir.pid) - before) / connections
    finally:
        for client in clients:
            client.close()
        weir.stop()


def compile_tally(folder: str) -> str:
    library = f"{folder}/alloctally.so"
    source = str(HERE / "alloctally.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-Wall", "-o", library, source], check=True)
    return library


def measure(options) -> dict:
    origin = Origin()
    folder = tempfile.mkdtemp(prefix="weir-gates-")
    figures = {}
    try:
        library = compile_tally(folder)
        for scenario in SCENARIOS:
            print(f"allocations {scenario}", file=sys.stderr)
            name = f"allocations {scenario}"
            figures[name] = allocations(origin, library, scenario, options.seconds)
        for scenario in ["get", "post", "split"]:
            print(f"instructions {scenario}", file=sys.stderr)
            figures[f"instructions {scenario}"] = instructions(origin, scenario, options.seconds)
        figures["idle_rss"], figures["idle_connection"] = idle(origin, options.connections)
    finally:
        origin.stop()
        shutil.rmtree(folder)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/gates", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=2, help="of a short run; a long one takes four times")
    parser.add_argument("--connections", type=int, default=4000, help="idle ones")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    raise_descriptor_limit()
    if contestants.find("weir") is None:
        sys.exit("WEIR_BINARY names no program; run bench/gates, which builds it")
    figures = measure(options)
    missed = [name for name, value in figures.items() if value > THRESHOLDS[name]]
    if options.json:
        print(json.dumps({n: {"value": v, "threshold": THRESHOLDS[n]} for n, v in figures.items()}))
    else:
        print(f"{'gate':24} {'measured':>14} {'at most':>14}")
        for name, value in figures.items():
            verdict = "MISSED" if name in missed else "kept"
            print(f"{name:24} {value:>14,.1f} {THRESHOLDS[name]:>14,} {verdict}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
