"""What a proxy costs when little is asked of it: idle connections, memory under slow clients, the start."""

import os
import resource
import socket
import statistics
import subprocess
import tempfile
import time

from contestants import ALL, LOAD_CPU, PROXY_CPU, Contestant, find
from machine import accepts, free_port, rss_bytes
from measure import closed_loop, measured
from scenarios import PATH, Load

REQUEST = f"GET {PATH} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()
CONNECTIONS = 10_000


def affordable(per_connection: int) -> int:
    """Connections that the limit on open files allows a process to hold."""
    return min(CONNECTIONS, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500) // per_connection)


def open_clients(port: int, count: int, first: bytes, answered: bool) -> list:
    """Keep-alive connections that have each sent something, and have been answered where that is asked."""
    clients = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.sendall(first)
        if answered and not client.recv(65536):
            raise RuntimeError("the connection ended")
        clients.append(client)
    return clients


def connections(names: list, origin, options) -> dict:
    """S11: memory per idle connection that has carried a request, and S1 beside them."""
    rows = []
    for name in names:
        if not ALL[name][3] and name != "floor":
            continue
        count = affordable(2 if name == "floor" else 1)
        if options.quick:
            count //= 10
        proxy = Contestant(name, set(), origin.ports)
        clients = []
        try:
            closed_loop(proxy.port, Load(), 1)
            alone = measured(proxy, lambda: closed_loop(proxy.port, Load(), 1), options.retries)
            before = rss_bytes(proxy.pid)
            clients = open_clients(proxy.port, count, REQUEST, answered=True)
            time.sleep(0.5)
            after = rss_bytes(proxy.pid)
            beside = measured(proxy, lambda: closed_loop(proxy.port, Load(), 1), options.retries)
        finally:
            for client in clients:
                client.close()
            proxy.stop()
        per = (after - before) / count
        rows.append([name, count, before / 2**20, after / 2**20, round(per), alone["cpu"], beside["cpu"]])
    columns = ["proxy", "connections", "RSS MiB before", "with them", "bytes each", "S1 us alone", "beside"]
    return {"title": "idle keep-alive connections", "columns": columns, "rows": rows}


TEN_MODELS = """admin: {{ listen: 127.0.0.1:{admin} }}
state_dir: {dir}/state
listeners: [{{ listen: 127.0.0.1:{port} }}]
models:
{models}"""
ONE_MODEL = """  - name: m{i}
    match: {{ path_prefix: /v2/models/m{i} }}
    versions:
      v1: {{ endpoints: ["127.0.0.1:9"] }}
      v2: {{ endpoints: ["127.0.0.1:9"] }}
    stable: v1
    candidate: v2
    weights: {{ v2: 5% }}
"""


def start(names: list, origin, options) -> dict:
    """Milliseconds from exec to listening, with ten models."""
    times = []
    for _ in range(5 if options.quick else 15):
        # The child inherits it, and does not share a CPU with those who look for it.
        os.sched_setaffinity(0, {PROXY_CPU})
        with tempfile.TemporaryDirectory(prefix="weir-bench-start-") as folder:
            port = free_port()
            models = "".join(ONE_MODEL.format(i=i) for i in range(10))
            path = f"{folder}/weir.yaml"
            with open(path, "w") as file:
                file.write(TEN_MODELS.format(admin=free_port(), dir=folder, port=port, models=models))
            begin = time.monotonic()
            child = subprocess.Popen(
                [find("weir"), "run", "--config", path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            os.sched_setaffinity(0, {LOAD_CPU})
            while not accepts(port):
                time.sleep(0.0002)
                if child.poll() is not None or time.monotonic() > begin + 10:
                    raise RuntimeError("weir did not start")
            times.append((time.monotonic() - begin) * 1000)
            child.terminate()
            child.wait(10)
    row = ["weir", min(times), statistics.median(times), max(times), 20]
    columns = ["proxy", "least ms", "median ms", "most ms", "target ms"]
    return {"title": "from exec to listening, ten models", "columns": columns, "rows": [row]}


def memory_curve(names: list, origin, options) -> dict:
    """RSS while clients that never finish their requests pile up in front of a model that never answers."""
    weir = Contestant("weir", set(), {**origin.ports, "stable": origin.ports["dead"]})
    head = f"POST {PATH} HTTP/1.1\r\nhost: bench\r\ncontent-length: 65536\r\n".encode()
    kinds = [head, head + b"\r\n" + b"x" * 32768, REQUEST]  # half a head; half a body; no answer
    rows, clients = [], []
    try:
        step = affordable(1) // (20 if options.quick else 4)
        rows.append(["0", rss_bytes(weir.pid) / 2**20, 0])
        for _ in range(4):
            for at in range(step):
                clients += open_clients(weir.port, 1, kinds[at % 3], answered=False)
            time.sleep(0.5)
            rows.append([f"{len(clients):,}", rss_bytes(weir.pid) / 2**20, len(clients)])
        time.sleep(3)
        rows.append([f"{len(clients):,}, 3 s later", rss_bytes(weir.pid) / 2**20, len(clients)])
    finally:
        for client in clients:
            client.close()
        weir.stop()
    columns = ["slow clients before a hanging model", "RSS MiB", "connections"]
    return {"title": "memory under slow clients and a hanging model", "columns": columns, "rows": rows}
