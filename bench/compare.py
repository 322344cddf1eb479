"""Weir beside HAProxy and nginx: CPU per request, throughput and added latency.

Method. One proxy thread on CPU 0; load and model servers share CPU 1; everything on 127.0.0.1. In every
round each contestant runs each scenario once, in an order that rotates from round to round, so that a slow
minute of the machine hits all alike. The figure to trust is CPU us/request: time on CPU of all the
contestant's threads (/proc/PID/task/*/schedstat) over requests completed. Throughput and latency depend on
who else uses the machine; a round in which others took more than 5 % of CPU 0 is counted as disturbed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import contestants
from contestants import ALL, DEFAULT, PROXY_CPU, Contestant
from machine import busy_seconds, cpu_nanos, on_cpu, raise_descriptor_limit, rss_bytes

LOAD_CPU = 1
HERE = os.path.dirname(os.path.abspath(__file__))

# name: (method, configuration, what it is)
SCENARIOS = {
    "get": ("GET", "plain", "GET, 1 KB answer, one version"),
    "post": ("POST", "plain", "POST 1 KB, 1 KB answer, one version"),
    "split": ("POST", "split", "POST 1 KB, split 95/5"),
    "shadow": ("POST", "shadow", "POST 1 KB, split 95/5, and a copy of every request to a shadow"),
}


class Origin:
    """The model servers: one process that counts what reaches each version."""

    def __init__(self):
        self.child = subprocess.Popen(
            [os.environ["ORIGIN_BINARY"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=on_cpu(LOAD_CPU),
        )
        self.ports = json.loads(self.child.stdout.readline())

    def counts(self) -> dict:
        self.child.stdin.write("count\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def stop(self) -> None:
        self.child.stdin.close()
        self.child.wait(5)


def closed_loop(port: int, method: str, seconds: float) -> dict:
    """wrk with 32 connections that are always busy."""
    whole = max(1, round(seconds))
    command = ["wrk", "-t1", "-c32", f"-d{whole}s", "-s", f"{HERE}/load.lua"]
    command += [f"http://127.0.0.1:{port}/v2/models/bench/infer", "--", method]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=on_cpu(LOAD_CPU))
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    result["rate"] = result["requests"] * 1e6 / result["micros"]
    return result


def open_loop(port: int, method: str, seconds: float, rate: int) -> dict:
    """Our own generator: Poisson arrivals, the same seed for all, latency from the intended send time."""
    command = [os.environ["LOAD_BINARY"], "--port", str(port), "--method", method]
    command += ["--rate", str(rate), "--seconds", str(seconds), "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=on_cpu(LOAD_CPU))
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def measured(proxy: Contestant | None, run) -> dict:
    """One run of a load with the CPU time that the proxy spent on it."""
    busy, begin = busy_seconds(PROXY_CPU), time.monotonic()
    before = cpu_nanos(proxy.pid) if proxy else 0
    result = run()
    spent = (cpu_nanos(proxy.pid) if proxy else 0) - before
    wall = time.monotonic() - begin
    result["cpu"] = spent / 1000 / max(1, result["requests"])
    others = (busy_seconds(PROXY_CPU) - busy - spent / 1e9) / wall
    result["disturbed"] = others > 0.05
    return result


def compare(options) -> dict:
    names = [n for n in options.only if contestants.find(ALL[n][0])]
    for name in set(options.only) - set(names):
        print(f"{name} is not installed; the others go on", file=sys.stderr)
    raise_descriptor_limit()
    origin = Origin()
    results: dict = {}
    try:
        for scenario in options.scenarios:
            results[scenario] = compare_in(scenario, names, origin, options)
    finally:
        origin.stop()
    return results


def compare_in(scenario: str, names: list, origin: Origin, options) -> dict:
    method, config, _ = SCENARIOS[scenario]
    able = [n for n in names if config in ALL[n][3]]
    running = {}
    cells = {n: {"closed": [], "open": []} for n in ["direct", *able]}
    try:
        for name in able:
            running[name] = Contestant(name, config, origin.ports)
            warm = origin.counts()
            closed_loop(running[name].port, method, 1)
            cells[name]["share"] = shares(warm, origin.counts())
        for number in range(options.rounds):
            print(f"{scenario}: round {number + 1} of {options.rounds}", file=sys.stderr)
            order = ["direct", *able]
            turn = number % len(order)
            for name in order[turn:] + order[:turn]:
                proxy = running.get(name)
                port = proxy.port if proxy else origin.ports["stable"]
                cell = cells[name]
                if proxy:
                    run = measured(proxy, lambda: closed_loop(port, method, options.seconds))
                    cell["closed"].append(run)
                run = measured(proxy, lambda: open_loop(port, method, options.open_seconds, options.rate))
                cell["open"].append(run)
        for name in able:
            cells[name]["rss"] = rss_bytes(running[name].pid)
    finally:
        for proxy in running.values():
            proxy.stop()
    return cells


def shares(before: dict, after: dict) -> dict:
    """What reached each version, as a share of the primary requests."""
    counts = {k: after[k] - before[k] for k in after}
    primary = max(1, counts["stable"] + counts["candidate"])
    return {k: round(v / primary, 3) for k, v in counts.items() if v}


def median(runs: list, key: str):
    values = [r[key] for r in runs]
    return statistics.median(values) if values else None


def ratio(cells: dict, name: str, other: str, mode: str) -> str:
    """Median over the rounds of the ratio within a round."""
    if other not in cells:
        return "-"
    pairs = zip(cells[name][mode], cells[other][mode])
    return f"{statistics.median(a['cpu'] / b['cpu'] for a, b in pairs):.2f}"


def table(results: dict, rate: int) -> str:
    out = []
    for scenario, cells in results.items():
        out.append(f"\n{scenario}: {SCENARIOS[scenario][2]}\n")
        out.append(
            "| proxy | CPU us/request (min-max) | / haproxy | / nginx | requests/s | "
            f"CPU us at {rate}/s | / haproxy | p50 us | p99 us | added p50 | added p99 | "
            "RSS MiB | bad | disturbed | reached |"
        )
        out.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")
        direct = cells["direct"]["open"]
        for name, cell in cells.items():
            out.append(row(name, cell, cells, direct))
    return "\n".join(out)


def row(name: str, cell: dict, cells: dict, direct: list) -> str:
    open_runs, closed = cell["open"], cell["closed"]
    p50, p99 = median(open_runs, "p50"), median(open_runs, "p99")
    runs = open_runs + closed
    tail = f"{sum(r['bad'] for r in runs)} | {sum(r['disturbed'] for r in runs)} of {len(runs)}"
    if name == "direct":
        return f"| direct | | | | | | | {p50:.0f} | {p99:.0f} | | | | {tail} | |"
    cpu = [r["cpu"] for r in closed]
    added = [statistics.median(a[k] - b[k] for a, b in zip(open_runs, direct)) for k in ("p50", "p99")]
    return (
        f"| {name} | {statistics.median(cpu):.2f} ({min(cpu):.2f}-{max(cpu):.2f}) "
        f"| {ratio(cells, name, 'haproxy', 'closed')} | {ratio(cells, name, 'nginx', 'closed')} "
        f"| {median(closed, 'rate'):,.0f} | {median(open_runs, 'cpu'):.1f} "
        f"| {ratio(cells, name, 'haproxy', 'open')} | {p50:.0f} | {p99:.0f} "
        f"| {added[0]:.0f} | {added[1]:.0f} | {cell['rss'] / 2**20:.1f} | {tail} "
        f"| {json.dumps(cell['share'])} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three short rounds, below a minute")
    parser.add_argument("--only", default=",".join(DEFAULT), help=f"of {', '.join(ALL)}")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2, help="of a saturated run (whole seconds)")
    parser.add_argument("--open-seconds", type=float, default=1.5, help="of a run at a fixed rate")
    parser.add_argument("--rate", type=int, default=2000, help="requests per second of a fixed-rate run")
    parser.add_argument("--json", help="also write every run to this file")
    options = parser.parse_args()
    options.only, options.scenarios = options.only.split(","), options.scenarios.split(",")
    for given, known in ((options.only, ALL), (options.scenarios, SCENARIOS)):
        for name in given:
            if name not in known:
                parser.error(f"{name} is not one of {', '.join(known)}")
    if options.quick:
        options.rounds, options.seconds, options.open_seconds = 2, 1, 0.3
    if (os.cpu_count() or 1) < 2:
        sys.exit("the comparison needs two CPUs: one for the proxy, one for load and model servers")
    begin = time.monotonic()
    results = compare(options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    print(table(results, options.rate))
    print(f"\n{time.monotonic() - begin:.0f} s; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
