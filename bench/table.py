"""The figures as Markdown: one table per scenario, and one of the targets."""

import statistics

from contestants import PEERS
from scenarios import SCENARIOS


def median(runs: list, key: str):
    values = [r[key] for r in runs]
    return statistics.median(values) if values else None


def ratio(cells: dict, name: str, other: str, mode: str, key: str = "cpu"):
    """Median over the rounds of the ratio within a round; None where one of them has no such figure."""
    if name not in cells or other not in cells:
        return None
    pairs = zip(cells[name][mode], cells[other][mode])
    ratios = [a[key] / b[key] for a, b in pairs if b[key]]
    return statistics.median(ratios) if ratios else None


def best_peer(cells: dict, mode: str) -> str | None:
    cpu = {n: median(cells[n][mode], "cpu") for n in PEERS if n in cells and cells[n][mode]}
    return min(cpu, key=cpu.get) if cpu else None


def number(value, digits: int = 2) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def added(cell: dict, direct: dict, key: str):
    pairs = [a[key] - b[key] for a, b in zip(cell["open"], direct["open"])]
    return statistics.median(pairs) if pairs else None


def row(name: str, cells: dict) -> str:
    cell, direct = cells[name], cells["direct"]
    cpu = [r["cpu"] for r in cell["closed"]]
    span = f"{statistics.median(cpu):.2f} ({min(cpu):.2f}-{max(cpu):.2f})" if cpu else "-"
    best = best_peer(cells, "closed" if cpu else "open")
    mode = "closed" if cpu else "open"
    runs = cell["closed"] + cell["open"]
    parts = [
        name + (" *" if name == best else ""),
        span,
        number(ratio(cells, name, "floor", mode)),
        number(ratio(cells, name, best, mode)) if best else "-",
        number(median(cell["closed"], "rate"), 0),
        number(median(cell["open"], "cpu"), 1),
        number(median(cell["open"], "p50"), 0),
        number(median(cell["open"], "p99"), 0),
        number(added(cell, direct, "p50"), 0),
        number(added(cell, direct, "p99"), 0),
        f"{cell['rss'] / 2**20:.1f}",
        str(sum(r["bad"] for r in runs)),
        f"{sum(r['disturbed'] for r in runs)} of {len(runs)}",
        ", ".join(f"{k} {v}" for k, v in cell["share"].items()),
    ]
    return "| " + " | ".join(parts) + " |"


HEAD = (
    "| proxy | CPU us/request (min-max) | / floor | / best peer | requests/s | CPU us at the rate | p50 us | "
    "p99 us | added p50 | added p99 | RSS MiB | bad | disturbed | reached |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
)


def scenario_table(key: str, cells: dict) -> str:
    scenario = SCENARIOS[key]
    rate = f"; fixed rate {scenario.rate:,}/s" if scenario.rate else ""
    lines = [f"\n### {key}: {scenario.title}{rate}\n", HEAD]
    lines += [row(name, cells) for name in cells if name != "direct"]
    return "\n".join(lines)


def judged(key: str, cells: dict):
    """Weir's targets in one scenario: what is compared, the bound, the figure."""
    scenario = SCENARIOS[key]
    for target in scenario.targets:
        mode = "closed" if target.figure == "closed" else "open"
        other = target.to
        if other == "best peer":
            other = best_peer(cells, mode)
        elif other == "baseline":
            other = scenario.baseline.label
        figure = "p99" if target.figure == "p99" else "cpu"
        what = {"closed": "CPU", "open": "CPU at the rate", "p99": "p99"}[target.figure]
        value = ratio(cells, "weir", other, mode, figure) if other else None
        to = f"{target.to} ({other})" if target.to != other else other
        yield f"{what} / {to}", target.at_most, value


def targets_table(results: dict) -> str:
    lines = ["\n### Targets\n", "| scenario | ratio | at most | measured | |", "|---|---|--:|--:|---|"]
    for key, cells in results["scenarios"].items():
        for what, bound, value in judged(key, cells):
            verdict = "-" if value is None else "met" if value <= bound else "missed"
            lines.append(f"| {key} | {what} | {bound:.2f} | {number(value)} | {verdict} |")
    return "\n".join(lines)


def extra_table(key: str, extra: dict) -> str:
    lines = [f"\n### {key}: {extra['title']}\n", "| " + " | ".join(extra["columns"]) + " |"]
    lines.append("|---|" + "--:|" * (len(extra["columns"]) - 1))
    for values in extra["rows"]:
        cells = [v if isinstance(v, str) else number(v, 2 if isinstance(v, float) else 0) for v in values]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render(results: dict) -> str:
    out = [targets_table(results)] if results["scenarios"] else []
    out += [scenario_table(key, cells) for key, cells in results["scenarios"].items()]
    out += [extra_table(key, extra) for key, extra in results["extras"].items()]
    machine = ", ".join(f"{k} {v}" for k, v in results["machine"].items())
    return "\n".join(out) + f"\n\n{machine}"
