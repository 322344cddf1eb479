"""Identical servers in front of Weir, with the same faults: nobody may be cut, whatever is wrong with both
and however users are protected. Beside them candidates that alone are bad, which must still be found.

A cell is a fault, a way of drawing versions, a weight and a set of protections. Each cell is a model of its
own in one Weir, with two servers for stable and two for its twin, under independent arrivals. Servers, load
and clients run in this process, Weir is the built binary.

    bash bench/twins                        # all 640 cells, and the differences: some fifteen minutes
    bash bench/twins --fault resets --seconds 20
    bash bench/twins --sample 40 --seed 7   # some cells of every fault
"""

import argparse
import asyncio
import dataclasses
import datetime
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from twin_cells import FAULTS, USERS, Cell, all_differences, all_twins, sample
from twin_servers import Twins, at

# Load

class Asking(asyncio.Protocol):
    """The client's side of a connection: one request at a time."""

    def __init__(self, load: "Load"):
        self.load = load
        self.buffer = b""
        self.is_busy = False

    def connection_made(self, transport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> None:
        self.is_busy = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at_length = head.find(b"content-length:")
        length = int(head[at_length + 15 :].split(b"\r\n", 1)[0]) if at_length >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        self.load.ended(int(head[9:12]))
        self.buffer, self.is_busy = b"", False
        if b"connection: close" in head:
            self.transport.close()
        else:
            self.load.idle.append(self)

    def connection_lost(self, error) -> None:
        if self.is_busy:
            self.load.ended(0)
        if self in self.load.idle:
            self.load.idle.remove(self)


class Load:
    """Independent arrivals for one cell, whatever the answers do."""

    def __init__(self, cell: Cell, port: int, rate: float, seed: int):
        self.cell, self.port, self.rate = cell, port, rate
        self.chance = random.Random(seed)
        self.idle = []
        self.statuses = {}
        self.sent = 0

    def ended(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1

    async def run(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        due = time.monotonic()
        while (due := due + self.chance.expovariate(self.rate)) < until:
            await at(due)
            # One user in ten requests: enough for one client to matter.
            user = 0 if self.chance.random() < 0.1 else self.chance.randrange(1, USERS)
            head = f"GET /{self.cell.name}/x HTTP/1.1\r\nhost: twins\r\nx-user-id: u{user}\r\n\r\n"
            request = head.encode()
            self.sent += 1
            if self.idle:
                self.idle.pop().ask(request)
                continue
            try:
                _, asking = await loop.create_connection(lambda: Asking(self), "127.0.0.1", self.port)
            except OSError:
                self.ended(0)
                continue
            asking.ask(request)

    @property
    def errors(self) -> int:
        return sum(n for status, n in self.statuses.items() if not 200 <= status < 500)


# A run


@dataclasses.dataclass
class Result:
    """What became of one cell."""

    cell: Cell
    requests: int
    errors: int
    # Of the first cut, if there was one: the rule, its reason, and seconds since the fault began.
    rule: str = ""
    reason: str = ""
    after: float = 0.0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Weir:
    """The built binary with the cells' models."""

    def __init__(self, binary: str, folder: pathlib.Path, models: list):
        self.port, self.admin, self.folder = free_port(), free_port(), folder
        config = {
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "state_dir": str(folder / "state"),
            "listeners": [{"listen": f"127.0.0.1:{self.port}"}],
            "models": models,
        }
        (folder / "weir.yaml").write_text(json.dumps(config, indent=1))
        with open(folder / "log", "ab") as log:
            self.child = subprocess.Popen(
                [binary, "run", "--config", str(folder / "weir.yaml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )

    async def ready(self) -> None:
        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=2) as reply:
                    return reply.status == 200
            except OSError:
                return False

        deadline = time.monotonic() + 60
        while not await asyncio.to_thread(answers):
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"weir did not start:\n{(self.folder / 'log').read_text()[-4000:]}")
            await asyncio.sleep(0.1)

    def cuts(self) -> dict:
        """The first cut of every model, by its name."""
        found = {}
        for line in (self.folder / "state" / "journal.jsonl").read_text().splitlines():
            event = json.loads(line)
            if event["kind"] == "cut":
                found.setdefault(event["model"], event)
        return found

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


async def play(binary: str, cells: list, seconds: float, rate: float, seed: int, alpha: str) -> list:
    """Runs cells beside each other in one Weir."""
    stages = [Twins(cell, seed + 2 * i) for i, cell in enumerate(cells)]
    for stage in stages:
        await stage.start()
    with tempfile.TemporaryDirectory() as folder:
        weir = Weir(binary, pathlib.Path(folder), [stage.model(alpha) for stage in stages])
        try:
            await weir.ready()
            begin, wall = time.monotonic(), time.time()
            loads = [Load(cell, weir.port, rate, seed + 7919 * (i + 1)) for i, cell in enumerate(cells)]
            plots = [asyncio.ensure_future(stage.play(begin, seconds)) for stage in stages]
            await asyncio.gather(*(load.run(begin + seconds) for load in loads))
            await asyncio.sleep(1.0)
            await asyncio.gather(*plots)
            cuts = weir.cuts()
        finally:
            for stage in stages:
                stage.stop()
            weir.stop()
    return [result(load, cuts.get(load.cell.name), wall, seconds) for load in loads]


def result(load: Load, cut: dict | None, wall: float, seconds: float) -> Result:
    found = Result(load.cell, load.sent, load.errors)
    if cut is not None:
        moment = datetime.datetime.fromisoformat(cut["at"].replace("Z", "+00:00")).timestamp()
        is_later = load.cell.fault.startswith("dead") and load.cell.only
        found.after = moment - wall - (seconds / 4 if is_later else 0)
        found.rule, found.reason = cut.get("guardrail") or "?", cut.get("reason", "")
    return found


def run(binary: str, cells: list, seconds: float, rate: float, seed: int, alpha: str, together: int) -> list:
    """Runs cells in batches of so many at once."""
    results = []
    for i in range(0, len(cells), together):
        results += asyncio.run(play(binary, cells[i : i + together], seconds, rate, seed + i, alpha))
    return results


def report(results: list, alpha: str) -> bool:
    """Prints the tables; whether all is as it should be."""
    print("| fault of both | cells | requests | cut | by |\n|---|--:|--:|--:|---|")
    twins = [r for r in results if not r.cell.only]
    for fault in dict.fromkeys(r.cell.fault for r in twins):
        own = [r for r in twins if r.cell.fault == fault]
        cut = [r for r in own if r.rule]
        rules = ", ".join(sorted({r.rule for r in cut}))
        print(f"| {fault} | {len(own)} | {sum(r.requests for r in own):,} | {len(cut)} | {rules} |")
    cut = [r for r in twins if r.rule]
    requests = sum(r.requests for r in twins)
    print(f"\n{len(twins)} twins, {requests:,} requests, {len(cut)} cut (alpha {alpha})")
    for r in cut:
        print(f"  {r.cell.name}: after {r.after:.1f} s: {r.reason}")
    alone = [r for r in results if r.cell.only]
    if alone:
        print("\n| fault of the candidate alone | cells | found | median s | most s | by |")
        print("|---|--:|--:|--:|--:|---|")
    for fault in dict.fromkeys(r.cell.fault for r in alone):
        own = [r for r in alone if r.cell.fault == fault]
        found = sorted(r.after for r in own if r.rule)
        rules = ", ".join(sorted({r.rule for r in own if r.rule}))
        median = f"{found[len(found) // 2]:.1f}" if found else "-"
        most = f"{found[-1]:.1f}" if found else "-"
        print(f"| {fault} | {len(own)} | {len(found)} | {median} | {most} | {rules} |")
    for r in alone:
        if not r.rule:
            print(f"  {r.cell.name}: not found in {r.requests} requests")
    return not cut and all(r.rule for r in alone)


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--binary", default=os.environ.get("WEIR_BINARY", ""), help="the weir to run")
    parser.add_argument("--fault", choices=FAULTS, help="this fault alone, without the differences")
    parser.add_argument("--sample", type=int, help="so many cells, of every fault some")
    parser.add_argument("--seconds", type=float, default=60, help="load of each cell")
    parser.add_argument("--rate", type=float, default=25, help="requests a second of each cell")
    parser.add_argument("--together", type=int, default=64, help="cells at once")
    parser.add_argument("--alpha", default="1%", help="as the models have it")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    cells = [c for c in all_twins() if options.fault in (None, c.fault)]
    if options.fault is None:
        cells += all_differences()
    chance = random.Random(options.seed)
    cells = sample(cells, options.sample, chance) if options.sample else cells
    load = (options.seconds, options.rate, options.seed)
    results = run(options.binary, cells, *load, options.alpha, options.together)
    return 0 if report(results, options.alpha) else 1


if __name__ == "__main__":
    sys.exit(main())
