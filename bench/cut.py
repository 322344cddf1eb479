"""From a verdict to the last request that the candidate is assigned, on all cores under full load.

A candidate whose port is closed takes half of a saturating load until a guardrail trips. The journal says
when the tick began that read the counters and came to the verdict; the access log, which keeps every request
here, says when each one was assigned: its end less its total time. Both read one wall clock.
"""

import datetime
import json
import statistics
import time

from contestants import ALLOWED, Contestant
from machine import free_port
from measure import closed_loop
from scenarios import Load

CONFIG = """admin: { listen: 127.0.0.1:@admin@ }
state_dir: @dir@/state
access_log: { path: @dir@/access.log, sample: 100% }
listeners: [{ listen: 127.0.0.1:@port@ }]
models:
  - name: bench
    match: { path_prefix: / }
    versions:
      v1: { endpoints: ["127.0.0.1:@stable@"] }
      v2: { endpoints: ["127.0.0.1:@closed@"] }
    stable: v1
    candidate: v2
    weights: { v2: 50% }
"""


def micros(text: str) -> float:
    """Microseconds since 1970 of an RFC 3339 time in UTC."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6


def one(origin) -> tuple:
    """Microseconds from the tick of the verdict to the last assignment, and how many came in between."""
    config = CONFIG.replace("@closed@", str(free_port()))
    weir = Contestant("weir", set(), origin.ports, ALLOWED, config)
    try:
        closed_loop(weir.port, Load(), 1)
        time.sleep(0.5)
        with open(weir.dir / "state" / "journal.jsonl") as journal:
            cuts = [e for e in map(json.loads, journal) if e["kind"] == "cut"]
        if not cuts:
            raise RuntimeError("no cut within a second of full load")
        verdict = micros(cuts[0]["at"])
        assigned = []
        with open(weir.dir / "access.log") as log:
            for line in log:
                if '"version":"v2"' in line:
                    record = json.loads(line)
                    assigned.append(micros(record["time"]) - record["total_us"])
        after = [a for a in assigned if a > verdict]
        return max(assigned) - verdict, len(after)
    finally:
        weir.stop()


def cuts(names: list, origin, options) -> dict:
    found = [one(origin) for _ in range(2 if options.quick else 7)]
    delays = [delay / 1000 for delay, _ in found]
    row = ["weir", min(delays), statistics.median(delays), max(delays), max(n for _, n in found), 1]
    columns = ["proxy", "least ms", "median ms", "most ms", "assigned in between, most", "target ms"]
    title = "from the tick of a verdict to the candidate's last assignment, under full load"
    return {"title": title, "columns": columns, "rows": [row]}
