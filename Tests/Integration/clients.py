"""Requests and small clients that the tests share. The clients are python requests and curl."""

import collections
import subprocess
import threading
import time

import requests

INFER = "/v2/models/iris/infer"
REQUEST = {
    "id": "r-1",
    "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}],
}


def infer(session: requests.Session, url: str, **headers) -> requests.Response:
    return session.post(url + INFER, json=REQUEST, headers=headers, timeout=60)


def version_of(reply: requests.Response) -> str:
    """The version that answered, by Weir's header and by the model server's own body, which must agree."""
    assert reply.status_code == 200, reply.text
    version = reply.headers["x-weir-version"]
    assert reply.json()["model_version"] == version
    return version


def ask_many(url: str, count: int, threads: int = 6, headers=lambda i: {}) -> list:
    """`count` requests by several kept-alive clients; the version that answered each, by request number."""
    versions = [None] * count
    problems = []

    def run(first: int) -> None:
        try:
            with requests.Session() as session:
                for i in range(first, count, threads):
                    versions[i] = version_of(infer(session, url, **headers(i)))
        except Exception as problem:
            problems.append(problem)

    workers = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if problems:
        raise problems[0]
    return versions


def stream(url: str, tokens: int) -> tuple:
    """When each chunk of a stream came, and the text. A client that slept over a chunk's time sees two as
    one: it asks again."""
    for _ in range(5):
        with requests.post(url + "/predict", json={"tokens": tokens}, stream=True, timeout=60) as reply:
            arrivals, text = [], b""
            for chunk in reply.iter_content(None):
                if chunk:
                    arrivals.append(time.monotonic())
                text += chunk
        gaps = [b - a for a, b in zip(arrivals, arrivals[1:])]
        if len(arrivals) == tokens and max(gaps) < 0.2:
            break
    return arrivals, text


class Crew:
    """Threads that run `ask` until the block ends."""

    def __init__(self, ask, threads: int):
        self.stopping = threading.Event()
        self.workers = [threading.Thread(target=ask) for _ in range(threads)]

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for worker in self.workers:
            worker.join()


class Load(Crew):
    """Clients that ask without pause until told to stop, and remember every end."""

    def __init__(self, url: str, threads: int = 6):
        self.ends = collections.Counter()
        self.failures = []
        self.lock = threading.Lock()
        super().__init__(lambda: self._run(url), threads)

    def _run(self, url: str) -> None:
        with requests.Session() as session:
            while not self.stopping.is_set():
                try:
                    end = version_of(infer(session, url))
                except Exception as problem:
                    end = "failed"
                    with self.lock:
                        self.failures.append(f"{time.monotonic():.3f} {problem!r}"[:500])
                with self.lock:
                    self.ends[end] += 1

    @property
    def total(self) -> int:
        with self.lock:
            return sum(self.ends.values())


def chi_square(observed: dict, expected_shares: dict) -> float:
    """Pearson's statistic of counts against shares."""
    total = sum(observed.values())
    return sum(
        (observed.get(k, 0) - share * total) ** 2 / (share * total) for k, share in expected_shares.items()
    )


# With one degree of freedom a fair split exceeds this once in 10,000 runs.
CHI_SQUARE_MAX = 15.14


def curl(*arguments, input: bytes = b"") -> bytes:
    """curl's standard output; a failure of curl itself is one of the test."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "30", *map(str, arguments)],
        input=input,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
