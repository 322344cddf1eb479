"""Where a request's user instructions go, by function, and which system calls it makes.

    bash bench/profile split       one of get, post, split, cohort, shadow, chunked, large

Instructions: callgrind, two runs of different length, differenced. System calls: strace counts them on the
core's thread over a saturated second, which slows the proxy, so that fewer waits are seen than there are.
"""

import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import callgrind
from contestants import LOAD_CPU, Contestant, Origin
from gates import SCENARIOS, core_threads
from machine import raise_descriptor_limit
from measure import closed_loop

LINE = re.compile(r"^\s*([\d,]+) \([^)]*\)\s+(\S.*)$")


def functions(path: str) -> collections.Counter:
    """Instructions by function in a file of callgrind's."""
    command = ["callgrind_annotate", "--threshold=100", "--show=Ir", path]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = collections.Counter()
    for line in text.splitlines():
        match = LINE.match(line)
        if match and "PROGRAM TOTALS" not in line:
            name = re.sub(r"^\S*?([^/:]+:)", "", match[2].split(" [")[0])
            found[name] += int(match[1].replace(",", ""))
    return found


def instructions(origin: Origin, parts, load, rows: int) -> list:
    """Instructions per request by function, largest first, and the sum."""
    folder = tempfile.mkdtemp(prefix="weir-profile-")
    try:
        runs = [callgrind.run(origin, parts, load, s, None, f"{folder}/{s}") for s in (1, 3)]
        (short, few), (long, many) = runs
        before, after = functions(f"{folder}/1"), functions(f"{folder}/3")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    requests = many - few
    each = {name: (after[name] - before[name]) / requests for name in after}
    total = (long - short) / requests
    names = sorted(each, key=each.get, reverse=True)[:rows]
    return [("all", total)] + list(zip(demangled(names), (each[n] for n in names)))


def demangled(names: list) -> list:
    command = ["swift", "demangle", "--simplified", "--compact"]
    done = subprocess.run(command, input="\n".join(names), capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else names


def system_calls(origin: Origin, parts, load) -> list:
    """System calls per request, largest first."""
    weir = Contestant("weir", parts, origin.ports)
    try:
        closed_loop(weir.port, load, 1)
        with tempfile.NamedTemporaryFile() as out:
            thread = str(min(core_threads(weir.pid)))
            command = ["strace", "-c", "-o", out.name, "-p", thread]
            tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            done = closed_loop(weir.port, load, 1)
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            lines = open(out.name).read().splitlines()
    finally:
        weir.stop()
    calls = [line.split() for line in lines if re.match(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+\d+\s", line)]
    calls = [words for words in calls if words[-1] != "total"]
    return [(words[-1], int(words[3]) / max(1, done["requests"])) for words in calls]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/profile", description=__doc__.split("\n")[0])
    parser.add_argument("load", nargs="?", default="split", choices=list(SCENARIOS))
    parser.add_argument("--rows", type=int, default=40)
    options = parser.parse_args()
    raise_descriptor_limit()
    os.sched_setaffinity(0, {LOAD_CPU})
    origin = Origin()
    try:
        parts, load = SCENARIOS[options.load]
        print("| function | instructions per request |\n|---|--:|")
        for name, value in instructions(origin, parts, load, options.rows):
            print(f"| {name} | {value:,.0f} |")
        print("\n| system call | per request |\n|---|--:|")
        for name, value in system_calls(origin, parts, load):
            if value >= 0.01:
                print(f"| {name} | {value:.2f} |")
    finally:
        origin.stop()


if __name__ == "__main__":
    sys.exit(main())
