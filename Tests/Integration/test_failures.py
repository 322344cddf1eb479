"""A version that dies or turns slow under load: what users see, and what Weir does about it."""

import time

from clients import Load, ask_many
from processes import wait_until
from weir import iris_model


def test_nobody_sees_a_candidate_die(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "50%"})])
    try:
        with Load(proxy.url) as load:
            wait_until(lambda: load.ends["v2"] > 50, "traffic on the candidate")
            iris["v2"].process.kill()
            after = load.total
            wait_until(lambda: load.total > after + 300, "traffic after the kill")
        assert load.failures == []
    finally:
        iris["v2"].start()
        iris["v2"].wait_ready()


SLOW_RULES = [
    {"kind": "error_rate", "worse_than_stable": True},
    {"kind": "latency", "quantile": "p90", "worse_than_stable_by": "50%", "tolerates": "0s"},
]


def test_a_slow_version_is_cut_and_stays_cut_over_a_kill(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "30%"}, guardrails=SLOW_RULES)])
    switch = iris["v2"].slow_file
    try:
        with Load(proxy.url) as load:
            # Latency is judged once v2 has been as fast as v1 for two hundred requests.
            wait_until(lambda: load.ends["v1"] > 1500, "a latency to compare with", 60)
            assert proxy.journal("cut") == []
            switch.touch()
            cut = proxy.wait_for("cut")
            seen = load.ends["v2"]
            after = load.total
            wait_until(lambda: load.total > after + 300, "traffic after the cut")
            # Only requests that were under way at the cut may still come from the candidate.
            assert load.ends["v2"] - seen <= 12
        assert load.failures == []
    finally:
        switch.unlink(missing_ok=True)
    assert "latency" in str(cut)
    assert set(ask_many(proxy.url, 60)) == {"v1"}

    proxy.process.kill()
    proxy.start()
    assert set(ask_many(proxy.url, 200)) == {"v1"}
    assert len(proxy.journal("cut")) == 1


def test_healthy_versions_are_left_alone(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "30%"}, guardrails=SLOW_RULES)])
    with Load(proxy.url) as load:
        begin = time.monotonic()
        wait_until(lambda: load.total > 2500 or time.monotonic() - begin > 12, "some traffic")
    assert load.failures == []
    assert proxy.journal("cut") == []
