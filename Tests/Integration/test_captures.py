"""What is kept of exchanges with real model servers: masked, bounded to their owner, around a cut, as HAR."""

import json
import stat
import subprocess

import pytest
import requests

from clients import INFER, REQUEST, ask_many
from processes import wait_until
from weir import BINARY, iris_model

SECRET = "s3cret-token"


def captures(proxy, *arguments: str) -> str:
    """What `weir captures` answers, read from the state folder of a Weir that runs."""
    command = [BINARY, "captures", *arguments, "--state-dir", str(proxy.state)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def exported(proxy, *arguments: str) -> list:
    return [json.loads(line) for line in captures(proxy, "export", *arguments).splitlines()]


def test_exchanges_are_kept_whole_and_masked(iris, weir):
    kept = {"sample": "100%", "mask": {"json": ["$.inputs[*].data", "$.outputs[*].data"]}}
    proxy = weir([iris_model(iris, weights={"v2": "50%"}, captures=kept)])
    versions = ask_many(proxy.url, 60, headers=lambda i: {"authorization": SECRET})
    wait_until(lambda: len(exported(proxy)) == 60, "60 captures")
    found = exported(proxy)
    for one in found:
        sent = json.loads(one["request"]["body"])
        assert sent["inputs"][0].pop("data") == "***"
        assert sent == {**REQUEST, "inputs": [{k: v for k, v in REQUEST["inputs"][0].items() if k != "data"}]}
        said = json.loads(one["response"]["body"])
        assert said["model_version"] == one["version"] and said["outputs"][0]["data"] == "***"
        assert one["request"]["target"] == INFER and one["outcome"] == "success"
    assert sorted(one["version"] for one in found) == sorted(versions)
    files = list((proxy.state / "captures").iterdir())
    assert files and all(SECRET not in file.read_text() for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert stat.S_IMODE((proxy.state / "captures").stat().st_mode) == 0o700
    rows = json.loads(captures(proxy, "list", "--output", "json"))
    assert {row["version"]: row["count"] for row in rows} == {v: versions.count(v) for v in ("v1", "v2")}


def test_a_cut_keeps_what_both_versions_said(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "50%"}, captures={"sample": "0%", "around_a_trip": 10})])
    ask_many(proxy.url, 400)
    assert exported(proxy) == []
    body = {"model": "iris", "actor": "test"}
    assert requests.post(proxy.admin + "/verbs/rollback", json=body, timeout=60).status_code == 200
    wait_until(lambda: exported(proxy, "--cut", "cut-1"), "captures of the cut")
    found = exported(proxy, "--cut", "cut-1")
    assert {one["version"] for one in found} == {"v1", "v2"}
    assert all(one["kept"] == "cut" and one["response"]["status"] == 200 for one in found)
    assert len(found) <= 20
    with pytest.raises(subprocess.CalledProcessError):
        exported(proxy, "--cut", "cut-2")


def test_the_http_archive_has_what_har_requires(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "50%"}, captures={"sample": "100%"})])
    ask_many(proxy.url, 10)
    wait_until(lambda: len(exported(proxy)) == 10, "10 captures")
    log = json.loads(captures(proxy, "export", "--format", "har"))["log"]
    assert log["version"] == "1.2" and {"name", "version"} <= log["creator"].keys()
    assert len(log["entries"]) == 10
    for entry in log["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= entry.keys()
        request, response = entry["request"], entry["response"]
        assert {
            "method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"
        } <= request.keys()
        assert {"mimeType", "text"} <= request["postData"].keys()
        assert {
            "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL",
            "headersSize", "bodySize",
        } <= response.keys()
        assert json.loads(response["content"]["text"])["model_name"] == "iris"
        assert request["url"] == proxy.url + INFER
        timings = entry["timings"]
        assert abs(sum(timings.values()) - entry["time"]) < 1e-6 and min(timings.values()) >= 0
