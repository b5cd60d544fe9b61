"""Who stands further back because of fair share is told so, with numbers; and is told when that is over."""

from __future__ import annotations

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.jobstatus import QueueStatus
from ballast.decide.actions import WriteStatus
from ballast.decide.explaining import explain
from ballast.decide.queueing import Admissions
from ballast.decide.snapshot import Refusal
from tests.builders import JobBuilder, job, node, snapshot

FULL = Refusal(Reason.WAITING_FOR_CAPACITY, "needs 1 pod x 8 GPUs; A100 0 of 32 free")
WAITING = job("train").in_namespace("team-a").with_gpus(8)
OTHER = job("other").in_namespace("team-b").with_gpus(8)
WORDS = "namespace team-a uses 24 GPUs of its fair 16: counts as queued 30 min later"


def told(waiting: JobBuilder, refusal: Refusal = FULL) -> WriteStatus | None:
    built = waiting.build()
    assert built.gang is not None
    seen = snapshot([node("a").with_gpus("A100", 32)], [waiting, OTHER], used={"team-a": 24, "team-b": 8})
    writes = explain(seen, Admissions((), {built.gang: refusal}, None))
    return writes[0] if writes else None


def message(write: WriteStatus | None) -> str:
    assert write is not None
    condition = find_condition(write.status.conditions, ConditionType.ADMITTED)
    assert condition is not None
    return condition.message


def standing(position: int, message: str = "as before") -> JobBuilder:
    known = WAITING.told(Reason.WAITING_FOR_CAPACITY).with_status(queue=QueueStatus(position=position))
    conditions = tuple(each.model_copy(update={"message": message}) for each in known.status.conditions)
    return known.with_status(conditions=conditions)


def test_who_is_put_back_is_told_with_numbers() -> None:
    assert message(told(WAITING.at_place(2, 16, put_back=1800))) == f"{FULL.message}; {WORDS}"


def test_who_stands_where_it_would_stand_anyway_is_not() -> None:
    assert message(told(WAITING.at_place(2, 16))) == FULL.message


def test_who_could_not_run_in_any_order_is_not() -> None:
    too_small = Refusal(Reason.CLUSTER_TOO_SMALL, "needs 99 GPUs")
    assert message(told(WAITING.at_place(2, 16, put_back=1800), too_small)) == too_small.message


def test_a_few_seconds_are_a_minute() -> None:
    assert "counts as queued 1 min later" in message(told(WAITING.at_place(2, 16, put_back=5)))


def test_who_is_put_back_later_is_told_with_its_new_place_and_without_an_event() -> None:
    write = told(standing(1).at_place(2, 16, put_back=1800))
    assert message(write) == f"{FULL.message}; {WORDS}"
    assert write is not None
    assert write.note is None
    assert write.explains_only


def test_that_it_is_over_is_told_likewise() -> None:
    assert message(told(standing(2, f"{FULL.message}; {WORDS}").at_place(1, 8))) == FULL.message


def test_at_the_same_place_nothing_is_written() -> None:
    assert told(standing(2).at_place(2, 16, put_back=1800)) is None
