"""The command line as an operator in a hurry meets it: broken configs, misspelt words, unknown names."""

import pathlib
import subprocess

import pytest

from processes import free_port
from weir import BINARY, endpoint, pair

ROOT = pathlib.Path(__file__).parents[2]


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


@pytest.mark.parametrize("page", ["README.md", "Sources/Sidecar/Sidecar.docc/WalkThrough.md"])
def test_check_passes_what_a_page_prints(tmp_path, page):
    text = (ROOT / page).read_text()
    (tmp_path / "weir.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    done = weir_says("check", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("weir.yaml: fine"), done.stderr


def test_a_missing_file_is_an_error_of_check_and_a_warning_of_run(weir, tmp_path):
    model = pair(9, 9, preflight={"warm_up": {"requests": 1, "file": "warm.jsonl"}})
    proxy = weir([model])
    missing = f"the file does not exist: '{proxy.folder}/warm.jsonl'"
    done = weir_says("check", "--config", proxy.config_path, cwd=tmp_path)
    assert done.returncode == 78 and missing in done.stderr, done.stderr
    assert weir_says("check", "--elsewhere", "--config", proxy.config_path).returncode == 0
    assert weir_says("check", "--elsewhere", "--here", "--config", proxy.config_path).returncode == 2
    assert missing in (proxy.folder / "log").read_text()
    done = weir_says("reload", "--config", proxy.config_path)
    assert done.returncode == 0 and missing in done.stderr, done.stderr
    (proxy.folder / "warm.jsonl").write_text('{"path": "/"}\n')
    assert weir_says("check", "--config", proxy.config_path, cwd=tmp_path).returncode == 0


def test_status_of_an_unknown_model_names_the_known_ones_and_a_shadow_is_shown(weir):
    proxy = weir([pair(9, 9, shadow={"version": "v2", "percent": "10%"})])
    done = weir_says("status", "n", "--config", proxy.config_path)
    assert done.returncode == 1 and "the models are m" in done.stderr, done.stderr
    assert "The address is" not in done.stderr
    done = weir_says("status", "m", "--config", proxy.config_path)
    assert done.returncode == 0 and "shadow: 10% copied to v2" in done.stdout, done.stdout


@pytest.mark.parametrize("verb", ["start", "approve", "skip", "hold", "retry"])
def test_what_only_a_rollout_takes_says_so_where_weights_are_fixed(weir, verb):
    proxy = weir([pair(9, 9, weights={"v2": "20%"})])
    done = weir_says(verb, "m", "--config", proxy.config_path)
    assert done.returncode == 1 and f"fixed weights and no rollout, so {verb} moves" in done.stderr
    assert "Only for a model with a rollout" in weir_says(verb, "--help").stdout


def test_who_gets_no_answer_reads_where_the_address_is_from(tmp_path):
    nobody = endpoint(free_port())
    config = tmp_path / "weir.yaml"
    config.write_text(f"admin: {{ listen: '{nobody}' }}\n")
    done = weir_says("status", cwd=tmp_path)
    assert done.returncode == 1 and "The address is admin in weir.yaml; a Weir" in done.stderr
    done = weir_says("status", "--admin", nobody, cwd=tmp_path)
    assert done.returncode == 1 and "The address is" not in done.stderr
    config.write_text(f"admim: {{ listen: '{nobody}' }}\n")
    done = weir_says("rollback", "m", cwd=tmp_path)
    origin = "The address is the default, because admin is not set in weir.yaml (it has 'admim')"
    assert done.returncode == 1 and "127.0.0.1:9902" in done.stderr and origin in done.stderr, done.stderr


def test_a_folder_that_does_not_exist_is_an_error_of_what_reads_it(tmp_path):
    for command in (["captures", "list"], ["captures", "export"], ["audit", "verify"], ["audit", "show"]):
        done = weir_says(*command, "--state-dir", "none", cwd=tmp_path)
        assert done.returncode == 1 and "there is no folder 'none'" in done.stderr, done.stderr
        done = weir_says(*command, cwd=tmp_path)
        assert done.returncode == 2 and "--state-dir" in done.stderr, done.stderr
    done = weir_says("report", "--state-dir", "none", cwd=tmp_path)
    assert done.returncode == 1 and "there is no folder 'none'" in done.stderr, done.stderr


def test_explain_says_whose_split_it_shows(weir):
    proxy = weir([pair(9, 9, weights={"v2": "20%"})])
    note = "from the config, not from a running Weir"
    explain = ("explain", "--config", proxy.config_path)
    for command in (explain, (*explain, "--admin", endpoint(proxy.admin_port))):
        live = weir_says(*command)
        assert live.returncode == 0 and note not in live.stdout, live.stderr
        assert "split in force" in live.stdout
    assert note in weir_says(*explain, "--config-only").stdout
    proxy.process.stop()
    gone = weir_says(*explain)
    assert gone.returncode == 0 and note in gone.stdout, gone.stderr


def test_a_cut_off_journal_without_head_and_state_is_not_called_intact(weir):
    proxy = weir([pair(9, 9, weights={"v2": "20%"})])
    assert weir_says("rollback", "m", "--config", proxy.config_path).returncode == 0
    proxy.process.stop()
    journal = proxy.state / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:1]))
    (proxy.state / "journal.head").unlink()
    (proxy.state / "rollouts.json").unlink()
    done = weir_says("audit", "verify", "--state-dir", proxy.state)
    assert done.returncode == 4 and "intact as far as can be told" in done.stdout, done.stdout
