"""The models and the API server have the same verdict on manifests that nobody thought of."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings

from ballast.api.kinds import InvalidObject, Kind
from ballast.api.trainingjob import TrainingJob
from tests.integration.api.client import Objects
from tests.unit.api.builders import Manifest, training_job
from tests.unit.api.mutations import damaged


def _is_good(kind: type[Kind], manifest: Manifest) -> bool:
    try:
        kind.parse(manifest)
    except InvalidObject:
        return False
    return True


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=damaged())
def test_damaged_manifests(objects: Mapping[type[Kind], Objects], case: tuple[type[Kind], Manifest]) -> None:
    kind, manifest = case
    answer = objects[kind].create(manifest, dry_run=True, strict=True)
    assert answer.ok == _is_good(kind, manifest), answer


@pytest.mark.parametrize(
    "moment",
    [
        "2026-12-01",
        "2026-12-01 08:00:00Z",
        "2026-12-01T08:00:00",
        "2026-12-01T08:00Z",
        "2026-12-01T08:00:00+0200",
        "2026-12-01T08:00:00+02:00",
        "2026-12-01T08:00:00.123456789Z",
        "2026-12-01t08:00:00z",
        "2026-13-01T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T08:60:00Z",
        "2026-12-01T08:00:60Z",
        "tomorrow",
        "",
        [],
        {},
        1,
    ],
    ids=str,
)
def test_moments(jobs: Objects, moment: object) -> None:
    manifest = training_job(energy={"deadline": moment})
    answer = jobs.create(manifest, dry_run=True, strict=True)
    assert answer.ok == _is_good(TrainingJob, manifest), answer


@pytest.mark.parametrize(
    "name", ["a", "a" * 48, "a" * 49, "1a", "a.b", "a-", "-a", "A", "a_b", "ä", "a" * 254, "a--b"], ids=lambda n: n[:50]
)
def test_names(jobs: Objects, name: str) -> None:
    manifest = training_job(name)
    answer = jobs.create(manifest, dry_run=True, strict=True)
    assert answer.ok == _is_good(TrainingJob, manifest), answer
