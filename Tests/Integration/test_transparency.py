"""What passes through: the same answers as without Weir, streams as they come, upgrades, large bodies."""

import json

import pytest
import requests
from websockets.sync.client import connect

from clients import INFER, REQUEST, curl, stream
from weir import endpoint, iris_model

POST = ["-d", json.dumps(REQUEST), "-H", "content-type: application/json"]
CASES = {
    "metadata": ["/v2/models/iris"],
    "not found": ["/v2/models/iris/versions/9/ready"],
    "wrong method": ["-X", "DELETE", INFER],
    "infer": [*POST, INFER],
    "not JSON": ["-d", "{", "-H", "content-type: application/json", INFER],
    "chunked": ["-H", "transfer-encoding: chunked", *POST, INFER],
    "expects continue": ["-H", "expect: 100-continue", *POST, INFER],
    "HTTP/1.0": ["--http1.0", *POST, INFER],
    "query": ["/v2/models/iris/ready?a=%20b&c=/..;x"],
}


@pytest.mark.parametrize("case", CASES)
def test_an_answer_is_the_servers_own(iris, weir, case):
    proxy = weir([iris_model(iris, weights={"v2": "0%"})])
    *options, path = CASES[case]
    shown = ["-w", "\n%{http_code} %{content_type}"]
    direct = curl(*options, *shown, f"http://127.0.0.1:{iris['v1'].port}{path}")
    through = curl(*options, *shown, proxy.url + path)
    assert through == direct


def test_head_has_a_length_and_no_body(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "0%"})])
    path = "/v2/models/iris"
    direct = requests.head(f"http://127.0.0.1:{iris['v1'].port}{path}", timeout=60)
    through = requests.head(proxy.url + path, timeout=60)
    assert (through.status_code, through.text) == (direct.status_code, "")


def one_version(name: str, port: int, **settings) -> dict:
    return {
        "name": name,
        "match": {"path_prefix": "/"},
        "versions": {"v1": {"endpoints": [endpoint(port)]}},
        "stable": "v1",
        **settings,
    }


def test_streamed_words_come_one_by_one(words, weir):
    proxy = weir([one_version("words", words)])
    arrivals, text = stream(proxy.url, 8)
    assert text.split() == b"the flow over a weir the flow over".split()
    assert len(arrivals) == 8
    gaps = [b - a for a, b in zip(arrivals, arrivals[1:])]
    assert max(gaps) < 0.2, gaps


def test_a_websocket_passes_after_the_servers_101(echo, weir):
    proxy = weir([one_version("echo", echo)])
    with connect(f"ws://127.0.0.1:{proxy.port}/chat", max_size=4 << 20) as socket:
        for message in ["weir", b"\x00\xff" * 500_000, "", "ünïcödé"]:
            socket.send(message)
            assert socket.recv() == message


def test_a_large_body_passes_whole(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "0%"})])
    rows = 40_000
    request = {
        "inputs": [
            {"name": "x", "shape": [rows, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2] * rows}
        ]
    }
    reply = requests.post(proxy.url + INFER, json=request, timeout=60)
    assert reply.status_code == 200
    assert reply.json()["outputs"][0]["data"] == [0] * rows
