"""The servers of bench/twins: two for stable and two for its twin, and what goes wrong with them."""

import asyncio
import itertools
import random
import socket
import struct
import time

from twin_cells import Cell

class Replica:
    """One endpoint: a listener that comes and goes at one port, and what its version does wrong."""

    def __init__(self, plot: "Plot"):
        self.plot = plot
        # Answers 500 to all, as one that was deployed with a broken volume.
        self.is_sick = False
        self.connections = set()
        self.server = None
        self.port = 0
        # Keeps the port of a replica that is down: taken by a stranger, it would answer again.
        self.place = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        if self.place:
            self.place.close()
            self.place = None
        self.server = await loop.create_server(
            lambda: Answering(self), "127.0.0.1", self.port, reuse_address=True, backlog=512
        )
        self.port = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """As a process that is killed: the port refuses, connections are reset."""
        if self.server is None:
            return
        self.server.close()
        self.server = None
        self.place = socket.socket()
        self.place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.place.bind(("127.0.0.1", self.port))
        for transport in list(self.connections):
            reset(transport)


def reset(transport) -> None:
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Plot:
    """What happens to the requests of one version. Twins have the same plot, each with draws of its own."""

    def __init__(self, cell: Cell, is_bad: bool, seed: int):
        self.fault = cell.fault if is_bad else ""
        self.only = cell.only
        self.chance = random.Random(seed)
        self.is_late = False

    def delay(self) -> float:
        """Seconds of service: 4 ms and an exponential part of 4 ms more, before anything goes wrong."""
        base = 0.004 + self.chance.expovariate(250)
        if self.fault == "slow" and self.is_late:
            return 5 * base
        return 12 * base if self.fault == "overload" else base

    def end(self, head: bytes) -> str:
        """What becomes of a request."""
        if head.startswith(b"GET /ready"):
            return "404" if self.fault == "wrong_health_path" else "200"
        draw = self.chance.random()
        share = 1.0 if self.only else {"fails": 0.2, "resets": 0.05, "hangs": 0.05}.get(self.fault, 0)
        if self.fault == "fails" and draw < share:
            return "500"
        if self.fault == "resets" and draw < share:
            return "reset"
        if self.fault == "hangs" and draw < share:
            return "hang"
        if self.fault == "bad_user" and b"\r\nx-user-id: u0\r\n" in head:
            return "500"
        return "200"


class Answering(asyncio.Protocol):
    """The server's side of a connection."""

    def __init__(self, replica: Replica):
        self.replica = replica
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.replica.connections.add(transport)

    def connection_lost(self, error) -> None:
        self.replica.connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[: end + 4], self.buffer[end + 4 :]
            self.answer(head)

    def answer(self, head: bytes) -> None:
        plot = self.replica.plot
        end = "500" if self.replica.is_sick else plot.end(head)
        if end == "hang":
            return
        delay = 0 if head.startswith(b"GET /ready") else plot.delay()
        asyncio.get_running_loop().call_later(delay, self.finish, end)

    def finish(self, end: str) -> None:
        if self.transport.is_closing():
            return
        if end == "reset":
            reset(self.transport)
            return
        self.transport.write(b"HTTP/1.1 %s X\r\ncontent-length: 2\r\n\r\nok" % end.encode())


class Twins:
    """The servers of one cell."""

    def __init__(self, cell: Cell, seed: int):
        self.cell = cell
        self.plots = [Plot(cell, not cell.only, seed), Plot(cell, True, seed + 1)]
        self.replicas = [[Replica(plot) for _ in range(2)] for plot in self.plots]

    async def start(self) -> None:
        for replica in itertools.chain(*self.replicas):
            await replica.start()
        if self.cell.fault == "dead_replica":
            for version in self.replicas:
                version[1].stop()
        for version in self.replicas:
            version[1].is_sick = version[1].plot.fault == "sick_replica"

    async def play(self, begin: float, seconds: float) -> None:
        """What happens in the course of a run."""
        fault = self.cell.fault
        if fault == "slow":
            await at(begin + seconds / 3)
            for plot in self.plots:
                plot.is_late = True
        if fault.startswith("dead") and self.cell.only:
            await at(begin + seconds / 4)
            for replica in self.replicas[1]:
                replica.stop()
        if fault == "restarts":
            # One replica of either version after the other, as a rolling restart of a shared node pool does.
            for turn in range(4):
                await at(begin + seconds * (turn + 1) / 6)
                pair = [version[turn % 2] for version in self.replicas]
                for replica in pair:
                    replica.stop()
                await asyncio.sleep(min(1.0, seconds / 12))
                for replica in pair:
                    await replica.start()

    def stop(self) -> None:
        for replica in itertools.chain(*self.replicas):
            replica.stop()

    def model(self, alpha: str) -> dict:
        """The cell as Weir's configuration has it."""
        cell = self.cell
        versions = {}
        for name, replicas in zip(("v1", "v2"), self.replicas):
            version = {"endpoints": [f"127.0.0.1:{r.port}" for r in replicas]}
            if cell.is_checked:
                version["health_check"] = {"path": "/ready", "interval": "500ms", "timeout": "500ms"}
            if not cell.ejection:
                version["outlier_ejection"] = {"consecutive_failures": 0}
            if cell.fault == "overload":
                # Ten requests a second of each version: both together are less than is asked for.
                version["max_in_flight"] = 1
                version["queue"] = {"max": 4, "timeout": "100ms"}
            versions[name] = version
        model = {
            "name": cell.name,
            "match": {"path_prefix": f"/{cell.name}"},
            "versions": versions,
            "stable": "v1",
            "candidate": "v2",
            "weights": {"v2": f"{cell.weight}%"},
            "shield": cell.shield,
            "alpha": alpha,
            "timeouts": {"first_byte": "1s", "connect": "500ms"},
        }
        if not cell.retries:
            model["retries"] = {"attempts": 0}
        if cell.draw == "sticky":
            model["sticky"] = {"keys": [{"header": "x-user-id"}]}
        return model


async def at(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
