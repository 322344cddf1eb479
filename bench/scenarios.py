"""What is compared: loads, configurations, and the targets that Weir is held to."""

from dataclasses import dataclass, field

PATH = "/v2/models/bench/infer"


@dataclass(frozen=True)
class Load:
    method: str = "GET"
    body: int = 0
    path: str = PATH
    kind: str = "plain"
    connections: int = 32


@dataclass(frozen=True)
class Target:
    """A bound on a ratio of Weir's figure in one round; `to` is a contestant, "best peer" or "baseline"."""

    to: str
    at_most: float
    figure: str = "closed"


@dataclass(frozen=True)
class Variant:
    """Weir in another configuration, run in the same rounds as the base of a ratio."""

    label: str
    parts: frozenset = frozenset()
    origins: dict = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Scenario:
    title: str
    parts: frozenset = frozenset()
    load: Load = Load()
    closed: bool = True
    rate: int = 0
    open_connections: int = 64
    origins: dict = field(default_factory=dict, hash=False)
    cores: int = 1
    baseline: Variant | None = None
    among: tuple = ()
    targets: tuple = ()


SPLIT = frozenset({"split"})
SHADOW = frozenset({"split", "shadow"})
COHORT = frozenset({"split", "cohort"})
POST = Load("POST", 1024)

SCENARIOS = {
    "S1": Scenario(
        "GET, 1 KB answer",
        rate=2000,
        targets=(
            Target("best peer", 0.83),
            Target("floor", 1.15),
            Target("best peer", 0.95, "open"),
        ),
    ),
    "S2": Scenario(
        "POST 1 KB, 1 KB answer", load=POST, targets=(Target("best peer", 0.70), Target("floor", 1.15))
    ),
    "S3": Scenario(
        "GET, split 95/5",
        parts=SPLIT,
        baseline=Variant("weir without a split"),
        targets=(Target("best peer", 0.83), Target("baseline", 1.03)),
    ),
    "S5": Scenario(
        "GET, cohort header and sticky split 95/5, 10,000 users",
        parts=COHORT,
        load=Load(kind="users"),
        targets=(Target("best peer", 0.78),),
    ),
    "S4": Scenario(
        "POST 1 KB, split 95/5, and a copy of every request to a shadow",
        parts=SHADOW,
        load=POST,
        rate=1000,
        targets=(Target("best peer", 0.45),),
    ),
    "S4s": Scenario(
        "as S4, the shadow answers after 50 ms",
        parts=SHADOW,
        load=Load("POST", 1024, connections=64),
        rate=1000,
        origins={"shadow": "slow"},
        baseline=Variant("weir, shadow at once", SHADOW),
        targets=(Target("baseline", 1.1, "open"), Target("baseline", 1.05, "p99")),
    ),
    "S4d": Scenario(
        "as S4, the shadow never answers",
        parts=SHADOW,
        load=Load("POST", 1024, connections=64),
        closed=False,
        rate=1000,
        origins={"shadow": "dead"},
        baseline=Variant("weir, shadow at once", SHADOW),
        targets=(Target("baseline", 1.1, "open"), Target("baseline", 1.05, "p99")),
    ),
    "S9": Scenario("POST 64 KB, 1 KB answer", load=Load("POST", 65536), targets=(Target("best peer", 0.80),)),
    "S10": Scenario(
        "GET, 1 MB answer",
        load=Load(path=PATH + "?bytes=1048576", connections=8),
        rate=100,
        targets=(Target("best peer", 0.95),),
    ),
    "S12": Scenario(
        "GET, upstream takes 20 ms, 256 connections",
        closed=False,
        rate=2000,
        open_connections=256,
        origins={"stable": "late"},
        targets=(Target("best peer", 0.85, "open"),),
    ),
    "L1": Scenario(
        "GET, 1 connection",
        load=Load(connections=1),
        among=("weir", "floor", "haproxy", "nginx"),
        targets=(Target("haproxy", 0.90),),
    ),
    "L8": Scenario(
        "GET, 8 connections",
        load=Load(connections=8),
        among=("weir", "floor", "haproxy", "nginx"),
        targets=(Target("haproxy", 0.90),),
    ),
    "unix": Scenario(
        "POST 1 KB, Unix-socket upstream",
        parts=frozenset({"unix"}),
        load=POST,
        baseline=Variant("weir over TCP"),
        among=("weir",),
        targets=(Target("baseline", 0.90),),
    ),
    "cores": Scenario(
        "POST 1 KB, two cores (they share theirs with the load)",
        load=POST,
        cores=2,
        baseline=Variant("weir on one core"),
        among=("weir",),
        targets=(Target("baseline", 1.05),),
    ),
}

# The rows S6 to S8 (TLS, HTTP/2, gRPC) come with their protocols: one part in configs/ and one entry here.
QUICK = ["S1", "S2", "S3", "S4"]
