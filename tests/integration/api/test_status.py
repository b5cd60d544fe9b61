"""The status: its bounds, who may write it, what is fixed while a job is admitted, and what kubectl shows of it."""

from __future__ import annotations

import pytest

from tests.integration.api.client import TrainingJobs
from tests.unit.api.bounds import SAYS, Bound, all_bounds
from tests.unit.api.broken_rules import FORBIDDEN_EDITS, ForbiddenEdit
from tests.unit.api.builders import Manifest, complete_job, put

_OF_STATUS = [bound for bound in all_bounds() if bound.path[:1] == ("status",)]


@pytest.fixture(scope="module")
def created(jobs: TrainingJobs) -> Manifest:
    """A job as the API server has it, admitted."""
    answer = jobs.create(complete_job())
    assert answer.ok, answer
    written = jobs.replace_status(answer.body | {"status": complete_job()["status"]})
    assert written.ok, written
    return written.body


@pytest.mark.parametrize("bound", _OF_STATUS, ids=str)
def test_every_bound_of_the_status_rejects(jobs: TrainingJobs, created: Manifest, bound: Bound) -> None:
    answer = jobs.replace_status(created | {"status": bound.broken()["status"]}, dry_run=True)
    assert answer.status == 422, answer
    assert any(cause.startswith(bound.blamed_field) and SAYS[bound.keyword] in cause for cause in answer.causes), answer


@pytest.mark.parametrize("edit", FORBIDDEN_EDITS, ids=lambda edit: ".".join(edit.path))
def test_fixed_while_admitted(jobs: TrainingJobs, created: Manifest, edit: ForbiddenEdit) -> None:
    answer = jobs.replace(put(created, edit.path, edit.value), dry_run=True)
    assert answer.status == 422, answer
    (cause,) = answer.causes
    assert edit.says in cause


@pytest.mark.parametrize(
    "path",
    [("spec", "checkpointGraceSeconds"), ("spec", "energy", "maxSlowdownPercent")],
    ids=lambda path: str(path[-1]),
)
def test_the_rest_stays_free_while_admitted(jobs: TrainingJobs, created: Manifest, path: tuple[str, ...]) -> None:
    answer = jobs.replace(put(created, path, 30), dry_run=True)
    assert answer.ok, answer


def test_the_status_may_change_while_admitted(jobs: TrainingJobs, created: Manifest) -> None:
    answer = jobs.replace_status(put(created, ("status", "phase"), "Succeeded"), dry_run=True)
    assert answer.ok, answer


@pytest.mark.parametrize("edit", FORBIDDEN_EDITS, ids=lambda edit: ".".join(edit.path))
def test_free_before_admission(jobs: TrainingJobs, edit: ForbiddenEdit) -> None:
    manifest = complete_job()
    name = "queued-" + edit.path[-1].lower()
    queued = jobs.create(put(manifest, ("metadata", "name"), name))
    assert queued.ok, queued
    status = put(queued.body, ("status", "conditions"), manifest["status"]["conditions"])
    status["status"]["conditions"][0]["status"] = "False"
    waiting = jobs.replace_status(status)
    assert waiting.ok, waiting
    answer = jobs.replace(put(waiting.body, edit.path, edit.value))
    assert answer.ok, answer


def test_a_spec_can_not_be_written_with_the_status_nor_the_other_way_round(
    jobs: TrainingJobs, created: Manifest
) -> None:
    changed = put(put(created, ("spec", "checkpointGraceSeconds"), 7), ("status", "reason"), "Changed")
    assert jobs.replace_status(changed, dry_run=True).body["spec"]["checkpointGraceSeconds"] == 60
    assert jobs.replace(changed, dry_run=True).body["status"]["reason"] == "PodsRunning"


def test_a_job_that_no_operator_saw_is_pending(jobs: TrainingJobs) -> None:
    manifest = put(complete_job(), ("metadata", "name"), "unseen")
    assert jobs.create(manifest).ok
    assert jobs.get("unseen").body["status"] == {"phase": "Pending"}


def test_what_kubectl_shows(jobs: TrainingJobs, created: Manifest) -> None:
    table = jobs.table()
    columns = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    row = next(r["cells"] for r in table["rows"] if r["object"]["metadata"]["name"] == created["metadata"]["name"])
    shown = dict(zip([column["name"] for column in table["columnDefinitions"]], row, strict=True))
    assert columns == ["Name", "Phase", "Replicas", "GPUs", "Nodes", "Reason", "Age"]
    assert (shown["Phase"], shown["GPUs"], shown["Nodes"]) == ("Running", 4, "node-a,node-b")
    assert (shown["Reason"], shown["Watts"]) == ("PodsRunning", 812.5)
