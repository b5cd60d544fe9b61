"""Profiles reach the jobs of their key and GPU model, in their namespace or in all, and no others (G7)."""

from __future__ import annotations

import pytest

from ballast.api.energyprofile import EnergyProfile, EnergyProfileStatus
from ballast.decide.actions import WriteProfile
from ballast.decide.learning.profile_keys import profile_name
from ballast.decide.measurement import Learned
from ballast.observe.boards import Boards
from ballast.observe.energy_profiles import EnergyProfiles, Workload
from ballast.observe.timers import FIRST_RETRY_SECONDS
from tests.unit.observe.learned import MODEL, profile

SHARED = "ballast-system"
TEAM = Workload("team", "resnet", MODEL)
OTHERS = Workload("others", "resnet", MODEL)
BOARDS = Boards(MODEL, (100.0, 300.0), 1_740_000_000, 30.0)


def profiles(**wanted: Workload) -> EnergyProfiles:
    found = EnergyProfiles(SHARED)
    for job, workload in wanted.items():
        found.want(job, workload)
    return found


def learned(known: EnergyProfiles, workload: Workload = TEAM) -> Learned:
    return known.learned(workload, BOARDS)


def limits(found: EnergyProfile | None) -> list[float]:
    return [] if found is None else [point.power_limit_watts for point in found.spec.points]


def write(namespace: str = "team") -> WriteProfile:
    spec = EnergyProfile.parse(profile(150)).spec
    return WriteProfile(namespace, "resnet", None, spec, EnergyProfileStatus())


def test_nothing_is_known_at_first_but_the_boards() -> None:
    assert learned(profiles()) == Learned("resnet", MODEL, BOARDS.range, 1_740_000_000)


def test_a_profile_is_of_its_own_namespace() -> None:
    known = profiles(train=TEAM, other=OTHERS)
    assert known.put(profile(150)) == ("train",)
    assert limits(learned(known).own) == [150]
    assert learned(known, OTHERS).own is None
    assert learned(known, OTHERS).shared is None


@pytest.mark.parametrize("else_where", [TEAM._replace(profile_key="bert"), TEAM._replace(gpu_model="Tesla-V100")])
def test_another_key_or_gpu_model_is_another_workload(else_where: Workload) -> None:
    known = profiles(train=else_where)
    assert known.put(profile(150)) == ()
    assert learned(known, else_where).own is None


def test_what_an_admin_shares_is_for_all_and_never_written() -> None:
    known = profiles(train=TEAM, other=OTHERS)
    assert set(known.put(profile(150, namespace=SHARED))) == {"train", "other"}
    for workload in (TEAM, OTHERS):
        found = learned(known, workload)
        assert (found.own, limits(found.shared), found.writing) == (None, [150], False)
    of_the_operators = learned(known, TEAM._replace(namespace=SHARED))
    assert (of_the_operators.own, limits(of_the_operators.shared)) == (None, [150])
    assert of_the_operators.writing, "there nobody but the admin writes"


def test_without_a_namespace_for_it_nothing_is_shared() -> None:
    known = EnergyProfiles()
    known.put(profile(150, namespace=SHARED))
    assert learned(known).shared is None


def test_a_profile_that_is_gone_is_news() -> None:
    known = profiles(train=TEAM)
    known.put(profile(150))
    assert known.remove("uid-of-team-resnet") == ("train",)
    assert learned(known).own is None
    assert known.remove("uid-of-team-resnet") == ()


def test_a_profile_that_cannot_be_read_any_more_tells_nothing_and_whoever_runs_the_operator_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = profiles(train=TEAM)
    known.put(profile(150))
    assert known.put(profile(-1, version=2)) == ("train",)
    assert learned(known).own is None
    [record] = caplog.records
    assert "correct or delete it" in record.message
    assert "team/resnet" in record.error  # type: ignore[attr-defined]


def test_only_what_matters_is_news() -> None:
    known = profiles(train=TEAM)
    known.put(profile(150, samples=4))
    assert known.put(profile(150, samples=5, version=2)) == (), "one more sample that says the same"
    assert known.put(profile(150, samples=8, version=3)) == ("train",), "it is much surer now"
    assert known.put(profile(150, 200, samples=8, version=4)) == ("train",)
    moved = profile(150, 200, samples=8, version=5)
    moved["spec"]["points"][0]["wattsPerGpu"] *= 1.004
    assert known.put(moved) == ()
    moved["spec"]["points"][0]["stepsPerSecond"] *= 1.01
    assert known.put(moved) == ("train",)


def test_a_job_that_is_gone_or_runs_elsewhere_is_told_nothing() -> None:
    known = profiles(train=TEAM)
    known.want("train", OTHERS)
    assert known.put(profile(150)) == ()
    known.want("train", TEAM)
    known.want("train", None)
    assert known.put(profile(150, 200, version=2)) == ()


def test_of_several_that_one_counts_which_the_operator_makes() -> None:
    known = profiles()
    for name, limit in (("a-copy", 150), (profile_name("resnet", MODEL), 200), ("b-copy", 250)):
        known.put(profile(limit, name=name))
    assert limits(learned(known).own) == [200]
    known.remove(f"uid-of-team-{profile_name('resnet', MODEL)}")
    assert limits(learned(known).own) == [150]


def test_a_write_is_assumed_until_its_answer_is_there() -> None:
    known = profiles(train=TEAM, other=OTHERS)
    known.assume(write())
    assert (learned(known).writing, learned(known, OTHERS).writing) == (True, False)
    assert known.settle(write()) == ("train",)
    assert not learned(known).writing


def test_a_write_that_failed_rests_longer_each_time() -> None:
    known = profiles(train=TEAM)
    now = 0.0
    for pause in (FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS):
        known.assume(write())
        known.reject(write(), now)
        assert learned(known).writing
        assert known.next_due() == now + pause
        assert known.rested(now + pause / 2) == []
        now += pause
        assert known.rested(now) == ["train"]
        assert not learned(known).writing
    known.settle(write())
    known.reject(write(), now)
    assert known.next_due() == now + FIRST_RETRY_SECONDS


def test_failures_are_forgotten_with_the_last_job() -> None:
    known = profiles(train=TEAM)
    known.reject(write(), 0)
    known.rested(FIRST_RETRY_SECONDS)
    known.want("train", None)
    known.reject(write(), 10)
    assert known.next_due() is None, "nobody is left to learn it from"
    known.want("train", TEAM)
    known.reject(write(), 10)
    assert known.next_due() == 10 + FIRST_RETRY_SECONDS
