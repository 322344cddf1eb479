"""Weir as an operator meets it: metrics that Prometheus accepts, verbs, reload, drain, checks of a config."""

import json
import signal
import subprocess
import threading

import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from clients import INFER, REQUEST, Load, ask_many, infer
from processes import HERE, Process, accepts, answers, free_port, wait_until
from weir import BINARY, iris_model

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def test_prometheus_accepts_the_metrics(iris, weir, tmp_path):
    proxy = weir([iris_model(iris, weights={"v2": "20%"})])
    ask_many(proxy.url, 200)
    kind, text = proxy.metrics()
    assert kind.startswith("text/plain")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    kind, text = proxy.metrics(OPEN_METRICS)
    assert kind.startswith("application/openmetrics-text")
    families = list(text_string_to_metric_families(text))
    assert text.endswith("# EOF\n")
    samples = [s for f in families for s in f.samples]
    successes = [s.value for s in samples if s.labels.get("outcome") == "success"]
    assert sum(successes) >= 200


def test_prometheus_scrapes_it(iris, weir, tmp_path):
    proxy = weir([iris_model(iris, weights={"v2": "20%"})])
    port = free_port()
    config = tmp_path / "prometheus.yml"
    target = f"127.0.0.1:{proxy.admin_port}"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s"},
                "scrape_configs": [{"job_name": "weir", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    prometheus = Process(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        tmp_path / "prometheus.log",
    )
    try:
        base = f"http://127.0.0.1:{port}"
        prometheus.wait_ready(lambda: answers(base + "/-/ready"), "Prometheus", 30)

        def is_up():
            reply = requests.get(base + "/api/v1/targets", timeout=60).json()
            targets = reply["data"]["activeTargets"]
            assert not any(t["lastError"] for t in targets), targets
            return any(t["health"] == "up" for t in targets)

        wait_until(is_up, "a scrape", pause=0.2)
    finally:
        prometheus.stop()


def test_an_operator_rolls_back_and_is_named(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "50%"})])
    assert set(ask_many(proxy.url, 60)) == {"v1", "v2"}
    body = {"model": "iris", "actor": "ada", "reason": "looks odd"}
    reply = requests.post(proxy.admin + "/verbs/rollback", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    assert set(ask_many(proxy.url, 100)) == {"v1"}
    assert any("ada" in e["actor"] and "looks odd" in str(e) for e in proxy.journal()), proxy.journal()


def test_a_reload_changes_weights_and_a_bad_file_changes_nothing(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "0%"})])
    assert set(ask_many(proxy.url, 60)) == {"v1"}
    proxy.reload([iris_model(iris, weights={"v2": "100%"})])
    wait_until(lambda: set(ask_many(proxy.url, 6)) == {"v2"}, "the new weights")
    proxy.reload([iris_model(iris, weights={"v2": "nonsense"})])
    proxy.wait_for("config_refused")
    assert set(ask_many(proxy.url, 60)) == {"v2"}


def test_a_reload_under_load_costs_nobody_anything(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "10%"})])
    with Load(proxy.url) as load:
        for weight in ("90%", "30%", "60%"):
            count = load.total
            proxy.reload([iris_model(iris, weights={"v2": weight})])
            wait_until(lambda: load.total > count + 150, "traffic after a reload")
    assert load.failures == []


def in_flight(proxy) -> int:
    """Requests under way, over all versions."""
    _, text = proxy.metrics(OPEN_METRICS)
    families = text_string_to_metric_families(text)
    return sum(s.value for f in families if f.name == "weir_inflight_requests" for s in f.samples)


def test_sigterm_lets_requests_finish_and_exits_0(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "100%"})])
    iris["v2"].slow_file.touch()
    ends = []

    def ask():
        with requests.Session() as session:
            ends.append(infer(session, proxy.url).status_code)

    try:
        workers = [threading.Thread(target=ask) for _ in range(4)]
        served = iris["v2"].served()
        for worker in workers:
            worker.start()
        wait_until(lambda: in_flight(proxy) == 4, "four requests under way", pause=0.005)
        proxy.signal(signal.SIGTERM)
        for worker in workers:
            worker.join()
        assert ends == [200] * 4
        assert proxy.process.child.wait(30) == 0
        assert iris["v2"].served() - served == 4
        assert not accepts(proxy.port)
    finally:
        iris["v2"].slow_file.unlink()


def test_a_config_error_names_its_place(tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text("listeners:\n  - listen: 127.0.0.1:0\nmodels:\n  - nmae: iris\n")
    done = subprocess.run([BINARY, "check", "--config", path], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert 64 <= done.returncode <= 78, said
    assert f"{path}:4:5" in said
    assert "nmae" in said and "name" in said


def test_the_configuration_in_the_readme_is_valid(tmp_path):
    readme = (HERE.parent.parent / "README.md").read_text()
    path = tmp_path / "weir.yaml"
    path.write_text(readme.split("```yaml\n")[1].split("```")[0])
    done = subprocess.run([BINARY, "check", "--config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_feedback_is_posted_from_the_command_line(iris, weir, tmp_path):
    """One by its id, a file on standard input, and what is refused by its line."""
    proxy = weir([iris_model(iris, weights={"v2": "50%"}, response_headers={"id": True})])
    with requests.Session() as session:
        ids = [infer(session, proxy.url).headers["x-weir-id"] for _ in range(3)]

    def feedback(*arguments, **settings):
        command = [BINARY, "feedback", "--admin", f"127.0.0.1:{proxy.admin_port}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **settings)

    one = feedback("--id", ids[0], "--metric", "clicks", "--value", "1")
    assert (one.returncode, one.stdout) == (0, "accepted 1\n"), one.stderr
    again = feedback("--id", ids[0], "--metric", "clicks", "--value", "true")
    assert (again.returncode, again.stdout) == (0, "duplicate 1\n"), again.stderr

    lines = "".join(json.dumps({"id": i, "metric": "clicks", "value": 1}) + "\n" for i in ids)
    piped = feedback("--file", "-", "--output", "json", input=lines)
    answer = json.loads(piped.stdout)
    assert piped.returncode == 0 and answer["accepted"] == 2 and answer["duplicate"] == 1

    file = tmp_path / "feedback.ndjson"
    file.write_text("\nno json\n" + lines)
    broken = feedback("--file", str(file))
    assert broken.returncode == 1 and broken.stdout == "duplicate 3, malformed 1\n"
    assert broken.stderr.startswith("line 2: malformed: ")

    command = [BINARY, "outcome", "--file", str(file)]
    former = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert former.returncode == 2 and "did you mean 'weir feedback'?" in former.stderr

    assert feedback("--id", ids[0]).returncode == 2
    assert feedback("--file", str(tmp_path / "missing")).returncode == 1
    proxy.process.stop()
    down = feedback("--id", ids[0], "--metric", "clicks", "--value", "1")
    assert down.returncode == 1 and "no answer from the admin API" in down.stderr
