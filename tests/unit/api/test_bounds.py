"""What the CRD bounds, the models bound as well, so that a simulated job meets the same limits."""

from __future__ import annotations

import pytest

from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from tests.unit.api.bounds import SAYS, Bound, all_bounds, spelled
from tests.unit.api.builders import ITEM, Manifest, complete_job, put, training_job

# Only the API server merges lists by key, so only it needs the keys to be distinct.
_BOUNDS = [bound for bound in all_bounds() if bound.keyword != "x-kubernetes-list-type"]


@pytest.mark.parametrize("bound", _BOUNDS, ids=str)
def test_model_refuses_what_the_crd_refuses(bound: Bound) -> None:
    TrainingJob.parse(complete_job())
    with pytest.raises(InvalidTrainingJob) as caught:
        TrainingJob.parse(bound.broken())
    path = (*bound.path, bound.value) if bound.keyword == "required" else bound.path
    assert any(problem.field == spelled(path) for problem in caught.value.problems), caught.value


_REACHED = [(str(bound), manifest) for bound in _BOUNDS if (manifest := bound.just_kept()) is not None]


@pytest.mark.parametrize("manifest", [manifest for _, manifest in _REACHED], ids=[name for name, _ in _REACHED])
def test_model_accepts_all_that_the_crd_accepts(manifest: Manifest) -> None:
    TrainingJob.parse(manifest)


@pytest.mark.parametrize("count", [1, 999, "1", "999"])
def test_gpu_counts_reach_the_bounds_of_the_crd(count: int | str) -> None:
    resources = {"requests": {"nvidia.com/gpu": count}, "limits": {"nvidia.com/gpu": count}}
    path = ("spec", "template", "spec", "containers", ITEM, "resources")
    TrainingJob.parse(put(training_job(), path, resources))
    bounds = {bound.keyword: bound.value for bound in _BOUNDS if "x-kubernetes-int-or-string" in bound.schema}
    assert (bounds["minimum"], bounds["maximum"], bounds["maxLength"]) == (1, 999, 3)


def test_the_schema_uses_every_kind_of_bound_that_is_known() -> None:
    assert {bound.keyword for bound in all_bounds()} == set(SAYS)
