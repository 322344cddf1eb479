"""The cells of bench/twins: a fault, a way of drawing versions, a weight and a set of protections."""

import dataclasses
import itertools
import random

FAULTS = (
    "fails",
    "resets",
    "slow",
    "hangs",
    "bad_user",
    "dead_replica",
    "sick_replica",
    "wrong_health_path",
    "restarts",
    "overload",
)
DIFFERENCES = ("fails", "resets", "hangs", "dead", "dead_checked")
DRAWS = ("random", "sticky")
WEIGHTS = (1, 10, 50, 95)
PROTECTIONS = tuple(itertools.product((True, False), repeat=3))
USERS = 200


@dataclasses.dataclass(frozen=True)
class Cell:
    """One model. `only` says that the candidate alone has the fault."""

    fault: str
    draw: str
    weight: int
    shield: bool
    retries: bool
    ejection: bool
    only: bool = False

    @property
    def name(self) -> str:
        protections = (self.shield, self.retries, self.ejection)
        flags = "".join(letter if on else "-" for letter, on in zip("sre", protections))
        return f"{'only' if self.only else 'twin'}.{self.fault}.{self.draw}.w{self.weight}.{flags}"

    @property
    def is_checked(self) -> bool:
        """Whether endpoints have health checks."""
        return self.fault in ("wrong_health_path", "restarts", "overload", "dead_checked")


def all_twins() -> list:
    return [Cell(f, d, w, *p) for f in FAULTS for d in DRAWS for w in WEIGHTS for p in PROTECTIONS]


def all_differences() -> list:
    """One percent of a small load is too little to find anything in seconds, so it is not among these."""
    return [
        Cell(f, d, w, *p, only=True)
        for f in DIFFERENCES
        for d in DRAWS
        for w in WEIGHTS[1:]
        for p in PROTECTIONS
    ]


def sample(cells: list, count: int, chance: random.Random) -> list:
    """So many cells, as many of every fault as of any other but for one."""
    by_fault = {}
    for cell in chance.sample(cells, len(cells)):
        by_fault.setdefault(cell.fault, []).append(cell)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_fault.values()))
    return [cell for cell in turns if cell is not None][:count]
