"""Automatic cuts outlive kill -9 and a full disk: the short version of kill_cuts.py."""

import os
import subprocess
import sys

import pytest

from processes import HERE


def run(*arguments) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_cuts.py"), *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_cut_in_the_journal_is_forgotten_by_kill_9():
    assert "no cut was forgotten" in run("20")


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_no_cut_is_forgotten_on_a_full_disk():
    assert "no cut was forgotten" in run("6", "--full-disk")
