"""The API server refuses what the models refuse, in words that name the field, and accepts the rest."""

from __future__ import annotations

import pytest

from tests.integration.api.client import TrainingJobs
from tests.unit.api.bounds import SAYS, Bound, all_bounds
from tests.unit.api.broken_rules import BROKEN_RULES, BrokenRule
from tests.unit.api.builders import Manifest, complete_job, put, training_job
from tests.unit.api.examples import example_jobs

_BOUNDS = all_bounds()
_EXAMPLES = example_jobs()
_OF_SPEC = [bound for bound in _BOUNDS if bound.path[:1] != ("status",)]


@pytest.mark.parametrize("bound", _OF_SPEC, ids=str)
def test_every_bound_of_the_spec_rejects(jobs: TrainingJobs, bound: Bound) -> None:
    answer = jobs.create(bound.broken(), dry_run=True)
    assert answer.status == 422, answer
    assert any(cause.startswith(bound.blamed_field) and SAYS[bound.keyword] in cause for cause in answer.causes), answer


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=lambda broken: str(broken.why))
def test_every_rule_rejects(jobs: TrainingJobs, broken: BrokenRule) -> None:
    answer = jobs.create(broken.manifest, dry_run=True)
    assert answer.status == 422, answer
    (cause,) = answer.causes
    assert broken.says in cause


@pytest.mark.parametrize(
    "manifest",
    [training_job(), complete_job(), training_job("a" * 48), training_job(launcher="torchrun", replicas=1024)],
    ids=["smallest", "complete", "longest-name", "largest-gang"],
)
def test_good_manifests_are_accepted(jobs: TrainingJobs, manifest: Manifest) -> None:
    answer = jobs.create(manifest, dry_run=True)
    assert answer.ok, answer


@pytest.mark.parametrize("manifest", _EXAMPLES.values(), ids=_EXAMPLES.keys())
def test_examples_are_accepted(jobs: TrainingJobs, manifest: Manifest) -> None:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
    answer = jobs.create(manifest | {"metadata": metadata}, dry_run=True)
    assert answer.ok, answer


def test_defaults_are_filled_in_and_the_template_is_left_as_written(jobs: TrainingJobs) -> None:
    manifest = training_job()
    manifest["spec"]["template"]["spec"] |= {"tolerations": [{"operator": "Exists"}], "volumes": []}
    manifest["spec"]["template"]["metadata"] = {"labels": {"team": "vision"}}
    answer = jobs.create(manifest, dry_run=True)
    assert answer.ok, answer
    assert answer.body["spec"] == {
        "replicas": 1,
        "launcher": "none",
        "checkpointGraceSeconds": 120,
        "energy": {"objective": "MinimizeEnergy", "maxSlowdownPercent": 10},
        "template": manifest["spec"]["template"],
    }


def test_gpus_as_text_and_as_number_are_equal(jobs: TrainingJobs) -> None:
    path = ("spec", "template", "spec", "containers", "[]", "resources")
    resources = {"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": "2"}}
    assert jobs.create(put(training_job(), path, resources), dry_run=True).ok


@pytest.mark.parametrize("count", ["1.5", "1k", "500m"])
def test_odd_gpu_counts_are_rejected(jobs: TrainingJobs, count: str) -> None:
    path = ("spec", "template", "spec", "containers", "[]", "resources")
    answer = jobs.create(put(training_job(), path, {"limits": {"nvidia.com/gpu": count}}), dry_run=True)
    assert answer.status == 422, answer
    assert "resources.limits.nvidia.com/gpu" in answer.causes[0]
