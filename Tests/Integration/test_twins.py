"""Identical servers with the same faults are not cut, and a candidate that alone is bad is: cells of
bench/twins, drawn by a seed, each a model of its own in one Weir.
"""

import os
import pathlib
import random
import sys
import time

import pytest

from weir import BINARY

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "bench"))

import twin_cells
import twins

SECONDS = 15
# Twins are cut with a chance of alpha at most; at 0.1 % a sample of them is not cut by chance.
ALPHA = "0.1%"


@pytest.fixture(scope="module")
def results():
    seed = int(os.environ.get("WEIR_SEED", time.time_ns() % 1_000_000))
    print(f"WEIR_SEED={seed}")
    chance = random.Random(seed)
    cells = twin_cells.sample(twin_cells.all_twins(), 36, chance)
    cells += twin_cells.sample([c for c in twin_cells.all_differences() if c.weight < 95], 10, chance)
    return twins.run(BINARY, cells, SECONDS, 15, seed, ALPHA, len(cells))


def test_twins_are_not_cut(results):
    cells = [r for r in results if not r.cell.only]
    assert len({r.cell.fault for r in cells}) == len(twin_cells.FAULTS)
    assert all(r.requests > 0 for r in cells)
    assert [f"{r.cell.name}: {r.reason}" for r in cells if r.rule] == []


def test_a_candidate_that_alone_is_bad_is_cut(results):
    cells = [r for r in results if r.cell.only]
    assert len({r.cell.fault for r in cells}) == len(twin_cells.DIFFERENCES)
    assert [r.cell.name for r in cells if not r.rule] == []
