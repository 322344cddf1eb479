"""One hostile text through every way in, and a look at every way out: what a terminal would obey, what
reorders or hides words, and what forges a line never comes out raw; what programs read gives it back."""

import http.server
import json
import re
import socket
import subprocess
import threading

import pytest
import requests

from processes import wait_until
from weir import BINARY, Weir, endpoint

# A screen cleared, C1 and DEL, overrides and isolates, zero width, tags, separators, a forged line.
HOSTILE = (
    "x\x1b[2J\x9b31m\x7f\x08\x85\u202egnp\u2066y\u2069\u200b\ufeff\xad\u2028\u2029\U000e0041\ue000"
    ' a="b" \\\r\n2026-01-01T00:00:00Z notice FORGED'
)
# What a header can carry: no controls of ASCII, bytes beyond it as they are.
IN_A_HEADER = re.sub("[\x00-\x1f\x7f]", "", HOSTILE)
OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ue000-\uf8ff\U000e0000-\U000e0fff]"
)


class Hostile(http.server.BaseHTTPRequestHandler):
    """A model server, a registry and a sink at once: the path says which."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.split("?")[0]
        if path == "/version":
            self.say(200, {"release": HOSTILE})
        elif path.startswith("/v2/models/"):
            tensor = {"name": HOSTILE, "datatype": HOSTILE, "shape": [1] * 5000}
            self.say(200, {"name": "m", "inputs": [tensor], "outputs": [tensor]})
        elif path.startswith("/api/2.0/mlflow"):
            self.say(500, {"error_code": HOSTILE, "message": HOSTILE})
        elif path in ("/hook", "/health"):
            self.say(503, HOSTILE)
        else:
            self.say(200, {"answer": HOSTILE})

    do_POST = do_GET

    def say(self, status, body):
        content = json.dumps(body, ensure_ascii=False).encode() if isinstance(body, dict) else body.encode()
        self.send_response_only(status, "OK")
        head = f"content-length: {len(content)}\r\nx-said: {IN_A_HEADER}\r\n"
        self._headers_buffer.append((head + "content-type: application/json\r\n").encode())
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A Weir whose every peer is hostile, after a verb, a cut and requests of a hostile client."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    peer = endpoint(server.server_port)
    folder = tmp_path_factory.mktemp("foreign")
    common = {
        "stable": "v1",
        "captures": {"sample": "100%"},
        "sticky": {"keys": [{"header": "x-user"}, {"cookie": "uid"}, {"query": "user"}]},
        "values": {"score": {"response": "$.answer"}, "said": {"response_header": "x-said"}},
    }
    healthy = {v: {"endpoints": [peer]} for v in ("v1", "v2")}
    check = {"path": "/health", "interval": "50ms"}
    checked = {v: {"endpoints": [peer], "health_check": check} for v in ("v1", "v2")}
    stages = {"stages": [{"weight": "1%"}, {"weight": "100%"}]}
    # The file is JSON, and YAML has no pairs of surrogates.
    name = HOSTILE.replace("\U000e0041", "")
    source = {"url": f"http://{peer}", "model": name, "alias": "challenger", "every": "1s"}
    source["versions"] = {"1": "v2"}
    models = [
        {"name": "named", "match": {"path_prefix": "/named"}, "versions": healthy, "candidate": "v2",
         "weights": {"v2": "50%"}, **common},
        {"name": "asked", "match": {"path_prefix": "/asked"}, "versions": healthy, "candidate": "v2",
         "preflight": {"identity": {"path": "/version", "json": "$.release"}, "every": "1s"},
         "rollout": stages, **common},
        {"name": "signed", "match": {"path_prefix": "/signed"}, "candidate": "v2", "rollout": stages,
         "versions": {"v1": {"endpoints": [peer]}, "v2": {"endpoints": [peer]}},
         "preflight": {"identity": {"path": "/", "header": "x-said"}, "every": "1s"}, **common},
        {"name": "listed", "match": {"path_prefix": "/listed"}, "versions": healthy,
         "candidate": {"mlflow": source}, **common},
        {"name": "sick", "match": {"path_prefix": "/sick"}, "versions": checked, "candidate": "v2",
         "weights": {"v2": "50%"}, **common},
    ]  # fmt: skip
    one = Weir(
        folder,
        models,
        access_log={"path": str(folder / "access.jsonl"), "sample": "100%"},
        actions=[{"name": "hook", "webhook": {"url": f"http://{peer}/hook"}, "retry": {"pause": "100ms"}}],
        trusted_proxies=["127.0.0.1"],
    )
    one.peer = peer
    try:
        attack(one)
        yield one
    finally:
        one.process.stop()
        server.shutdown()


def attack(one):
    names = ("x-user", "x-request-id", "traceparent", "user-agent", "x-weir-version")
    fields = "".join(f"{name}: {IN_A_HEADER}\r\n" for name in names) + f"cookie: uid={IN_A_HEADER}\r\n"
    body = HOSTILE.encode()
    for model in ("named", "asked", "signed", "listed", "sick"):
        # A target is ASCII, or the request is refused; fields are not.
        head = (
            f"POST /{model}/%e2%80%ae%c2%9b?user=%e2%81%a6%9b HTTP/1.1\r\nhost: h\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n{fields}\r\n"
        )
        with socket.create_connection(("127.0.0.1", one.port), timeout=60) as s:
            s.sendall(head.encode() + body)
            got = b"".join(iter(lambda: s.recv(65536), b""))
        assert got.startswith(b"HTTP/1.1 200 ") or model == "sick", got
    for word, body in {
        "hold": {"reason": HOSTILE.replace("\n", "").replace("\r", "")},
        "rollback": {"reason": cleaned(), "actor": cleaned(), "request_id": cleaned()},
        "pause": {"model": cleaned()},
        "promote": {"version": cleaned()},
    }.items():
        said = requests.post(one.admin + "/verbs/" + word, json={"model": "named", **body}, timeout=60)
        assert (said.status_code == 200) == (word == "rollback"), (word, said.text)
    wait_until(lambda: one.journal("action_failed"), "a webhook's answer in the journal")
    wait_until(lambda: one.journal("preflight"), "a preflight's finding in the journal")
    wait_until(lambda: (one.folder / "access.jsonl").read_text().count("\n") >= 5, "the access log")
    wait_until(lambda: run(one, "captures", "list", offline=True).stdout, "captures")
    ready = one.admin + "/readyz"
    wait_until(lambda: "cannot be asked" in requests.get(ready, timeout=60).text, "the registry's answer")


def cleaned() -> str:
    """What a verb takes: its texts have no control of ASCII."""
    return IN_A_HEADER


def run(one, *words, offline=False, **more):
    place = ["--state-dir", str(one.state)] if offline else ["--admin", f"127.0.0.1:{one.admin_port}"]
    return subprocess.run([BINARY, *words, *place], capture_output=True, text=True, timeout=60, **more)


def check(text: str, what: str):
    found = OBEYED.search(text.replace("\n", ""))
    assert not found, f"{what}: {found.group()!r} in {text[max(0, found.start() - 80) : found.end() + 80]!r}"
    for line in text.splitlines():
        assert not line.startswith("2026-01-01T00:00:00Z"), f"{what}: a forged line"


def test_every_page_of_the_command_line_is_safe(world):
    pages = {
        "status": run(world, "status"),
        "status json": run(world, "status", "--output", "json"),
        "report": run(world, "report"),
        "report json": run(world, "report", "--output", "json"),
        "ledger": run(world, "report", "--all"),
        "audit": run(world, "audit", "show", offline=True),
        "audit json": run(world, "audit", "show", "--output", "json", offline=True),
        "verify": run(world, "audit", "verify", offline=True),
        "captures": run(world, "captures", "list", offline=True),
        "captures json": run(world, "captures", "list", "--output", "json", offline=True),
        "export": run(world, "captures", "export", offline=True),
        "har": run(world, "captures", "export", "--format", "har", offline=True),
        "a verb": run(world, "rollback", "named", "--reason", cleaned()),
        "a refused verb": run(world, "promote", "named", "--version", cleaned()),
        "an unknown model": run(world, "rollback", HOSTILE.replace("\x00", "")),
        "an unknown option": run(world, "status", "--" + cleaned()),
        "explain": run(
            world, "explain", "--config", str(world.config_path), "--path", "/named/\x9b\u202e",
            "--header", "x-user: " + HOSTILE, "--header", "x-weir-version: " + HOSTILE,
        ),
    }  # fmt: skip
    for what, done in pages.items():
        assert done.stdout or done.stderr, what
        check(done.stdout, what)
        check(done.stderr, what)
    assert "says it is x\\u001b[2J\\u009b31m" in pages["audit"].stdout
    for what in ("status json", "report json", "captures json", "har"):
        json.loads(pages[what].stdout)
    exported = [json.loads(line) for line in pages["export"].stdout.splitlines()]
    assert any(one["request"]["body"] == HOSTILE for one in exported)
    said = [json.loads(one["response"]["body"]) for one in exported if one["status"] == 200]
    assert any(one["answer"] == HOSTILE for one in said)


def test_every_answer_of_the_admin_api_is_safe(world):
    for path in ("/livez", "/readyz", "/status", "/reports", "/ledger", "/metrics"):
        said = requests.get(world.admin + path, timeout=60)
        check(said.content.decode(), path)
    ready = requests.get(world.admin + "/readyz", timeout=60).text
    assert len(ready.splitlines()) == 1 and "cannot be asked" in ready
    reports = requests.get(world.admin + "/reports", timeout=60).json()["reports"]
    assert reports[0]["cut_reason"] == cleaned() and cleaned() in reports[0]["cut_by"]
    for body in ({"model": cleaned()}, {cleaned(): 1}, {"model": "named", "version": cleaned()}):
        said = requests.post(world.admin + "/verbs/rollback", json=body, timeout=60)
        assert said.status_code >= 400
        check(said.content.decode(), str(body))
    lines = json.dumps({"id": HOSTILE, "metric": HOSTILE, "value": HOSTILE}) + "\n" + HOSTILE
    kind = {"content-type": "application/x-ndjson"}
    said = requests.post(world.admin + "/feedback", data=lines.encode(), headers=kind, timeout=60)
    check(said.content.decode(), "feedback")


def test_every_file_is_safe_and_what_programs_read_is_whole(world):
    journal = (world.state / "journal.jsonl").read_bytes().decode()
    access = (world.folder / "access.jsonl").read_bytes().decode()
    log = (world.folder / "log").read_bytes().decode()
    for what, text in {"journal": journal, "access log": access, "log": log}.items():
        check(text, what)
    for file in (world.state / "captures").iterdir():
        check(file.read_bytes().decode(), file.name)
    assert any(event["reason"] == cleaned() for event in world.journal("cut"))
    ids = [json.loads(line)["request_id"] for line in access.splitlines()]
    assert any(one and one.startswith("x[2J\x9b31m\x85\u202egnp") for one in ids), ids
    # One event, one line, each with its time and level.
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ [a-z]+ ", line) for line in log.splitlines()), log


def test_a_page_of_an_old_journal_or_of_another_server_is_safe(world, tmp_path):
    # Raw, as an earlier release wrote it.
    line = {"seq": 1, "at": "2026-11-01T00:00:00Z", "kind": "cut", "model": "m", "actor": IN_A_HEADER}
    line["reason"] = IN_A_HEADER
    (tmp_path / "journal.jsonl").write_text(json.dumps({**line, "prev": "0" * 64}, ensure_ascii=False) + "\n")
    for words in (["audit", "show"], ["audit", "show", "--output", "json"], ["audit", "verify"], ["report"]):
        done = subprocess.run([BINARY, *words, "--state-dir", tmp_path], capture_output=True, text=True)
        check(done.stdout + done.stderr, " ".join(words))
    # Not a Weir at all.
    for words in (["status"], ["report"], ["rollback", "m"]):
        done = subprocess.run([BINARY, *words, "--admin", world.peer], capture_output=True, text=True)
        assert done.stdout + done.stderr
        check(done.stdout + done.stderr, " ".join(words))
