"""Writes that change something go first; explanations get their share, and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

from ballast.act.write_queue import SHARE, WriteQueue
from ballast.api.conditions import Reason
from ballast.decide.actions import Action, Transition, WriteStatus
from tests.builders import job

WAITING = job("waits").told(Reason.WAITING_FOR_CAPACITY).training_job()
PLACED = job("runs").placed_on("a").training_job()
EXPLANATION = WriteStatus(WAITING, Transition.QUEUE, WAITING.status)
URGENT = WriteStatus(PLACED, Transition.RUN, PLACED.status)


def queue(urgent: int, explanations: int) -> WriteQueue:
    filled = WriteQueue()
    for action, count in ((EXPLANATION, explanations), (URGENT, urgent)):
        for _ in range(count):
            filled.put(action)
    return filled


def taken(filled: WriteQueue) -> list[Action]:
    found = []
    while (action := filled.take()) is not None:
        found.append(action)
    return found


def test_it_tells_how_much_of_each_waits() -> None:
    filled = queue(3, 2)
    assert (filled.urgent, filled.explanations) == (3, 2)
    filled.take()
    assert (filled.urgent, filled.explanations) == (2, 2)


def test_what_changes_something_goes_first() -> None:
    assert taken(queue(2, 2)) == [URGENT, URGENT, EXPLANATION, EXPLANATION]


def test_but_explanations_get_their_share() -> None:
    order = taken(queue(5 * SHARE, 3))
    places = [place for place, action in enumerate(order) if action is EXPLANATION]
    assert places[0] == SHARE - 1
    assert [later - earlier for earlier, later in pairwise(places)] == [SHARE, SHARE]
    assert len(order) == 5 * SHARE + 3


def test_leaving_a_suspension_is_no_mere_explanation() -> None:
    resumed = job("resumed").suspended().training_job()
    filled = WriteQueue()
    filled.put(WriteStatus(resumed, Transition.QUEUE, resumed.status))
    assert (filled.urgent, filled.explanations) == (1, 0)


def test_an_empty_queue_gives_nothing() -> None:
    assert WriteQueue().take() is None
