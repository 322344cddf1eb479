"""Weir beside the proxies that people know: CPU per request, throughput, added latency, memory.

Method. Each proxy has one thread on CPU 0; load and model servers share CPU 1; everything on 127.0.0.1. In
every round each contestant runs each scenario once, in an order that rotates from round to round, so that a
slow minute of the machine hits all alike; ratios are medians of the ratios within a round.
"""

import argparse
import json
import os
import platform
import sys
import time

import contestants
import cut
import idle
import table
from contestants import ALL, ALLOWED, DEFAULT, PROXY_CPU, Contestant, Origin
from machine import raise_descriptor_limit, rss_bytes
from measure import closed_loop, measured, open_loop
from scenarios import QUICK, SCENARIOS, Scenario

EXTRAS = {
    "S11": idle.connections,
    "start": idle.start,
    "memory": idle.memory_curve,
    "cut": cut.cuts,
}


def able(scenario: Scenario, names: list) -> list:
    return [n for n in names if scenario.parts <= ALL[n][3] and n in (scenario.among or names)]


def start_all(scenario: Scenario, names: list, origin: Origin) -> dict:
    """The contestants of a scenario, by label, each with the CPUs that it may use."""
    origins = {**origin.ports, **{k: origin.ports[v] for k, v in scenario.origins.items()}}
    running = {}
    try:
        for name in able(scenario, names):
            cpus = ALLOWED[: scenario.cores] if name == "weir" else (PROXY_CPU,)
            running[name] = (Contestant(name, scenario.parts, origins, cpus), cpus)
        if scenario.baseline and "weir" in names:
            base = scenario.baseline
            ports = {**origin.ports, **{k: origin.ports[v] for k, v in base.origins.items()}}
            running[base.label] = (Contestant("weir", base.parts, ports), (PROXY_CPU,))
    except Exception:
        stop_all(running)
        raise
    return running


def stop_all(running: dict) -> None:
    for proxy, _ in running.values():
        proxy.stop()


def shares(before: dict, after: dict) -> dict:
    """What reached each model server, as a share of the primary requests."""
    counts = {k: after[k] - before[k] for k in after}
    primary = max(1, sum(counts[k] for k in ("stable", "candidate", "late", "local")))
    return {k: round(v / primary, 3) for k, v in counts.items() if v}


def compare(key: str, names: list, origin: Origin, options) -> dict:
    """All rounds of one scenario."""
    scenario = SCENARIOS[key]
    running = start_all(scenario, names, origin)
    cells = {n: {"closed": [], "open": []} for n in ["direct", *running]}
    rounds = options.rounds
    direct = origin.ports[scenario.origins.get("stable", "stable")]
    try:
        for label, (proxy, _) in running.items():
            before = origin.counts()
            if scenario.closed:
                closed_loop(proxy.port, scenario.load, 1)
            else:
                open_loop(proxy.port, scenario.load, 0.5, scenario.rate, scenario.open_connections)
            cells[label]["share"] = shares(before, origin.counts())
        order = ["direct", *running]
        for number in range(rounds):
            print(f"{key}: round {number + 1} of {rounds}", file=sys.stderr)
            turn = number % len(order)
            for label in order[turn:] + order[:turn]:
                proxy, cpus = running.get(label, (None, (PROXY_CPU,)))
                port = proxy.port if proxy else direct
                run_once(scenario, cells[label], proxy, port, cpus, options)
        for label, (proxy, _) in running.items():
            cells[label]["rss"] = rss_bytes(proxy.pid)
    finally:
        stop_all(running)
    return cells


def run_once(scenario: Scenario, cell: dict, proxy, port: int, cpus, options) -> None:
    load = scenario.load
    if scenario.closed and proxy:
        run = measured(proxy, lambda: closed_loop(port, load, options.seconds), options.retries, cpus)
        cell["closed"].append(run)
    if scenario.rate:
        connections = scenario.open_connections

        def at_rate():
            return open_loop(port, load, options.open_seconds, scenario.rate, connections)

        cell["open"].append(measured(proxy, at_rate, options.retries, cpus))


def parse() -> argparse.Namespace:
    known = [*SCENARIOS, *EXTRAS]
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)} in below a minute")
    parser.add_argument("--only", default=",".join(DEFAULT), help=f"of {', '.join(ALL)}")
    parser.add_argument("--scenarios", help=f"of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of a saturated run (whole seconds)")
    parser.add_argument("--open-seconds", type=float, default=0.7, help="of a run at a fixed rate")
    parser.add_argument("--retries", type=int, default=1, help="of a disturbed measurement")
    parser.add_argument("--json", help="also write every measurement to this file")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if options.quick:
        options.rounds, options.open_seconds, options.retries = 2, 0.3, 0
        options.only = [n for n in options.only if n in ("weir", "floor", "haproxy", "nginx")]
    chosen = options.scenarios.split(",") if options.scenarios else QUICK if options.quick else known
    options.scenarios = chosen
    for given, names in ((options.only, ALL), (chosen, known)):
        for name in given:
            if name not in names:
                parser.error(f"{name} is not one of {', '.join(names)}")
    return options


def main() -> None:
    options = parse()
    if len(ALLOWED) < 2:
        sys.exit("the comparison needs two CPUs: one for the proxy, one for load and model servers")
    names = [n for n in options.only if contestants.find(ALL[n][0])]
    missing = [n for n in options.only if n not in names]
    if missing:
        print(f"not installed, the others go on: {', '.join(missing)}", file=sys.stderr)
    raise_descriptor_limit()
    os.sched_setaffinity(0, {contestants.LOAD_CPU})
    begin = time.monotonic()
    results: dict = {"scenarios": {}, "extras": {}}
    origin = Origin()
    try:
        for key in options.scenarios:
            if key in EXTRAS:
                print(key, file=sys.stderr)
                results["extras"][key] = EXTRAS[key](names, origin, options)
            else:
                results["scenarios"][key] = compare(key, names, origin, options)
    finally:
        origin.stop()
    results["machine"] = {
        "date": time.strftime("%F %T"),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "rounds": options.rounds,
        "seconds": round(time.monotonic() - begin),
        "load average": os.getloadavg()[0],
    }
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    print(table.render(results))


if __name__ == "__main__":
    main()
