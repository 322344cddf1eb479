"""The servers by themselves: what the other tests take for granted about them."""

import time

import requests
from websockets.sync.client import connect

from clients import INFER, REQUEST, stream


def test_each_mlserver_answers_with_its_own_version(iris):
    for version, server in iris.items():
        before = server.served()
        reply = requests.post(f"http://127.0.0.1:{server.port}{INFER}", json=REQUEST, timeout=60)
        assert reply.status_code == 200
        assert reply.json()["model_version"] == version
        assert server.served() == before + 1


def test_an_mlserver_turns_slow_while_the_file_exists(iris):
    server = iris["v2"]
    url = f"http://127.0.0.1:{server.port}{INFER}"
    server.slow_file.touch()
    try:
        begin = time.monotonic()
        assert requests.post(url, json=REQUEST, timeout=60).status_code == 200
        assert time.monotonic() - begin >= 0.25
    finally:
        server.slow_file.unlink()


def test_litserve_streams_words_one_by_one(words):
    arrivals, _ = stream(f"http://127.0.0.1:{words}", 5)
    assert len(arrivals) == 5
    assert arrivals[-1] - arrivals[0] > 0.15


def test_the_echo_echoes(echo):
    with connect(f"ws://127.0.0.1:{echo}/") as socket:
        socket.send("weir")
        assert socket.recv() == "weir"
