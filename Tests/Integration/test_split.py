"""Who gets which version: measured with real model servers on both sides of the split."""

import collections
import time

from clients import CHI_SQUARE_MAX, ask_many, chi_square
from processes import wait_until
from weir import iris_model


def test_a_split_has_its_weights(iris, weir):
    before = {v: s.served() for v, s in iris.items()}
    proxy = weir([iris_model(iris, weights={"v2": "20%"})])
    versions = collections.Counter(ask_many(proxy.url, 1500))
    assert chi_square(versions, {"v1": 0.8, "v2": 0.2}) < CHI_SQUARE_MAX, versions
    for version, server in iris.items():
        assert server.served() - before[version] == versions[version]


def test_a_user_keeps_a_version(iris, weir):
    proxy = weir([iris_model(iris, weights={"v2": "40%"}, sticky={"keys": [{"header": "x-user-id"}]})])
    users = 250
    versions = ask_many(proxy.url, 4 * users, headers=lambda i: {"x-user-id": f"user-{i % users}"})
    of_user = [set(versions[user::users]) for user in range(users)]
    assert all(len(seen) == 1 for seen in of_user)
    counts = collections.Counter(seen.pop() for seen in of_user)
    assert chi_square(counts, {"v1": 0.6, "v2": 0.4}) < CHI_SQUARE_MAX, counts


def test_a_ramp_moves_users_only_towards_the_candidate(iris, weir):
    def model(weight):
        return iris_model(iris, weights={"v2": weight}, sticky={"keys": [{"header": "x-user-id"}]})

    users = 200
    proxy = weir([model("20%")])
    headers = lambda i: {"x-user-id": f"user-{i}"}
    before = ask_many(proxy.url, users, headers=headers)
    proxy.reload([model("60%")])
    wait_until(lambda: ask_many(proxy.url, users, headers=headers).count("v2") > users * 0.4, "the ramp")
    after = ask_many(proxy.url, users, headers=headers)
    assert all(b == "v2" for a, b in zip(before, after) if a == "v2")


def test_a_cohort_comes_before_weights(iris, weir):
    cohort = {"name": "staff", "when": {"header": {"x-staff": "true"}}, "version": "v2"}
    proxy = weir([iris_model(iris, weights={"v2": "0%"}, cohorts=[cohort])])
    versions = ask_many(proxy.url, 120, headers=lambda i: {"x-staff": "true"} if i % 3 == 0 else {})
    assert all(v == ("v2" if i % 3 == 0 else "v1") for i, v in enumerate(versions))


def test_a_shadow_gets_a_copy_and_answers_nobody(iris, weir):
    model = iris_model(iris, weights={"v2": "0%"}, shadow={"version": "v2", "percent": "100%"})
    proxy = weir([model])
    before = iris["v2"].served()
    assert set(ask_many(proxy.url, 300)) == {"v1"}
    wait_until(lambda: iris["v2"].served() - before == 300, "the last shadow copy")


def test_a_slow_shadow_slows_nobody(iris, weir):
    model = iris_model(iris, weights={"v2": "0%"}, shadow={"version": "v2", "percent": "100%"})
    proxy = weir([model])

    def asked() -> float:
        begin = time.monotonic()
        assert set(ask_many(proxy.url, 120, threads=3)) == {"v1"}
        return time.monotonic() - begin

    quick = asked()
    iris["v2"].slow_file.touch()
    try:
        # Three clients that waited 0.25 s for each of 120 copies would take ten seconds more.
        assert asked() < quick + 5
    finally:
        iris["v2"].slow_file.unlink()
