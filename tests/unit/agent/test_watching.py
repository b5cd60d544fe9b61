"""Following a collection: whatever breaks, what is gone is noticed, and the API server is left in peace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress

import pytest

from ballast.agent.node import watching
from ballast.errors import BallastError
from ballast.kube import ApiRefused, ApiUnavailable, JsonObject

PODS = "/api/v1/pods"
MINE = "spec.nodeName=a"
GONE = ApiRefused(410, "Expired", "too old resource version")
AWAY = ApiUnavailable("connection refused")

Event = tuple[str, JsonObject]


class Enough(Exception):
    """Ends what would go on for ever."""


def thing(name: str, version: int) -> JsonObject:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class Collection:
    """An API server with one collection.

    Args:
        lists: what each list says, as pages, or what goes wrong instead.
        watches: the events of each watch; an error among them breaks it.
    """

    def __init__(
        self, lists: Sequence[Sequence[list[JsonObject]] | BallastError], *watches: Sequence[Event | BallastError]
    ) -> None:
        self._lists, self._watches = list(lists), list(watches)
        self.asked: list[tuple[str, str]] = []
        self.told: list[tuple[str, ...]] = []

    async def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        assert (path, field_selector) == (PODS, MINE)
        self.asked.append(("list", ""))
        if not self._lists:
            raise Enough
        answer = self._lists.pop(0)
        if isinstance(answer, BallastError):
            raise answer
        for items in answer:
            yield {"items": items, "metadata": {"resourceVersion": f"{len(self.asked)}00"}}

    async def watch(
        self, path: str, resource_version: str, field_selector: str | None = None
    ) -> AsyncGenerator[tuple[str, JsonObject]]:
        assert (path, field_selector) == (PODS, MINE)
        self.asked.append(("watch", resource_version))
        if not self._watches:
            raise Enough
        for event in self._watches.pop(0):
            if isinstance(event, BallastError):
                raise event
            yield event

    async def follow(self) -> None:
        with suppress(Enough):
            await watching.follow(
                self,  # type: ignore[arg-type]
                PODS,
                MINE,
                lambda objects: self.told.append(("LIST", *(each["metadata"]["name"] for each in objects))),
                lambda kind, obj: self.told.append((kind, obj["metadata"]["name"])),
            )


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it paused; nobody waits."""
    seconds: list[float] = []

    async def sleep(pause: float) -> None:
        seconds.append(pause)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


async def test_all_pages_of_a_list_are_told_as_one() -> None:
    api = Collection([[[thing("a", 1)], [thing("b", 2)]]])
    await api.follow()
    assert api.told == [("LIST", "a", "b")]


async def test_the_watch_goes_on_from_the_list() -> None:
    api = Collection([[[]]], [("ADDED", thing("a", 7))])
    await api.follow()
    assert api.asked[:2] == [("list", ""), ("watch", "100")]
    assert api.told == [("LIST",), ("ADDED", "a")]


async def test_a_watch_that_ended_goes_on_where_it_stopped_without_a_new_list() -> None:
    api = Collection([[[]]], [("ADDED", thing("a", 7)), ("DELETED", thing("a", 9))], [("ADDED", thing("b", 12))])
    await api.follow()
    assert api.asked == [("list", ""), ("watch", "100"), ("watch", "9"), ("watch", "12")]


async def test_bookmarks_move_the_version_and_are_told_to_nobody() -> None:
    api = Collection([[[]]], [("BOOKMARK", {"metadata": {"resourceVersion": "55"}})])
    await api.follow()
    assert api.asked[-1] == ("watch", "55")
    assert api.told == [("LIST",)]


@pytest.mark.parametrize("error", [GONE, AWAY], ids=["too old", "broken"])
async def test_after_a_broken_watch_a_new_list_tells_what_is_gone(error: BallastError, pauses: list[float]) -> None:
    api = Collection([[[thing("a", 1), thing("b", 2)]], [[thing("b", 2)]]], [("ADDED", thing("c", 3)), error])
    await api.follow()
    assert api.told == [("LIST", "a", "b"), ("ADDED", "c"), ("LIST", "b")]
    assert api.asked[-1] == ("watch", "300"), "from the new list"


async def test_a_list_that_breaks_between_its_pages_is_told_to_nobody(pauses: list[float]) -> None:
    """What is on the pages that did not come would be taken for gone."""

    class Breaking(Collection):
        async def list_pages(
            self, path: str, label_selector: str | None = None, field_selector: str | None = None
        ) -> AsyncIterator[JsonObject]:
            is_first = not self.asked
            async for page in super().list_pages(path, label_selector, field_selector):
                yield page
                if is_first:
                    raise GONE

    api = Breaking([[[thing("a", 1)], [thing("b", 2)]], [[thing("a", 1)], [thing("b", 2)]]])
    await api.follow()
    assert api.told == [("LIST", "a", "b")]


async def test_pauses_grow_up_to_a_limit_while_the_api_server_is_away(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    await Collection([AWAY] * 10).follow()
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == watching.LONGEST_PAUSE_SECONDS


async def test_they_differ_so_that_agents_do_not_come_all_at_once(pauses: list[float]) -> None:
    await Collection([AWAY] * 40).follow()
    longest = pauses[10:]
    assert len(set(longest)) > 1
    assert all(watching.LONGEST_PAUSE_SECONDS / 2 <= pause <= watching.LONGEST_PAUSE_SECONDS for pause in longest)


async def test_one_that_lists_but_does_not_let_watch_is_asked_ever_more_rarely(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    forbidden = ApiRefused(403, "Forbidden", "pods: watch")
    await Collection([[[]]] * 4, *[[forbidden]] * 4).follow()
    assert pauses == [0.5, 1.0, 2.0, 4.0]


async def test_one_that_ends_each_watch_at_once_is_not_asked_without_a_pause(pauses: list[float]) -> None:
    await Collection([[[]]] * 3, [], [], []).follow()
    assert len(pauses) == 3


async def test_what_went_well_for_long_begins_with_the_shortest_pause(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    monkeypatch.setattr(watching, "WELL_SECONDS", 0.0)
    await Collection([[[]]] * 3, [AWAY], [AWAY], [AWAY]).follow()
    assert pauses == [0.5, 0.5, 0.5]


async def test_cancelling_closes_the_watch() -> None:
    watched, closed = asyncio.Event(), asyncio.Event()

    class Silent(Collection):
        async def watch(
            self, path: str, resource_version: str, field_selector: str | None = None
        ) -> AsyncGenerator[tuple[str, JsonObject]]:
            try:
                watched.set()
                await asyncio.Event().wait()
                yield "", {}
            finally:
                closed.set()

    api = Silent([[[]]])
    task = asyncio.create_task(api.follow())
    await watched.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert closed.is_set()
