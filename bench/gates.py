"""The figures that Weir must keep, measured on the release binary; exits 1 when one is missed.

    symbols            no reference counting, allocation or indirect call in the functions of the request path
    allocations        heap allocations per 10,000 requests on the core's thread, after a warm-up
    instructions       user instructions per request on the core's thread, by callgrind, within 5 % of what
                       instructions.json says: more must not happen, and less is to be written down
    idle_connection    resident bytes per idle keep-alive connection that has carried a request
    idle_rss           resident bytes of a sidecar that serves nobody
    fairness           a neighbour's p99 beside downloads, uploads, floods and tunnels, to HAProxy's in the
                       same rounds (fairness.py): a ratio, so that it holds on every machine with two CPUs

Everything that Weir does by default is on: measuring, guardrails, journal. CPU time beside other proxies is
bench/run's figure, because it has no threshold that holds on every machine.
"""

import argparse
import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time

import callgrind
import contestants
import fairness
import symbols
from contestants import HERE, Contestant, Origin
from idle import REQUEST, open_clients
from machine import free_port, raise_descriptor_limit, rss_bytes
from measure import closed_loop
from scenarios import COHORT, PATH, POST, SHADOW, SPLIT, Load

BOUNDS = {"allocations": 0.5, "idle_connection": 320, "idle_rss": 20 << 20}
TOLERANCE = 0.05
RECORD = HERE / "instructions.json"
# name: (parts of the configuration, load)
SCENARIOS = {
    "get": (frozenset(), Load()),
    "post": (frozenset(), POST),
    "split": (SPLIT, POST),
    "cohort": (COHORT, Load(kind="users")),
    "shadow": (SHADOW, POST),
    "chunked": (SPLIT, Load("POST", 1024, kind="chunked")),
    "large": (SPLIT, Load("POST", 65536, PATH + "?bytes=262144", connections=8)),
    "retry": ({"retry"}, Load()),
    "captures": (frozenset({"split", "captures"}), POST),
    "close": (frozenset(), Load(kind="close")),
}
ALLOCATIONS = list(SCENARIOS)
INSTRUCTIONS = ["get", "post", "split", "cohort", "shadow", "chunked"]
# Every other request meets a closed port first.
RETRY = """admin: { listen: 127.0.0.1:@admin@ }
state_dir: @dir@/state
listeners: [{ listen: 127.0.0.1:@port@ }]
models:
  - name: bench
    match: { path_prefix: / }
    versions:
      v1:
        endpoints: ["127.0.0.1:@stable@", "127.0.0.1:@closed@"]
        outlier_ejection: { consecutive_failures: 0 }
    retries: { attempts: 2, budget: 100% }
    stable: v1
"""
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


def allocations(origin: Origin, library: str, name: str) -> float:
    """Per 10,000 requests, on the cores' threads, in the second of two runs of a second."""
    parts, load = SCENARIOS[name]
    config = RETRY.replace("@closed@", str(free_port())) if name == "retry" else None
    with tempfile.NamedTemporaryFile() as table:
        table.truncate(TABLE_BYTES)
        environment = {"LD_PRELOAD": library, "ALLOC_TABLE": table.name}
        weir = Contestant("weir", parts, origin.ports, config=config, environment=environment)
        try:
            with mmap.mmap(table.fileno(), TABLE_BYTES, prot=mmap.PROT_READ) as memory:
                threads = core_threads(weir.pid)

                def count() -> int:
                    pairs = struct.iter_unpack("QQ", memory[:])
                    return sum(n for thread, n in pairs if thread in threads)

                closed_loop(weir.port, load, 1)
                before = count()
                if before == 0:
                    raise RuntimeError("the tally saw no allocation at all; a core makes some at its start")
                done = closed_loop(weir.port, load, 1)
                if done["bad"]:
                    raise RuntimeError(f"{name}: {done['bad']} requests failed")
                return (count() - before) * 10_000 / done["requests"]
        finally:
            weir.stop()


def idle(origin: Origin, count: int) -> tuple:
    """Resident bytes when idle, and per idle connection."""
    weir = Contestant("weir", set(), origin.ports)
    clients = []
    try:
        time.sleep(0.5)
        at_rest = rss_bytes(weir.pid)
        closed_loop(weir.port, Load(), 1)
        time.sleep(0.5)
        before = rss_bytes(weir.pid)
        clients = open_clients(weir.port, count, REQUEST, answered=True)
        time.sleep(0.5)
        return at_rest, (rss_bytes(weir.pid) - before) / count
    finally:
        for client in clients:
            client.close()
        weir.stop()


def compile_tally(folder: str) -> str:
    library = f"{folder}/alloctally.so"
    source = str(HERE / "native" / "alloctally.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-Wall", "-o", library, source], check=True)
    return library


class Gates:
    """The verdicts so far: name, measured, what is allowed, kept or not."""

    def __init__(self):
        self.rows = []

    def add(self, name: str, value, allowed: str, is_kept: bool) -> None:
        self.rows.append({"gate": name, "measured": value, "allowed": allowed, "kept": is_kept})
        print(f"{name:24} {value:>12,.1f}   {allowed:28} {'kept' if is_kept else 'MISSED'}", flush=True)

    def at_most(self, name: str, value: float, bound: float) -> None:
        self.add(name, value, f"at most {bound:,}", value <= bound)

    def near(self, name: str, value: float, recorded: float | None) -> None:
        if recorded is None:
            self.add(name, value, f"no figure in {RECORD.name}", False)
            return
        is_kept = abs(value - recorded) <= TOLERANCE * recorded
        self.add(name, value, f"{recorded:,} within {TOLERANCE:.0%}", is_kept)
        if value < recorded * (1 - TOLERANCE):
            print(f"  fewer than recorded: write it down with bash bench/gates --record ({RECORD.name})")


def measure(options) -> Gates:
    gates = Gates()
    wrong = symbols.check(contestants.find("weir"))
    gates.add("symbols", len(wrong), "no offence", not wrong)
    for line in wrong:
        print(f"  {line}")
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    origin = Origin()
    try:
        with tempfile.TemporaryDirectory(prefix="weir-gates-") as folder:
            library = compile_tally(folder)
            for name in ALLOCATIONS:
                value = allocations(origin, library, name)
                gates.at_most(f"allocations {name}", value, BOUNDS["allocations"])
        for name in INSTRUCTIONS[:2] if options.quick else INSTRUCTIONS:
            value = callgrind.per_request(origin, *SCENARIOS[name], options.seconds)
            if options.record:
                recorded[name] = round(value)
            gates.near(f"instructions {name}", value, recorded.get(name))
        # How many pages the kernel maps around a fault is luck: the least of three starts.
        at_rest, per_connection = min(idle(origin, options.connections) for _ in range(3))
        gates.at_most("idle_rss", at_rest, BOUNDS["idle_rss"])
        gates.at_most("idle_connection", per_connection, BOUNDS["idle_connection"])
        if not options.quick and len(contestants.ALLOWED) > 1:
            for name, found, kept in fairness.gate(origin, options):
                gates.add(f"fairness {name}", found, f"at most {fairness.RATIO_MAX} of haproxy", kept)
    finally:
        origin.stop()
    if options.record:
        RECORD.write_text(json.dumps(recorded, indent=1) + "\n")
    return gates


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/gates", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="instructions of two loads only")
    parser.add_argument("--record", action="store_true", help=f"write the instructions into {RECORD.name}")
    parser.add_argument("--seconds", type=int, default=1, help="of a short run; a long one takes three times")
    parser.add_argument("--connections", type=int, default=4000, help="idle ones")
    fairness.add_options(parser, rounds=5, seconds=1.5)
    parser.add_argument("--json", help="also write the verdicts to this file")
    options = parser.parse_args()
    raise_descriptor_limit()
    if contestants.find("weir") is None:
        sys.exit("WEIR_BINARY names no program; run bench/gates, which builds it")
    gates = measure(options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(gates.rows, file, indent=1)
    sys.exit(0 if all(row["kept"] for row in gates.rows) else 1)


if __name__ == "__main__":
    main()
