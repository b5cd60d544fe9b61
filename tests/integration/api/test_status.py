"""The status: who may write it, and what is fixed by it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from ballast.api.trainingjob import TrainingJob
from tests.integration.api.client import Objects
from tests.integration.api.court import Court
from tests.unit.api.broken_jobs import FORBIDDEN_JOB_EDITS
from tests.unit.api.builders import Manifest, complete_job, put
from tests.unit.api.kinds import COMPLETE
from tests.unit.api.rules import ForbiddenEdit


@pytest.fixture
def admitted(court: Court) -> Manifest:
    """A job as the API server has it, admitted."""
    return court.created(TrainingJob, complete_job())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "checkpointGraceSeconds"), 30),
        (("spec", "suspend"), False),
        (("spec", "energy", "maxSlowdownPercent"), 30),
        (("spec", "energy", "limit"), "20kWh"),
        (("spec", "earlyStopping", "policies", 0, "evaluations"), 20),
    ],
    ids=lambda value: str(value[-1]) if isinstance(value, tuple) else "",
)
def test_the_rest_stays_free_while_admitted(
    jobs: Objects, admitted: Manifest, path: tuple[str | int, ...], value: object
) -> None:
    answer = jobs.replace(put(admitted, path, value), dry_run=True)
    assert answer.ok, answer


def test_early_stopping_may_come_and_go_while_admitted(jobs: Objects, admitted: Manifest, court: Court) -> None:
    without = admitted | {"spec": {key: admitted["spec"][key] for key in admitted["spec"] if key != "earlyStopping"}}
    assert jobs.replace(without, dry_run=True).ok
    there = court.created(TrainingJob, put(complete_job(), ("spec",), without["spec"]))
    assert jobs.replace(put(there, ("spec",), admitted["spec"]), dry_run=True).ok


@pytest.mark.parametrize("phase", ["Succeeded", "EarlyStopped", "Failed"])
def test_a_job_that_has_ended_stays_what_it_was(court: Court, phase: str) -> None:
    edit = next(edit for edit in FORBIDDEN_JOB_EDITS if str(edit) == "tj.ended-replicas")
    answer = court.dry_edit(edit, put(edit.before, ("status", "phase"), phase))
    assert "spec.replicas is immutable while the job is admitted and after its end" in answer.causes[0]


@pytest.mark.parametrize("edit", FORBIDDEN_JOB_EDITS, ids=str)
def test_free_before_admission(court: Court, edit: ForbiddenEdit) -> None:
    waiting = put(edit.before, ("status", "conditions", 0, "status"), "False")
    answer = court.dry_edit(edit, put(waiting, ("status", "phase"), "Suspended"))
    assert answer.ok, answer


@pytest.mark.parametrize("edit", FORBIDDEN_JOB_EDITS, ids=str)
def test_free_before_an_operator_saw_it(court: Court, edit: ForbiddenEdit) -> None:
    answer = court.dry_edit(edit, {key: value for key, value in edit.before.items() if key != "status"})
    assert answer.ok, answer


def test_the_status_may_change_while_admitted(jobs: Objects, admitted: Manifest) -> None:
    answer = jobs.replace_status(put(admitted, ("status", "phase"), "Succeeded"), dry_run=True)
    assert answer.ok, answer


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_spec_can_not_be_written_with_the_status_nor_the_other_way_round(
    court: Court, objects: Mapping[type[Kind], Objects], kind: type[Kind]
) -> None:
    there = court.created(kind, COMPLETE[kind]())
    nothing: Manifest = {}
    changed = there | {"spec": nothing, "status": put(there["status"], ("observedGeneration",), 77)}
    by_status = objects[kind].replace_status(changed, dry_run=True)
    assert by_status.body["spec"] == there["spec"]
    assert by_status.body["status"]["observedGeneration"] == 77
    by_spec = objects[kind].replace(changed | {"spec": there["spec"]}, dry_run=True)
    assert by_spec.body["status"] == there["status"]


def test_a_job_that_no_operator_saw_is_pending(jobs: Objects) -> None:
    assert jobs.create(put(complete_job(), ("metadata", "name"), "unseen")).ok
    assert jobs.get("unseen").body["status"] == {"phase": "Pending", "failures": 0, "activeSeconds": 0}
