"""`weir demo` as a person or a program meets it: every scenario goes as it should and says what it cost."""

import json
import os
import pty
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from weir import BINARY

FIELDS = [
    "scenario",
    "bad_at_ms",
    "cut_at_ms",
    "candidate_requests_while_bad",
    "user_errors",
    "stable_alone_errors",
    "requests",
    "tripped",
    "rule",
    "promoted_at_ms",
    "clicks_posted",
    "clicks_accepted",
    "steps",
    "report",
    "ledger",
]

# Scenarios with a bad candidate, and the guardrail that has to cut it where the scenario is about one.
BAD = {
    "errors": "",
    "slow": "",
    "hang": "",
    "flaky": "",
    "trickle": "error_rate",
    "tail": "latency_p99",
    "clicks": "feedback_clicks",
    "drift": "drift_score",
}
# A demo ends at its cut; what it is given beyond that is for slow machines.
LENGTHS = {"healthy": "10s"}


def demo(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "demo", *arguments], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def ends():
    """How every scenario ended, two running at a time."""

    def run(scenario: str) -> subprocess.CompletedProcess:
        return demo("--scenario", scenario, "--duration", LENGTHS.get(scenario, "90s"), "--output", "json")

    names = [*BAD, "healthy", "walk"]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(run, names)))


def summary_of(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert list(summary) == FIELDS
    return summary


@pytest.mark.parametrize("scenario", BAD)
def test_a_bad_candidate_is_cut_and_its_errors_are_not_the_users(ends, scenario):
    summary = summary_of(ends[scenario])
    assert summary["scenario"] == scenario
    assert summary["tripped"] and summary["rule"].startswith(BAD[scenario])
    assert summary["bad_at_ms"] <= summary["cut_at_ms"]
    assert 0 < summary["candidate_requests_while_bad"] < summary["requests"]
    alone = summary["stable_alone_errors"]
    assert (alone > 0) == (scenario == "trickle")
    assert summary["user_errors"] <= alone + 5 * alone**0.5


@pytest.mark.parametrize("scenario", BAD)
def test_a_cut_ends_with_its_report(ends, scenario):
    summary = summary_of(ends[scenario])
    report, ledger = summary["report"], summary["ledger"]
    assert report["cut"] == "cut-1" and report["versions"] == ["v2"] and report["stable"] == "v1"
    assert report["guardrail"] == summary["rule"]
    # Whether stable's latency is back is a matter of the machine as well. A drift is a difference between
    # versions: nothing of stable alone says whether it is over.
    if scenario == "drift":
        assert report["recovery"]["verdict"] == "undecided"
    elif not summary["rule"].startswith("latency"):
        assert report["recovery"]["verdict"] == "recovered"
    tripped = [reading["name"] for reading in report["evidence"] if reading["verdict"] == "fail"]
    assert summary["rule"] in tripped
    # A report closes when what was under way has ended, so that whom stable rescues late is not harmed.
    assert report["completed_at"] and report["unfinished"] == 0
    # Stable answers a candidate's failures; who waited too long was harmed.
    if summary["rule"].startswith("latency"):
        assert report["harmed"] > 0
    elif scenario != "trickle":
        assert report["harmed"] == 0
    assert ledger["cuts"] == {summary["rule"]: 1} and ledger["promotions"] == 0


def test_a_grown_tail_is_not_taken_for_a_slower_median(ends):
    evidence = summary_of(ends["tail"])["report"]["evidence"]
    assert [r["verdict"] for r in evidence if r["name"].startswith("latency_p50")] == ["pass"]


def test_clicks_are_posted_feedback(ends):
    for scenario, done in ends.items():
        summary = summary_of(done)
        assert (summary["clicks_posted"] is None) == (scenario != "clicks")
    summary = summary_of(ends["clicks"])
    # More than one in eight of all requests: 30 % of stable's, less what is still to be clicked on.
    assert summary["clicks_accepted"] > summary["requests"] / 8
    assert summary["clicks_accepted"] <= summary["clicks_posted"]


def test_a_healthy_candidate_is_left_alone(ends):
    summary = summary_of(ends["healthy"])
    assert not summary["tripped"] and summary["rule"] is None and summary["cut_at_ms"] is None
    assert summary["report"] is None and summary["ledger"]["cuts"] == {}
    assert summary["user_errors"] == 0


def test_a_good_candidate_walks_to_all_traffic(ends):
    summary = summary_of(ends["walk"])
    assert summary["promoted_at_ms"] and not summary["tripped"]
    assert summary["ledger"]["promotions"] == 1 and summary["ledger"]["cuts"] == {}
    assert summary["user_errors"] == 0
    steps = summary["steps"]
    assert [step["kind"] for step in steps] == ["stage"] * 4 + ["baking", "promoted"]
    assert [step["weight"] for step in steps[:4]] == ["1%", "5%", "25%", "100%"]
    # To all traffic by the gates of the stage at 25 %.
    gates = steps[3]["evidence"]["gates"]
    assert gates and all(gate["verdict"] == "pass" for gate in gates)


def test_without_a_terminal_it_is_lines_of_plain_text():
    done = demo("--duration", "15s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1] == "as it should be"
    journal = re.search(r"^journal +(.*)$", done.stdout, re.MULTILINE)[1]
    with open(journal) as lines:
        kinds = [json.loads(line)["kind"] for line in lines]
    assert "cut" in kinds and "report" in kinds
    command = re.search(r"^report +weir (.*)$", done.stdout, re.MULTILINE)[1]
    page = subprocess.run([BINARY, *command.split()], capture_output=True, text=True, timeout=60)
    assert page.returncode == 0 and page.stdout.startswith("cut-1 of recommender: v2 cut back to v1")
    assert page.stdout in done.stdout


@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal_it_redraws_in_place(no_color):
    """A pseudo-terminal of Python's own; the whole session is read back."""
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1" if no_color else ""}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(BINARY, [BINARY, "demo", "--duration", "12s"], environment)
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        shown += piece
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    text = shown.decode()
    assert text.count("\x1b[J") > 10
    assert text.count("\x1b[?25l") == 1 and text.count("\x1b[?25h") == 1
    assert ("\x1b[1m" in text) is not no_color
    assert "as it should be" in text
