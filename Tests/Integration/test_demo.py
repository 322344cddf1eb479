"""`weir demo` as a person or a program meets it: every scenario goes as it should and says what it cost."""

import json
import os
import pty
import re
import subprocess
import time

import pytest

from weir import BINARY

FIELDS = [
    "scenario",
    "bad_at_ms",
    "cut_at_ms",
    "candidate_requests_while_bad",
    "user_errors",
    "requests",
    "tripped",
    "rule",
    "promoted_at_ms",
]


def demo(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "demo", *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("scenario", ["errors", "slow", "hang", "flaky"])
def test_a_bad_candidate_is_cut_and_users_see_no_error(scenario):
    done = demo("--scenario", scenario, "--duration", "25s", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert list(summary) == FIELDS
    assert summary["scenario"] == scenario
    assert summary["tripped"] and summary["rule"]
    assert summary["bad_at_ms"] <= summary["cut_at_ms"]
    assert 0 < summary["candidate_requests_while_bad"] < summary["requests"]
    assert summary["user_errors"] == 0


def test_a_healthy_candidate_is_left_alone():
    done = demo("--scenario", "healthy", "--duration", "10s", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert list(summary) == FIELDS
    assert not summary["tripped"] and summary["rule"] is None and summary["cut_at_ms"] is None
    assert summary["user_errors"] == 0


def test_a_good_candidate_walks_to_all_traffic():
    done = demo("--scenario", "walk", "--duration", "90s", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["promoted_at_ms"] and not summary["tripped"]
    assert summary["user_errors"] == 0


def test_without_a_terminal_it_is_lines_of_plain_text():
    done = demo("--duration", "15s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1] == "as it should be"
    journal = re.search(r"^journal +(.*)$", done.stdout, re.MULTILINE)[1]
    with open(journal) as lines:
        assert "cut" in [json.loads(line)["kind"] for line in lines]


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
