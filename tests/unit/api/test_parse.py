"""Reading a TrainingJob: defaults, exactness, and errors that a person can act on."""

from __future__ import annotations

import copy

import pytest

from ballast.api.jobstatus import Phase
from ballast.api.trainingjob import InvalidTrainingJob, Launcher, Objective, TrainingJob
from ballast.errors import BallastError, RetryableError, UserError
from tests.unit.api.builders import complete_job, put, training_job

_RESOURCES = ("spec", "template", "spec", "containers", 0, "resources")


def test_defaults() -> None:
    job = TrainingJob.parse(training_job())
    assert job.spec.replicas == 1
    assert job.spec.launcher is Launcher.NONE
    assert job.spec.checkpoint_grace_seconds == 120
    assert job.spec.energy.objective is Objective.MINIMIZE_ENERGY
    assert job.spec.energy.max_slowdown_percent == 10
    assert job.status.phase is Phase.PENDING


def test_key_is_namespace_and_name() -> None:
    assert TrainingJob.parse(put(training_job("a"), ("metadata", "namespace"), "team")).key == ("team", "a")


@pytest.mark.parametrize(("limit", "gpus"), [(2, 6), ("2", 6), (None, 0)])
def test_gpus_of_the_gang(limit: int | str | None, gpus: int) -> None:
    limits = {"cpu": "1"} if limit is None else {"nvidia.com/gpu": limit}
    job = TrainingJob.parse(put(training_job(replicas=3), _RESOURCES, {"limits": limits}))
    assert job.gpus == gpus


@pytest.mark.parametrize("limit", [0, -1, "0", "01", "1.5", 1.5, "1k", "500m", "٣", "", True, "1000"])
def test_gpus_must_be_whole(limit: object) -> None:
    manifest = put(training_job(), _RESOURCES, {"limits": {"nvidia.com/gpu": limit}})
    with pytest.raises(InvalidTrainingJob, match=r"limits\.nvidia\.com/gpu: must be a whole number"):
        TrainingJob.parse(manifest)


def test_null_is_absent() -> None:
    manifest = training_job(replicas=None, energy=None, earlyStopping=None, activeDeadlineSeconds=None)
    manifest = put(manifest, _RESOURCES, {"limits": {"nvidia.com/gpu": None}})
    job = TrainingJob.parse(manifest)
    assert job.spec == TrainingJob.parse(training_job(template=manifest["spec"]["template"])).spec
    assert job.gpus == 0


def test_template_is_kept_as_written() -> None:
    manifest = complete_job()
    manifest["spec"]["template"]["spec"] |= {"tolerations": [], "x_y": {"camelCase": None}, "nodeSelector": None}
    template = copy.deepcopy(manifest["spec"]["template"])
    job = TrainingJob.parse(manifest)
    assert job.spec.template == template
    assert job.to_manifest()["spec"]["template"] == template


def test_manifest_round_trip() -> None:
    manifest = complete_job()
    written = TrainingJob.parse(manifest).to_manifest()
    assert written["spec"] == manifest["spec"]
    assert written["status"] == manifest["status"]


def test_all_problems_are_told_at_once() -> None:
    manifest = training_job(replicas=0, launcher="mpirun", energy={"maxSlowdownPercent": -1})
    with pytest.raises(InvalidTrainingJob) as caught:
        TrainingJob.parse(manifest)
    assert [problem.field for problem in caught.value.problems] == [
        "spec.replicas",
        "spec.launcher",
        "spec.energy.maxSlowdownPercent",
    ]
    assert "TrainingJob default/digits is invalid: spec.replicas:" in str(caught.value)
    assert "(is 0)" in str(caught.value)


@pytest.mark.parametrize("field", ["colour", "checkpoint_grace_seconds"])
def test_unknown_spec_field_is_refused(field: str) -> None:
    with pytest.raises(InvalidTrainingJob, match=rf"spec\.{field}: unknown field: remove it"):
        TrainingJob.parse(put(training_job(), ("spec", field), 60))


def test_unknown_status_field_of_a_newer_version_is_ignored() -> None:
    job = TrainingJob.parse(training_job() | {"status": {"phase": "Queued", "mood": "good"}})
    assert job.status.phase is Phase.QUEUED


@pytest.mark.parametrize("garbage", [{}, {"metadata": None}, {"metadata": {"name": 5}, "spec": []}])
def test_garbage_is_invalid_and_not_a_crash(garbage: dict[str, object]) -> None:
    with pytest.raises(InvalidTrainingJob):
        TrainingJob.parse(garbage)


def test_long_values_are_shortened_in_messages() -> None:
    with pytest.raises(InvalidTrainingJob) as caught:
        TrainingJob.parse(training_job(launcher="x" * 5000))
    assert len(str(caught.value)) < 300


def test_an_invalid_job_is_the_users_to_fix() -> None:
    assert issubclass(InvalidTrainingJob, UserError)
    assert issubclass(UserError, BallastError)
    assert not issubclass(UserError, RetryableError)
