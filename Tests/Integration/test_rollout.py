"""Staged rollouts in front of real model servers: the way up, the way back, and what stops either."""

import json
import subprocess

import requests

from clients import Load, ask_many, infer
from processes import wait_until
from weir import BINARY, iris_model

# The p99 of a busy machine is nobody's fault: these tests are about stages.
ERRORS = [{"kind": "error_rate", "worse_than_stable": True}]


def climbing(iris, *stages, preflight=None, runbook_url=None, **rollout):
    extra = {k: v for k, v in {"preflight": preflight, "runbook_url": runbook_url}.items() if v}
    return iris_model(
        iris,
        guardrails=ERRORS,
        cool_down="0s",
        response_headers={"epoch": True},
        rollout={"stages": list(stages), **rollout},
        **extra,
    )


def verb(proxy, *words, code=0):
    """A verb of the command line; its answer."""
    done = subprocess.run(
        [BINARY, *words, "--admin", f"127.0.0.1:{proxy.admin_port}", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else {}


def model(proxy, name="iris"):
    return next(m for m in proxy.status()["models"] if m["name"] == name)


def epoch(proxy):
    with requests.Session() as session:
        return int(infer(session, proxy.url).headers["x-weir-epoch"])


def test_a_good_candidate_walks_all_the_way(iris, weir):
    stages = [
        {"weight": "10%", "min_requests": 30},
        {"weight": "50%", "hold": "1s", "min_requests": 100},
        {"weight": "100%"},
    ]
    proxy = weir([climbing(iris, *stages, bake="1s", hold_back="10%")])
    with Load(proxy.url) as load:
        promoted = proxy.wait_for("promoted")
        assert promoted["version"] == "v2"
        wait_until(lambda: epoch(proxy) >= 5, "the epoch after four steps and a promotion")
    assert load.failures == []
    kinds = [e["kind"] for e in proxy.journal() if e["kind"] in ("stage", "baking", "promoted")]
    assert kinds == ["stage", "stage", "stage", "baking", "promoted"] or kinds == [
        "stage", "stage", "baking", "promoted",
    ]
    first = proxy.journal("stage")[1]
    assert first["evidence"]["requests"] >= 30
    assert set(ask_many(proxy.url, 60)) == {"v2"}


def test_a_stage_waits_for_an_approval(iris, weir):
    proxy = weir([climbing(iris, {"weight": "20%", "approval": "required"}, {"weight": "100%"})])
    with Load(proxy.url) as load:
        wait_until(lambda: load.ends["v2"] > 20, "traffic on the candidate")
        wait_until(
            lambda: any("approve" in reason for reason in model(proxy)["rollout"]["waiting_for"]),
            "the rollout to wait for an approval",
        )
        assert "approve" in subprocess.run(
            [BINARY, "status", "--admin", f"127.0.0.1:{proxy.admin_port}"], capture_output=True, text=True
        ).stdout
        assert proxy.journal("promoted") == []
        verb(proxy, "approve", "iris", "--reason", "looks right")
        proxy.wait_for("promoted")
    assert load.failures == []


def test_a_bad_candidate_is_cut_and_only_a_retry_starts_it_again(iris, weir):
    proxy = weir([climbing(iris, {"weight": "30%", "hold": "1h"}, {"weight": "100%"})])
    try:
        with Load(proxy.url) as load:
            wait_until(lambda: load.ends["v2"] > 50, "traffic on the candidate")
            before = epoch(proxy)
            iris["v2"].process.kill()
            cut = proxy.wait_for("cut")
            wait_until(lambda: epoch(proxy) > before, "another epoch")
        assert load.failures == []
        assert cut["versions"] == ["v2"] and model(proxy)["phase"] == "cut"
    finally:
        iris["v2"].start()
        iris["v2"].wait_ready()
    assert set(ask_many(proxy.url, 100)) == {"v1"}
    verb(proxy, "retry", "iris", "--reason", "the server had died")
    with Load(proxy.url) as load:
        wait_until(lambda: load.ends["v2"] > 20, "traffic on the candidate again")
    assert model(proxy)["rollout"]["attempt"] == 2
    assert load.failures == []


def test_a_kill_in_a_stage_neither_restarts_nor_skips_it(iris, weir):
    proxy = weir([climbing(iris, {"weight": "20%", "min_requests": 1000000}, {"weight": "100%"})])
    with Load(proxy.url) as load:
        wait_until(lambda: load.ends["v2"] > 30, "traffic on the candidate")
    seen = wait_until(lambda: (model(proxy)["rollout"]["seen"] or {}).get("requests"), "counted requests")
    # What was seen is saved every ten seconds.
    assert seen >= 1
    proxy.process.kill()
    proxy.start()
    after = model(proxy)
    assert (after["phase"], after["rollout"]["stage"]) == ("stage", 1)
    assert after["rollout"]["id"] == "rollout-1"
    assert after["weights"]["v2"] == "20%"
    assert len(proxy.journal("stage")) == 1
    assert ask_many(proxy.url, 200).count("v2") > 10


def test_a_version_that_is_not_what_it_claims_gets_no_traffic(iris, weir):
    def claiming(identity):
        found = climbing(
            iris,
            {"weight": "50%"},
            preflight={"identity": {"path": "/v2/models/iris", "json": "$.name"}, "every": "1s"},
        )
        for version, said in zip(("v1", "v2"), identity):
            found["versions"][version]["identity"] = said
        return found

    proxy = weir([claiming(("iris", "another model"))])
    failed = proxy.wait_for("preflight")
    assert "says it is iris; expected another model" in failed["reason"]
    assert set(ask_many(proxy.url, 100)) == {"v1"}
    assert model(proxy)["phase"] == "waiting"
    proxy.reload([claiming(("iris", "iris"))])
    wait_until(lambda: model(proxy)["phase"] == "stage", "the first stage")
    assert ask_many(proxy.url, 200).count("v2") > 50


def test_signatures_are_compared_and_a_cold_candidate_is_warmed_up(iris, weir, tmp_path):
    from clients import INFER, REQUEST

    lines = tmp_path / "warm.jsonl"
    lines.write_text(json.dumps({"path": INFER, "body": REQUEST}) + "\n")
    before = iris["v2"].served()
    preflight = {"signatures": {"model": "iris"}, "warm_up": {"requests": 25, "file": str(lines)}}
    proxy = weir([climbing(iris, {"weight": "50%"}, preflight=preflight)])
    wait_until(lambda: model(proxy)["phase"] == "stage", "the first stage")
    assert iris["v2"].served() - before == 25


def test_models_of_a_group_are_cut_together(iris, weir):
    two = []
    for name in ("iris", "other"):
        one = iris_model(iris, weights={"v2": "50%"}, guardrails=ERRORS)
        one["name"] = name
        one["match"] = {"path_prefix": "/v2/models/iris" if name == "iris" else "/other"}
        two.append(one)
    proxy = weir(two, groups=[{"name": "pair", "models": ["iris", "other"]}])
    verb(proxy, "rollback", "iris", "--reason", "a schema that does not fit")
    wait_until(lambda: model(proxy, "other")["phase"] == "cut", "the cut of the other model")
    assert "group pair" in model(proxy, "other")["last_cut"]["reason"]
    assert proxy.wait_for("group")["left"] == []


def test_nothing_is_promoted_in_a_blackout(iris, weir):
    now = {"from": "2020-01-01", "to": "2120-01-01"}
    proxy = weir([climbing(iris, {"weight": "50%"}, blackout=[now])])
    waiting = wait_until(lambda: model(proxy)["rollout"]["waiting_for"], "a reason to wait")
    assert any("blackout" in reason for reason in waiting)
    assert set(ask_many(proxy.url, 100)) == {"v1"}
    assert model(proxy)["phase"] == "waiting"


def test_an_experiment_keeps_its_split_and_a_stage_asks_for_users(iris, weir):
    shape = climbing(iris, {"weight": "30%", "min_keys": 40}, {"weight": "100%"})
    shape["sticky"] = {"keys": [{"header": "x-user-id"}]}
    proxy = weir([shape])
    wait_until(lambda: model(proxy)["phase"] == "stage", "the first stage")
    ask_many(proxy.url, 600, headers=lambda i: {"x-user-id": f"user-{i % 30}"})
    assert model(proxy)["rollout"]["stage"] == 1
    ask_many(proxy.url, 600, headers=lambda i: {"x-user-id": f"user-{i % 300}"})
    proxy.wait_for("promoted")
