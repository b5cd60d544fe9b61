"""The API server accepts what is good, and gives it back as it was written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from ballast.api.trainingjob import TrainingJob
from tests.integration.api.client import Objects
from tests.integration.api.court import Court
from tests.unit.api.builders import TRAINER, Manifest, put, training_job
from tests.unit.api.examples import example_objects
from tests.unit.api.kinds import COMPLETE, SMALLEST

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
_EXAMPLES = example_objects()


@each_kind
def test_a_complete_object_comes_back_as_it_was_written(court: Court, kind: type[Kind]) -> None:
    manifest = COMPLETE[kind]()
    there = court.created(kind, manifest)
    assert there["spec"] == manifest["spec"]
    assert there["status"] == manifest["status"]


@each_kind
def test_the_models_write_what_the_api_server_has(court: Court, kind: type[Kind]) -> None:
    there = court.created(kind, COMPLETE[kind]())
    written = kind.parse(there).to_manifest()
    assert written["spec"] == there["spec"]
    assert written["status"] == there["status"]


@each_kind
def test_models_and_api_server_have_the_same_defaults(objects: Mapping[type[Kind], Objects], kind: type[Kind]) -> None:
    manifest = SMALLEST[kind]()
    answer = objects[kind].create(manifest, dry_run=True, strict=True)
    assert answer.ok, answer
    filled_in = {name: value for name, value in kind.parse(manifest).to_manifest()["spec"].items() if value != []}
    assert answer.body["spec"] == filled_in


@pytest.mark.parametrize(
    "manifest",
    [training_job("a" * 48), training_job(launcher="torchrun", replicas=1024)],
    ids=["longest-name", "largest-gang"],
)
def test_large_jobs_are_accepted(jobs: Objects, manifest: Manifest) -> None:
    answer = jobs.create(manifest, dry_run=True)
    assert answer.ok, answer


@pytest.mark.parametrize(("kind", "manifest"), _EXAMPLES.values(), ids=_EXAMPLES.keys())
def test_examples_are_accepted(objects: Mapping[type[Kind], Objects], kind: type[Kind], manifest: Manifest) -> None:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
    answer = objects[kind].create(manifest | {"metadata": metadata}, dry_run=True, strict=True)
    assert answer.ok, answer


def test_the_template_is_left_as_written(jobs: Objects) -> None:
    manifest = training_job()
    manifest["spec"]["template"]["spec"] |= {"tolerations": [{"operator": "Exists"}], "volumes": []}
    manifest["spec"]["template"]["metadata"] = {"labels": {"team": "vision"}}
    answer = jobs.create(manifest, dry_run=True)
    assert answer.ok, answer
    assert answer.body["spec"]["template"] == manifest["spec"]["template"]


def test_gpus_as_text_and_as_number_are_equal(jobs: Objects) -> None:
    resources = {"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": "2"}}
    assert jobs.create(put(training_job(), (*TRAINER, "resources"), resources), dry_run=True).ok


def test_times_may_have_any_zone(jobs: Objects) -> None:
    for deadline in ("2026-12-01T08:00:00+02:00", "2026-12-01T08:00:00.5Z"):
        manifest = training_job(energy={"deadline": deadline})
        assert jobs.create(manifest, dry_run=True).ok
        TrainingJob.parse(manifest)
