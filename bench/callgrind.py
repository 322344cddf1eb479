"""User instructions per request, by callgrind: two runs of different length, differenced, so that start-up
cancels out. The figure hardly depends on the machine, nor on who else uses it.
"""

import glob
import pathlib
import re
import shutil
import subprocess
import tempfile

import contestants
from contestants import Contestant, Origin
from measure import closed_loop
from scenarios import Load

# Only a core's thread runs this function.
CORE = "$s5Proxy4CoreC14readDownstream"


def per_request(origin: Origin, parts, load: Load, seconds: int = 2, config: str | None = None) -> float:
    """Instructions of the core's thread per request."""
    runs = [run(origin, parts, load, s, config) for s in (seconds, 3 * seconds)]
    (short, few), (long, many) = runs
    return (long - short) / (many - few)


def run(
    origin: Origin, parts, load: Load, seconds: int, config: str | None, keep: str | None = None
) -> tuple:
    """Instructions of the core's thread, and the requests that were served. `keep`: where its file stays."""
    folder = tempfile.mkdtemp(prefix="weir-callgrind-")
    # Debian 12's valgrind does not read the compiler's debug information, and does not need it.
    program = f"{folder}/weir"
    subprocess.run(["strip", "--strip-debug", "-o", program, contestants.find("weir")], check=True)
    command = ["valgrind", "--tool=callgrind", "--separate-threads=yes"]
    command += [f"--callgrind-out-file={folder}/out", program]
    try:
        weir = Contestant("weir", parts, origin.ports, config=config, command=command, patience=120)
        try:
            done = closed_loop(weir.port, load, seconds)
        finally:
            weir.stop(patience=60)
        if done["bad"]:
            raise RuntimeError(f"{done['bad']} requests failed")
        for path in glob.glob(f"{folder}/out*"):
            text = pathlib.Path(path).read_text()
            found = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if found and CORE in text:
                if keep:
                    shutil.copy(path, keep)
                return int(found[1]), done["requests"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    raise RuntimeError("callgrind wrote nothing of a core")
