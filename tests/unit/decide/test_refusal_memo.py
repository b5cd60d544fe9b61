"""What was refused is not tried again until something becomes free."""

from __future__ import annotations

from ballast.api.conditions import Reason
from ballast.decide.queueing import Admissions, admit
from ballast.decide.snapshot import Refusal
from tests.builders import job, node, snapshot

BEFORE = Refusal(Reason.WAITING_FOR_CAPACITY, "as before")


def test_a_refused_lane_is_not_tried() -> None:
    waiting = job("train").with_gpus(1)
    cluster = snapshot([node("a").with_gpus("A100", 8)], [waiting], refused={waiting.gang(): BEFORE})
    assert admit(cluster, 100) == Admissions((), {waiting.gang(): BEFORE}, None)


def test_another_lane_is() -> None:
    waiting, other = job("train").with_gpus(1), job("other").with_gpus(2)
    cluster = snapshot([node("a").with_gpus("A100", 8)], [waiting, other], refused={waiting.gang(): BEFORE})
    admissions = admit(cluster, 100)
    assert [write.job.metadata.name for write in admissions.writes] == ["other"]
    assert admissions.refused == {waiting.gang(): BEFORE}


def test_a_refusal_is_forgotten_with_its_last_job() -> None:
    gone = job("gone").with_gpus(3)
    cluster = snapshot([node("a")], [job("train").with_gpus(1)], refused={gone.gang(): BEFORE})
    assert gone.gang() not in admit(cluster, 100).refused


def test_refusals_are_kept_though_there_is_no_room_for_admissions() -> None:
    waiting = job("train").with_gpus(1)
    cluster = snapshot([node("a")], [waiting], refused={waiting.gang(): BEFORE})
    assert admit(cluster, 0).refused == {waiting.gang(): BEFORE}
