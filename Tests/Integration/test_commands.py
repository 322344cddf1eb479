"""The command line as an operator in a hurry meets it: broken configs, misspelt words, unknown names."""

import subprocess

import pytest

from weir import BINARY, pair


def weir_says(*arguments, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=cwd)


@pytest.mark.parametrize(
    "broken",
    [
        "models: [{ name: m, guardrails: [{ kind: eror_rate }] }]",
        "models:\n  - name: [",
        "models:\n\t- name: m",
        "listeners: [{ listen: 'no.such.host.invalid:80' }]",
    ],
)
def test_verbs_work_beside_a_config_that_is_broken_elsewhere(weir, tmp_path, broken):
    proxy = weir([pair(9, 9, weights={"v2": "20%"})])
    config = tmp_path / "broken.yaml"
    config.write_text(f"admin: {{ listen: '127.0.0.1:{proxy.admin_port}' }}\n{broken}\n")
    assert weir_says("check", "--config", config).returncode == 78
    assert weir_says("status", "--config", config).returncode == 0
    refused = weir_says("reload", "--config", config)
    assert refused.returncode == 0, refused.stderr
    done = weir_says("rollback", "m", "--config", config)
    assert done.returncode == 0, done.stderr
    assert proxy.status()["models"][0]["phase"] == "cut"


def test_an_admin_address_that_is_broken_itself_is_named(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("models: []\nadmin: { listen: nonsense }\n")
    done = weir_says("status", "--config", config)
    assert done.returncode == 78 and "weir.yaml:2:" in done.stderr and "--admin" in done.stderr


@pytest.mark.parametrize(
    "words, meant",
    [
        ("stauts", "status"),
        ("rollbck m", "rollback"),
        ("audit shwo", "audit show"),
        ("captures lst", "captures list"),
    ],
)
def test_a_misspelt_command_gets_the_one_that_was_meant(words, meant):
    done = weir_says(*words.split())
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"did you mean 'weir {meant}'?")


def test_a_word_like_no_command_gets_the_list_and_a_right_one_no_hint():
    done = weir_says("xyzzy")
    assert done.returncode == 2 and "there are run, demo, check, status" in done.stderr
    done = weir_says("rollback")
    assert done.returncode == 2 and "did you mean" not in done.stderr and "model" in done.stderr
    assert weir_says("help", "status").returncode == 0


def test_help_has_each_option_once_and_the_version_is_told():
    assert weir_says("--version").stdout.strip()
    assert weir_says().stdout == weir_says("--help").stdout
    for command in (["rollback"], ["promote"], ["captures", "list"]):
        text = weir_says(*command, "--help").stdout
        assert sum(line.strip().startswith("--version") for line in text.splitlines()) == 1, text


def test_names_that_do_not_exist_are_errors_and_empty_answers_are_not(weir):
    proxy = weir([pair(9, 9, weights={"v2": "20%"})])
    assert weir_says("rollback", "m", "--config", proxy.config_path).returncode == 0
    state = ["--state-dir", proxy.state]
    for command in (["audit", "show"], ["captures", "list"], ["captures", "export"]):
        for known in (["--cut", "cut-1"], ["--model", "m"]):
            done = weir_says(*command, *known, *state)
            assert done.returncode == 0, done.stderr
        done = weir_says(*command, "--cut", "cut-9", *state)
        assert done.returncode == 1 and "the cuts are cut-1 of m" in done.stderr
        done = weir_says(*command, "--model", "n", *state)
        assert done.returncode == 1 and "the models are m" in done.stderr
    assert weir_says("audit", "show", "--kind", "alert", *state).returncode == 0
    nowhere = weir_says("report", "--state-dir", "/nope")
    assert nowhere.returncode != 0 and "nothing was changed" not in nowhere.stderr


@pytest.mark.parametrize("words", ["rollback m", "promote m", "captures list", "captures export"])
def test_a_verb_s_version_takes_a_value(words, tmp_path):
    done = weir_says(*words.split(), "--version", "v2", cwd=tmp_path)
    assert done.returncode != 0 and "nexpected" not in done.stderr and "take" not in done.stderr, done.stderr
    assert weir_says("--version").stdout.strip()
