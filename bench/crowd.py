"""What good clients get beside a crowd that begins and does not go on: the same for every proxy, in turn.

    bash bench/crowd                                        all kinds, 8 seconds each
    bash bench/crowd --kinds heads --only weir,haproxy --seconds 20 --clients 1500

Each of four good clients asks fifteen times a second on a connection that it keeps; an answer counts when
it is a whole 200 within two seconds. After anything else the client goes on with a new connection. Their
model server is a process of its own: what the crowd does to its own model server is not the proxy's doing,
and the crowd gives way to the good clients on the CPU that they share.
The last column is Weir's p99 over HAProxy's, which is not to be more than 3.
"""

import argparse
import os
import socket
import subprocess
import threading
import time

from contestants import LOAD_CPU, Contestant, Origin, find
from machine import gives_way

GOOD = b"GET /good HTTP/1.1\r\nhost: bench\r\n\r\n"
PERIOD, PATIENCE, CLIENTS = 1 / 15, 2.0, 4


def field(i: int) -> bytes:
    return b"x-filler-%02d: %s\r\n" % (i, b"f" * 985)


HEADS = b"GET /h HTTP/1.1\r\nhost: bench\r\n"
KINDS = {
    "none": b"",
    "heads": HEADS + b"".join(map(field, range(60))),  # 60 KB, unfinished
    "small heads": HEADS + field(0),
    "uploads": b"PUT /u HTTP/1.1\r\nhost: bench\r\ncontent-length: 262144\r\n\r\n" + b"u" * 200_000,
    "trailers": b"POST /t HTTP/1.1\r\nhost: bench\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    + b"".join(map(field, range(60))),
    "sent ahead": b"GET /a?bytes=4000000 HTTP/1.1\r\nhost: bench\r\n\r\n"
    + HEADS
    + b"".join(map(field, range(60))),
    "readers": b"GET /r?bytes=4000000 HTTP/1.1\r\nhost: bench\r\n\r\n",
}


def good_client(port: int, until: float, times: list, failures: list) -> None:
    peer = None
    while (begun := time.monotonic()) < until:
        try:
            if peer is None:
                peer = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.settimeout(PATIENCE)
            peer.sendall(GOOD)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += peer.recv(65536) or fail()
            head, _, body = answer.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += peer.recv(65536) or fail()
            if not head.startswith(b"HTTP/1.1 200"):
                raise OSError(head.split(b"\r\n")[0].decode())
            times.append(time.monotonic() - begun)
        except OSError as problem:
            failures.append(str(problem))
            if peer:
                peer.close()
            peer = None
        time.sleep(max(0.0, begun + PERIOD - time.monotonic()))


def fail():
    raise OSError("the connection ended")


def beside(port: int, kind: str, options) -> tuple:
    crowd = None
    if KINDS[kind]:
        crowd = subprocess.Popen(
            [os.environ["CROWD_BINARY"], str(port), str(options.clients)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=gives_way(LOAD_CPU),
        )
        crowd.stdin.write(KINDS[kind])
        crowd.stdin.close()
        crowd.stdout.readline()  # it has stood for a second
    times, failures = [], []
    until = time.monotonic() + options.seconds
    threads = [
        threading.Thread(target=good_client, args=(port, until, times, failures)) for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = b"0 0"
    if crowd:
        crowd.terminate()
        said = (crowd.stdout.read().splitlines() or [b"0 0"])[-1]
        crowd.wait()
    return sorted(times), failures, int(said.split()[1])


def at(times: list, quantile: float) -> float:
    """A quantile of sorted seconds, in milliseconds."""
    return times[min(len(times) - 1, int(len(times) * quantile))] * 1000 if times else float("nan")


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--only", default="weir,nginx,haproxy")
    parser.add_argument("--clients", type=int, default=1_500)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CPU})
    origin, good = Origin(), Origin()
    ports = {**origin.ports, "good": good.ports["stable"]}
    columns = f"{'good':>6} {'failed':>6} {'p50 ms':>8} {'p99 ms':>8} {'cut':>7} {'/ haproxy':>9}"
    print(f"{'crowd':12} {'proxy':8} {columns}")
    try:
        for kind in options.kinds.split(","):
            peer = float("nan")
            for name in sorted(options.only.split(",")):
                if name != "weir" and not find(name):
                    continue
                proxy = Contestant(name, {"crowd"}, ports)
                try:
                    times, failures, cut = beside(proxy.port, kind, options)
                finally:
                    proxy.stop()
                p50, p99 = at(times, 0.5), at(times, 0.99)
                print(
                    f"{kind:12} {name:8} {len(times):6} {len(failures):6} {p50:8.1f} {p99:8.1f} {cut:7}"
                    + (f" {p99 / peer:9.2f}" if name == "weir" else " " * 10)
                    + (f"   {max(set(failures), key=failures.count)}" if failures else ""),
                    flush=True,
                )
                if name == "haproxy":
                    peer = p99
    finally:
        origin.stop()
        good.stop()


if __name__ == "__main__":
    main()
