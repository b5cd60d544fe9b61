"""What an admission writes: the phase, a node for every pod, the attempt, and why, in numbers."""

from __future__ import annotations

import pytest

from ballast.api.conditions import ConditionType, Reason
from ballast.api.jobstatus import Phase, PodPlacement
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.queueing import admit
from tests.builders import JobBuilder, at, job, node, snapshot

CLUSTER = [node("a").with_gpus("A100", 4), node("b").with_gpus("A100", 4)]


def admission(waiting: JobBuilder) -> WriteStatus:
    [write] = admit(snapshot(CLUSTER, [waiting]), 1).writes
    return write


GANG = job("gang").with_gpus(4).replicas(2).at_point(mode="None").waiting_since(-60).at_generation(3)


def test_the_job_goes_to_placing() -> None:
    write = admission(GANG)
    assert write.transition is Transition.ADMIT
    assert write.status.phase is Phase.PLACING
    assert write.status.reason == Reason.RESERVED
    assert write.status.observed_generation == 3


def test_every_pod_has_its_node() -> None:
    assert admission(GANG).status.placement == (
        PodPlacement(pod="gang-1-0", node="a", gpu_model="A100", gpus=4),
        PodPlacement(pod="gang-1-1", node="b", gpu_model="A100", gpus=4),
    )


def test_columns_for_people() -> None:
    status = admission(GANG).status
    assert status.nodes == "a,b"
    assert status.gpus == 8
    assert status.energy is not None
    assert status.energy.predicted_watts == pytest.approx(8 * 304)


def test_when_it_was_queued_is_kept() -> None:
    assert admission(GANG).status.queued_at == at(-60)


def test_the_first_attempt_is_number_one() -> None:
    [attempt] = admission(GANG).status.attempts
    assert attempt.number == 1
    assert attempt.started_at == at(0)


def test_the_condition_holds_and_says_where() -> None:
    write = admission(GANG.told(Reason.WAITING_FOR_CAPACITY))
    [condition] = write.status.conditions
    assert condition.type == ConditionType.ADMITTED
    assert condition.is_true
    assert condition.reason == Reason.RESERVED
    assert condition.last_transition_time == at(0)
    assert "8 A100 on 2 nodes (a, b), predicted 2.43 kW" in condition.message


def test_the_owner_is_told_the_same() -> None:
    write = admission(GANG)
    assert write.note is not None
    assert write.note.reason == "Admitted"
    assert not write.note.warning
    assert write.note.message == write.status.conditions[0].message


def test_a_status_written_by_an_admission_is_one_that_the_api_takes() -> None:
    status = admission(GANG).status
    assert type(status).model_validate(status.to_manifest(), by_alias=True) == status
