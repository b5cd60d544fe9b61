"""The catalogue: what `--policy` offers."""

from __future__ import annotations

import pytest

from ballast.decide.model.prior import PRIOR
from ballast.simulate.policies.briefing import Briefing
from ballast.simulate.policies.catalogue import POLICIES
from tests.unit.simulate.policies.views import SPEEDS, cluster, job, starts

GIVEN = Briefing(0, SPEEDS)


@pytest.mark.parametrize("name", POLICIES)
def test_an_arm_is_listed_under_its_own_name_and_says_where_it_is_from(name: str) -> None:
    policy = POLICIES[name](GIVEN)
    assert policy.name == name
    assert len(policy.reference) > 20
    assert POLICIES[name].description.endswith(".")
    assert "\n" not in POLICIES[name].description


@pytest.mark.parametrize("name", POLICIES)
def test_each_call_makes_a_fresh_one(name: str) -> None:
    assert POLICIES[name](GIVEN) is not POLICIES[name](GIVEN)


@pytest.mark.parametrize("name", POLICIES)
def test_every_arm_starts_a_job_on_an_empty_cluster(name: str) -> None:
    where = cluster(v100=1, a40=1).waiting(job("a", 2))
    assert set(starts(POLICIES[name](GIVEN).decide(where.view))) == {"a"}


def test_only_one_of_them_keeps_the_slowdown() -> None:
    keeps = [name for name, make in POLICIES.items() if make(GIVEN).keeps_slowdown]
    assert keeps == ["pinned-to-fastest-per-job-limit-margin"]


def test_priors_are_the_operators_own_arm_to_use() -> None:
    priors = {"even": PRIOR}
    told = [
        name for name, make in POLICIES.items() if make(GIVEN).reference != make(Briefing(0, SPEEDS, priors)).reference
    ]
    assert told == ["ballast", "ballast-told-durations"]
