"""Loads, and one measurement: a load with the CPU time that a proxy spent on it.

The figure to trust is CPU us/request: time on CPU of all the contestant's threads
(/proc/PID/task/*/schedstat) over requests completed. A measurement is disturbed when others took, or the
hypervisor stole, more than 5 % of the proxies' CPU meanwhile; it is repeated while the retries last.
"""

import json
import os
import subprocess
import time

from contestants import HERE, LOAD_CPU, PROXY_CPU, Contestant
from machine import busy_seconds, cpu_nanos, on_cpus
from scenarios import Load

FOREIGN_MAX = 0.05


def closed_loop(port: int, load: Load, seconds: float) -> dict:
    """wrk with connections that are always busy."""
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    command += ["-s", f"{HERE}/load.lua", f"http://127.0.0.1:{port}{load.path}"]
    command += ["--", load.method, str(load.body), load.kind]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=on_cpus(LOAD_CPU))
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    result["rate"] = result["requests"] * 1e6 / result["micros"]
    return result


def open_loop(port: int, load: Load, seconds: float, rate: int, connections: int) -> dict:
    """Our own generator: Poisson arrivals, the same seed for all, latency from the intended send time."""
    command = [os.environ["LOAD_BINARY"], "--port", str(port), "--method", load.method, "--path", load.path]
    command += ["--body-bytes", str(load.body), "--connections", str(connections)]
    command += ["--rate", str(rate), "--seconds", str(seconds), "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=on_cpus(LOAD_CPU))
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def measured(proxy: Contestant | None, run, retries: int = 1, cpus=(PROXY_CPU,)) -> dict:
    """The least disturbed of a few tries."""
    best = None
    for _ in range(retries + 1):
        result = one(proxy, run, cpus)
        if best is None or result["foreign"] < best["foreign"]:
            best = result
        if best["foreign"] <= FOREIGN_MAX:
            break
    best["disturbed"] = best["foreign"] > FOREIGN_MAX
    return best


def one(proxy: Contestant | None, run, cpus) -> dict:
    busy, begin = busy_seconds(PROXY_CPU), time.monotonic()
    before = cpu_nanos(proxy.pid) if proxy else 0
    result = run()
    spent = (cpu_nanos(proxy.pid) if proxy else 0) - before
    wall = time.monotonic() - begin
    result["cpu"] = spent / 1000 / max(1, result["requests"])
    others = (busy_seconds(PROXY_CPU) - busy - spent / 1e9) / wall
    # Of a proxy on two CPUs nobody can say how much of the first one was its own.
    result["foreign"] = max(0.0, others) if len(cpus) == 1 else 0.0
    return result
