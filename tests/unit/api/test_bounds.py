"""What the CRDs bound, the models bound as well, so that a simulated job meets the same limits."""

from __future__ import annotations

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from ballast.api.trainingjob import TrainingJob
from tests.unit.api.bounds import SAYS, Bound, all_bounds
from tests.unit.api.builders import TRAINER, put, training_job
from tests.unit.api.kinds import COMPLETE
from tests.unit.api.rules import all_rules

_BOUNDS = all_bounds()
_RULES = {rule.message for kind in KINDS for rule in all_rules(kind)}


@pytest.mark.parametrize("bound", _BOUNDS, ids=str)
def test_model_refuses_what_the_crd_refuses(bound: Bound) -> None:
    with pytest.raises(bound.kind.invalid) as caught:
        bound.kind.parse(bound.broken())
    assert any(problem.field.startswith(bound.field) for problem in caught.value.problems), caught.value


_REACHED = [bound for bound in _BOUNDS if bound.just_kept() is not None]


@pytest.mark.parametrize("bound", _REACHED, ids=str)
def test_model_accepts_all_that_the_crd_accepts(bound: Bound) -> None:
    manifest = bound.just_kept()
    assert manifest is not None
    try:
        bound.kind.parse(manifest)
    except bound.kind.invalid as invalid:
        # A value at its bound may be wrong beside others, but not by itself.
        assert all(problem.remedy in _RULES for problem in invalid.problems), invalid  # noqa: PT017


@pytest.mark.parametrize("count", [1, 999, "1", "999"])
def test_gpu_counts_reach_the_bounds_of_the_crd(count: int | str) -> None:
    resources = {"requests": {"nvidia.com/gpu": count}, "limits": {"nvidia.com/gpu": count}}
    TrainingJob.parse(put(training_job(), (*TRAINER, "resources"), resources))
    bounds = {bound.keyword: bound.value for bound in _BOUNDS if "x-kubernetes-int-or-string" in bound.schema}
    assert (bounds["minimum"], bounds["maximum"], bounds["maxLength"]) == (1, 999, 3)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_complete_manifest_is_good(kind: type[Kind]) -> None:
    kind.parse(COMPLETE[kind]())


def test_the_schemas_use_every_kind_of_bound_that_is_known() -> None:
    assert {bound.keyword for bound in _BOUNDS} == set(SAYS)
