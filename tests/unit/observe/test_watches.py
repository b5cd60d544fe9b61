"""The watch handlers hand events to the state, and a deletion's last version before the deletion."""

from __future__ import annotations

from typing import Any

from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.watches import _feed, registry, settings
from tests.builders import NOW, foreign_pod, job, node


class Recorder(ClusterState):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, Kind, str]] = []

    def observe(self, kind: Kind, obj: Any) -> None:
        self.heard.append(("observe", kind, obj["metadata"]["uid"]))

    def forget(self, kind: Kind, uid: str) -> None:
        self.heard.append(("forget", kind, uid))


async def heard(type_: str | None) -> list[tuple[str, Kind, str]]:
    state = Recorder()
    await _feed(state, lambda: None, Kind.POD)(
        event={"type": type_, "object": foreign_pod("web").manifest()}, more="ignored"
    )
    return state.heard


async def test_what_is_there_is_observed() -> None:
    for type_ in (None, "ADDED", "MODIFIED"):
        assert await heard(type_) == [("observe", Kind.POD, "uid-of-web")]


async def test_a_deletion_tells_its_last_version_first() -> None:
    assert await heard("DELETED") == [("observe", Kind.POD, "uid-of-web"), ("forget", Kind.POD, "uid-of-web")]


async def test_a_deleted_pod_holds_nothing() -> None:
    state = ClusterState()
    state.observe(Kind.NODE, node("a").manifest())
    handler = _feed(state, lambda: None, Kind.POD)
    await handler(event={"type": "ADDED", "object": foreign_pod("web").on("a").manifest()})
    await handler(event={"type": "DELETED", "object": foreign_pod("web").on("a").at_version(2).manifest()})
    [seen] = state.snapshot(NOW, 1).nodes
    assert seen.free == seen.allocatable
    state.observe(Kind.TRAINING_JOB, job("train").manifest())
    assert len(state.snapshot(NOW, 1).lanes) == 1


def test_seven_kinds_are_watched_and_nothing_is_patched() -> None:
    handlers = registry(ClusterState())
    assert {handler.id for handler in handlers._watching.get_all_handlers()} == {
        "trainingjobs",
        "nodes",
        "nodepowers",
        "energyprofiles",
        "pods",
        "jobs",
        "priorityclasses",
    }
    assert not handlers._changing.get_all_handlers()
    assert not handlers._spawning.get_all_handlers()
    assert not handlers._indexing.get_all_handlers()
    assert not settings().posting.enabled


async def test_only_the_list_with_which_a_watch_begins_is_told_as_its_beginning() -> None:
    beginnings: list[str] = []
    handler = _feed(ClusterState(), lambda: beginnings.append("begun"), Kind.POD)
    for type_ in ("ADDED", "MODIFIED", "DELETED"):
        await handler(event={"type": type_, "object": foreign_pod("web").manifest()})
    assert beginnings == []
    await handler(event={"type": None, "object": foreign_pod("other").manifest()})
    assert beginnings == ["begun"]
