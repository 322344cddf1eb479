"""What the neighbours of peers that move all they can have to wait, beside HAProxy in the same rounds.

A neighbour asks for 1 KB answers at a fixed rate (Poisson, latency from the intended send time) while other
connections download, upload, flood or tunnel without end. The proxies run on their CPU as in bench/run; the
flows share the other with the neighbour and give way to it at once (SCHED_IDLE; nice alone lets them finish
their slice of some milliseconds), so that it is the proxy that makes it wait and not the peers. Proxies take
turns within a round and only one has flows at a time; the figure is the median over rounds of the ratio of
Weir's p99 to HAProxy's in one round. HAProxy's own swings threefold from round to round, so a gate that
misses is measured again with twice the rounds, and all of them count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import contestants
from contestants import LOAD_CPU, Contestant, Origin
from machine import cpu_nanos, gives_way, raise_descriptor_limit
from measure import open_loop
from scenarios import Load

# Weir's p99 beside HAProxy's, and microseconds below which a difference is the machine's.
RATIO_MAX = 1.5
GRACE_MICROS = 200
# name: kinds of flows, each with the number of its connections (native/flows.c)
SCENARIOS = {
    "downloads": {"chunked": 4},
    "long downloads": {"long": 4},
    "uploads": {"upload": 2, "uploadlong": 2},
    "floods": {"hints": 1, "tiny": 1},
    "tunnels": {"tunnel": 2},
}
WEIR = """admin: { listen: 127.0.0.1:@admin@ }
state_dir: @dir@/state
listeners: [{ listen: 127.0.0.1:@port@ }]
models:
  - name: flows
    match: { path_prefix: /flows }
    versions:
      v1: { endpoints: ["127.0.0.1:@flows@"], outlier_ejection: { consecutive_failures: 0 } }
    stable: v1
  - name: bench
    match: { path_prefix: / }
    versions:
      v1: { endpoints: ["127.0.0.1:@stable@"] }
    stable: v1
"""
HAPROXY = """global
    nbthread 1
    maxconn 1000
defaults
    mode http
    timeout connect 2s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    http-reuse always
frontend in
    bind 127.0.0.1:@port@
    use_backend flows if { path_beg /flows }
    default_backend versions
backend flows
    server flows 127.0.0.1:@flows@
backend versions
    server stable 127.0.0.1:@stable@
"""
CONFIGS = {"weir": WEIR, "before": WEIR, "haproxy": HAPROXY}


class Flows:
    """A process of flows: the server, or some clients."""

    def __init__(self, *arguments: str):
        self.child = subprocess.Popen(
            [os.environ["FLOWS_BINARY"], *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=gives_way(LOAD_CPU),
        )
        self.said = self.child.stdout.readline().strip()

    def read_bytes(self) -> int:
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return int(self.child.stdout.readline())

    def stop(self) -> None:
        self.child.stdin.close()
        self.child.wait(10)


def neighbour(proxy: Contestant, options) -> dict:
    """The neighbour's latencies; without a rate there is none, and the flows are by themselves."""
    if options.rate > 0:
        return open_loop(proxy.port, Load(), options.flow_seconds, options.rate, 16)
    time.sleep(options.flow_seconds)
    return {"p50": 0, "p99": 0, "p999": 0, "bad": 0, "timed_out": 0}


def one(proxy: Contestant, server: Flows, kinds: dict, options) -> dict:
    """The neighbour's latencies beside the flows, and megabytes a second that went through."""
    clients = [Flows("ask", str(proxy.port), kind, str(count)) for kind, count in kinds.items()]
    try:
        time.sleep(0.3)
        everybody = [server, *clients]
        before, begin, spent = sum(f.read_bytes() for f in everybody), time.monotonic(), cpu_nanos(proxy.pid)
        result = neighbour(proxy, options)
        moved = max(1, sum(f.read_bytes() for f in everybody) - before) / 1e6
        result["megabytes"] = moved / (time.monotonic() - begin)
        result["cpu"] = (cpu_nanos(proxy.pid) - spent) / 1000 / moved
    finally:
        for client in clients:
            client.stop()
    if result["bad"] or result["timed_out"]:
        print(f"  {proxy.name}: {result['bad']} bad, {result['timed_out']} timed out", file=sys.stderr)
    return result


def compare(kinds: dict, names: list, origin: Origin, options) -> dict:
    """All rounds of one scenario: measurements by contestant."""
    cells = {name: [] for name in names}
    server = Flows("serve")
    running = {}
    try:
        for name in names:
            ports = {**origin.ports, "flows": int(server.said)}
            running[name] = Contestant(
                "haproxy" if name == "haproxy" else "weir",
                set(),
                ports,
                config=CONFIGS[name],
                command=[options.before] if name == "before" else None,
            )
        for number in range(options.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                cells[name].append(one(running[name], server, kinds, options))
    finally:
        for proxy in running.values():
            proxy.stop()
        server.stop()
    return cells


def ratio(cells: dict, figure: str, name: str, to: str) -> float:
    """The median over rounds of one contestant's figure to another's."""
    pairs = zip(cells[name], cells[to])
    return statistics.median(a[figure] / max(1e-9, b[figure]) for a, b in pairs)


def verdict(cells: dict) -> tuple:
    """Weir's p99 to HAProxy's, and whether it is within the bound."""
    found = ratio(cells, "p99", "weir", "haproxy")
    gaps = [a["p99"] - RATIO_MAX * b["p99"] for a, b in zip(cells["weir"], cells["haproxy"])]
    failed = sum(run["bad"] + run["timed_out"] for run in cells["weir"])
    return found, failed == 0 and (found <= RATIO_MAX or statistics.median(gaps) <= GRACE_MICROS)


def gate(origin: Origin, options) -> list:
    """For bench/gates: (scenario, ratio, kept) of each."""
    rows = []
    for name, kinds in SCENARIOS.items():
        cells = compare(kinds, ["weir", "haproxy"], origin, options)
        if not verdict(cells)[1]:
            for _ in range(2):
                again = compare(kinds, ["weir", "haproxy"], origin, options)
                cells = {side: cells[side] + again[side] for side in cells}
        rows.append((name, *verdict(cells)))
    return rows


def show(name: str, cells: dict) -> None:
    for contestant, runs in cells.items():
        p50, p99, p999, speed, cpu = (
            statistics.median(run[f] for run in runs) for f in ("p50", "p99", "p999", "megabytes", "cpu")
        )
        times = f"p50 {p50:9,.0f}  p99 {p99:9,.0f}  p999 {p999:9,.0f} us"
        print(f"{name:16} {contestant:8} {times} {speed:6,.0f} MB/s {cpu:8,.0f} us/MB")


def add_options(parser: argparse.ArgumentParser, rounds: int, seconds: float) -> None:
    parser.add_argument("--rounds", type=int, default=rounds, help="of the flows")
    parser.add_argument("--flow-seconds", type=float, default=seconds, help="of one measurement beside flows")
    parser.add_argument("--rate", type=int, default=500, help="the neighbour's requests a second; 0: nobody")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/fairness", description=__doc__.split("\n")[0])
    add_options(parser, rounds=7, seconds=2)
    parser.add_argument("--only", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--before", help="another weir to run beside: its throughput is what must be kept")
    parser.add_argument("--json", help="also write every measurement to this file")
    options = parser.parse_args()
    raise_descriptor_limit()
    os.sched_setaffinity(0, {LOAD_CPU})
    names = ["weir", *(["before"] if options.before else []), "haproxy"]
    if contestants.find("haproxy") is None:
        sys.exit("haproxy is not installed: apt-get install haproxy")
    results, is_kept = {}, True
    origin = Origin()
    try:
        for name in options.only.split(",") if options.only else SCENARIOS:
            cells = results[name] = compare(SCENARIOS[name], names, origin, options)
            show(name, cells)
            found, kept = verdict(cells)
            is_kept &= kept
            said = "kept" if kept else "MISSED"
            print(f"fairness {name:24} {found:6.2f}   at most {RATIO_MAX} of haproxy {said}", flush=True)
            if options.before:
                speed, cpu = (ratio(cells, f, "weir", "before") for f in ("megabytes", "cpu"))
                print(f"         {name:24} {speed:6.2f}   of the MB/s before, {cpu:.2f} of the us/MB")
    finally:
        origin.stop()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
