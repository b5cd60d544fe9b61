"""A running job is told which GPUs it holds, and what became of its operating point, in numbers."""

from __future__ import annotations

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.jobstatus import TrainingJobStatus
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.gpu_asks import HeldGpu
from ballast.decide.points.confirmation import confirm
from tests.builders import NOW, JobBuilder, job, pod
from tests.power_builders import capped_job, held, on_gpus, point


def running(builder: JobBuilder, **gpus: tuple[HeldGpu, ...]) -> JobBuilder:
    pods = pod(0, builder).running_on("a"), pod(1, builder).running_on("b")
    on = {each.uid: gpus[each.node_name or ""] for each in pods if each.node_name in gpus}
    return on_gpus(builder.running_on("a", "b")).with_pods(*pods).holding(on)


def told(builder: JobBuilder) -> WriteStatus:
    write = confirm(builder.build(), NOW + 5)
    assert write is not None
    assert write.transition is Transition.TELL
    return write


def verdict(status: TrainingJobStatus) -> tuple[str, str, str]:
    condition = find_condition(status.conditions, ConditionType.OPERATING_POINT_SET)
    assert condition is not None
    return condition.status.value, condition.reason, condition.message


def test_confirmed_on_every_gpu() -> None:
    at_150 = point(150)
    write = told(running(capped_job(), a=(held("GPU-0", at_150),), b=(held("GPU-1", at_150),)))
    assert verdict(write.status) == ("True", Reason.POINT_CONFIRMED, "2 GPUs at 150 W; found at 300 W")
    assert [place.gpu_uuids for place in write.status.placement] == [("GPU-0",), ("GPU-1",)]
    assert {place.operating_point for place in write.status.placement} == {at_150}
    assert write.note is not None
    assert not write.note.warning


def test_pending_until_all_agents_have_confirmed() -> None:
    write = told(running(capped_job(), a=(held("GPU-0", point(150)),)))
    assert verdict(write.status)[:2] == ("Unknown", Reason.POINT_PENDING)
    assert "1 of 2 GPUs have 150 W; waiting for the agent of b" in verdict(write.status)[2]
    assert write.note is None


def test_refused_by_a_board() -> None:
    problem = "powerLimitWatts 50 is outside 100 to 300 W: choose one within"
    write = told(running(capped_job(watts="50W"), a=(held("GPU-0", problem=problem),), b=(held("GPU-1"),)))
    assert verdict(write.status)[:2] == ("False", Reason.POINT_REFUSED)
    assert "50 W is not set: GPU-0: " + problem in verdict(write.status)[2]
    assert write.note is not None
    assert write.note.warning


def test_a_higher_limit_is_confirmed_on_a_shared_gpu_only_where_a_neighbour_asks_for_it() -> None:
    shared = held("GPU-0", point(200), shared=True)
    write = told(running(capped_job(), a=(shared,), b=(held("GPU-1", None, shared=True),)))
    assert verdict(write.status)[0] == "True"


def test_nothing_is_written_twice() -> None:
    builder = running(capped_job(), a=(held("GPU-0", point(150)),), b=(held("GPU-1", point(150)),))
    again = builder.with_status(**dict(told(builder).status))
    assert confirm(again.build(), NOW + 60) is None


def test_a_job_that_asks_for_nothing_is_told_of_its_gpus() -> None:
    write = told(running(job("train").with_gpus(1), a=(held("GPU-0"),)))
    assert write.status.placement[0].gpu_uuids == ("GPU-0",)
    assert find_condition(write.status.conditions, ConditionType.OPERATING_POINT_SET) is None


def test_gpus_stay_told_while_the_agent_is_silent() -> None:
    before = running(job("train").with_gpus(1), a=(held("GPU-0"),), b=(held("GPU-1"),))
    silent = before.with_status(**dict(told(before).status)).holding({})
    assert confirm(silent.build(), NOW + 60) is None
