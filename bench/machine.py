"""What the kernel says about processes: CPU time, memory, and who else was on a CPU meanwhile."""

import ctypes
import os
import re
import signal
import socket

TICKS = os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None, use_errno=True)


def on_cpus(*cpus: int):
    """For `preexec_fn`: pins the child, and ends it when its parent ends."""

    def run():
        _libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        os.sched_setaffinity(0, set(cpus))

    return run


def gives_way(*cpus: int):
    """For `preexec_fn`: pinned, and running only while nobody else wants the CPU. (A task that is merely nice
    finishes its slice of some milliseconds before others get their turn.)"""
    pin = on_cpus(*cpus)

    def run():
        pin()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    return run


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found, open_ends = [], [pid]
    while open_ends:
        parent = open_ends.pop()
        found.append(parent)
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    open_ends += map(int, children.read().split())
        except OSError:
            continue
    return found


def cpu_nanos(pid: int) -> int:
    """Time on CPU of all tasks of a process and its descendants, from schedstat."""
    total = 0
    for process in family(pid):
        try:
            tasks = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{process}/task/{task}/schedstat") as stat:
                    total += int(stat.read().split()[0])
            except (OSError, IndexError):
                continue
    return total


def busy_seconds(cpu: int) -> float:
    """Time a CPU did not idle, stolen time included."""
    with open("/proc/stat") as stat:
        for line in stat:
            match = re.match(rf"cpu{cpu} (.*)", line)
            if match:
                user, nice, system, _, _, irq, soft, steal, *_ = map(int, match[1].split())
                return (user + nice + system + irq + soft + steal) / TICKS
    raise RuntimeError(f"no CPU {cpu}")


def rss_bytes(pid: int) -> int:
    total = 0
    for process in family(pid):
        with open(f"/proc/{process}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
    return total


def raise_descriptor_limit() -> int:
    """Raises the limit on open files as far as allowed and returns it."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
