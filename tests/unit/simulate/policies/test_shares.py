"""The linear program of maximum total throughput, where its answer is known."""

from __future__ import annotations

import itertools

import pytest

from ballast.errors import UserError
from ballast.simulate.policies.packing import Room
from ballast.simulate.policies.shares import Group, best_shares
from tests.unit.simulate.policies.views import SPEEDS, cluster

ONE_OF_EACH = Room.of(cluster(v100=1, a40=1).view)


def shares(*groups: Group, room: Room = ONE_OF_EACH) -> dict[tuple[Group, str], float]:
    return {key: round(value, 6) for key, value in best_shares(groups, SPEEDS, room).items()}


def test_each_kind_gets_the_gpu_model_on_which_it_gains_most() -> None:
    likes_v100, likes_a40 = Group("likes-v100", 1, "", 8), Group("likes-a40", 1, "", 8)
    assert shares(likes_v100, likes_a40) == {(likes_v100, "V100"): 8, (likes_a40, "A40"): 8}


def test_a_full_gpu_model_overflows_to_the_other() -> None:
    likes_a40 = Group("likes-a40", 1, "", 10)
    assert shares(likes_a40) == {(likes_a40, "A40"): 8, (likes_a40, "V100"): 2}


def test_what_gains_more_from_the_scarce_gpu_model_pushes_the_other_out() -> None:
    even, likes_a40 = Group("even", 1, "", 8), Group("likes-a40", 1, "", 8)
    assert shares(even, likes_a40) == {(even, "V100"): 8, (likes_a40, "A40"): 8}


def test_no_more_gpus_are_given_than_there_are_and_no_job_more_than_all_of_its_time() -> None:
    kinds = ("even", "likes-v100", "likes-a40")
    groups = [Group(kind, gpus, "", 3) for kind, gpus in itertools.product(kinds, (1, 2, 4, 8))]
    found = best_shares(groups, SPEEDS, ONE_OF_EACH)
    for model in ("V100", "A40"):
        used = sum(share * group.gpus for (group, on), share in found.items() if on == model)
        assert used == pytest.approx(8)
    for group in groups:
        assert sum(share for (one, _), share in found.items() if one is group) <= 3 + 1e-6


def test_a_gpu_model_with_too_few_gpus_for_a_job_is_left_out() -> None:
    large = Group("likes-a40", 16, "", 1)
    assert shares(large, room=Room.of(cluster(v100=2, a40=1).view)) == {(large, "V100"): 1}
    assert shares(large) == {}


def test_among_equals_the_oldest_come_first() -> None:
    old, young = Group("even", 8, "", 2), Group("even", 1, "", 16)
    assert shares(old, young) == {(old, "A40"): 1, (old, "V100"): 1}
    assert sum(shares(young, old)[young, model] for model in ("A40", "V100")) == 16


def test_among_equals_running_jobs_stay_where_they_are() -> None:
    waits, runs = Group("even", 1, "", 8), Group("even", 1, "V100", 8)
    assert shares(waits, runs) == {(waits, "A40"): 8, (runs, "V100"): 8}
    only_v100 = Room.of(cluster(v100=1).view)
    assert shares(waits, runs, room=only_v100) == {(runs, "V100"): 8}


def test_a_kind_without_a_speed_is_named_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"'unknown' on GPU model 'A40': give curves"):
        shares(Group("unknown", 1, "", 1))
