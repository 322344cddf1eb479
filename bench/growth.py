"""How the cost of a request grows with the configuration: user instructions per request, by callgrind, beside
models, cohorts, versions, endpoints and header fields. None may grow worse than logarithmically, except by
what a request itself carries.
"""

import os
import sys

import callgrind
from contestants import LOAD_CPU, Origin
from machine import raise_descriptor_limit
from scenarios import Load

HEAD = """admin: { listen: 127.0.0.1:@admin@ }
state_dir: @dir@/state
listeners: [{ listen: 127.0.0.1:@port@ }]
models:
"""
ENDPOINTS = 100
# what grows: (size, arguments of `config`, kind of load)
ROWS = {
    "models": [(n, {"models": n}, "plain") for n in (1, 10, 1000)],
    "cohorts, none of which takes the request": [(n, {"cohorts": n}, "users") for n in (0, 10, 100)],
    "versions in the split": [(n, {"versions": n}, "plain") for n in (2, 10)],
    "versions in the sticky split": [(n, {"versions": n, "is_sticky": True}, "users") for n in (2, 10)],
    "endpoints of a version": [(n, {"endpoints": n}, "plain") for n in (1, ENDPOINTS)],
    "header fields, beside Host": [(n, {}, f"fields{n}") for n in (5, 100)],
}


def config(
    origin: Origin, models: int = 1, cohorts: int = 0, versions: int = 2, endpoints: int = 1, is_sticky=False
) -> str:
    """The model that is asked is the last of them."""
    out = [HEAD]
    for i in range(models - 1):
        out.append(f"  - {{ name: m{i}, match: {{ path_prefix: /v2/models/m{i} }}, stable: v1,")
        out.append(' versions: { v1: { endpoints: ["127.0.0.1:9"] } } }\n')
    addresses = ", ".join(f'"127.0.0.1:{origin.ports[f"e{i}"]}"' for i in range(endpoints))
    out.append("  - name: bench\n    match: { path_prefix: /v2/models/bench }\n    versions:\n")
    out += [f"      v{i}: {{ endpoints: [{addresses}] }}\n" for i in range(1, versions + 1)]
    names = [f"v{i}" for i in range(2, versions + 1)]
    out.append(f"    stable: v1\n    candidates: [{', '.join(names)}]\n")
    out.append(f"    weights: {{ {', '.join(f'{n}: 5%' for n in names)} }}\n")
    if is_sticky:
        out.append("    sticky: { keys: [{ header: x-user-id }] }\n")
    if cohorts:
        out.append("    cohorts:\n")
    for i in range(cohorts):
        out.append(f"      - {{ name: c{i}, when: {{ header: {{ x-user-id: nobody{i} }} }}, version: v2 }}\n")
    return "".join(out)


def main() -> None:
    raise_descriptor_limit()
    os.sched_setaffinity(0, {LOAD_CPU})
    origin = Origin([f"e{i}" for i in range(ENDPOINTS)])
    print("| what grows | size | instructions per request |\n|---|--:|--:|")
    try:
        for what, sizes in ROWS.items():
            for size, arguments, kind in sizes:
                text = config(origin, **arguments)
                value = callgrind.per_request(origin, set(), Load(kind=kind), 1, text)
                print(f"| {what} | {size:,} | {value:,.0f} |", flush=True)
    finally:
        origin.stop()


if __name__ == "__main__":
    sys.exit(main())
