"""The node's pods: a name means the pod that has it now, and what has ended or gone holds nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.agent.node.pods import MANIFEST_HASH, REMEMBERED, PodsOnNode


def pod(uid: str, name: str = "train-0", phase: str | None = "Running", **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "namespace": "team", "name": name, "annotations": annotations or None},
        "status": {"phase": phase} if phase else None,
    }


@pytest.fixture
def news() -> list[int]:
    return []


@pytest.fixture
def pods(news: list[int]) -> PodsOnNode:
    return PodsOnNode(lambda: news.append(1))


def test_nothing_is_known_before_the_first_list(pods: PodsOnNode) -> None:
    assert not pods.is_known
    assert not pods.running()


def test_an_empty_node_is_known_too(pods: PodsOnNode, news: list[int]) -> None:
    pods.listed([])
    assert pods.is_known
    assert len(news) == 1


def test_a_name_means_its_pod(pods: PodsOnNode) -> None:
    pods.listed([pod("1")])
    assert pods.uid_of("team", "train-0") == "1"
    assert pods.uid_of("other", "train-0") is None


def test_a_name_means_the_pod_that_has_it_now(pods: PodsOnNode) -> None:
    """A StatefulSet's pod is deleted and made again under the same name."""
    pods.listed([pod("1")])
    pods.changed("DELETED", pod("1"))
    pods.changed("ADDED", pod("2"))
    assert pods.uid_of("team", "train-0") == "2"


def test_it_does_so_if_the_deletion_was_missed(pods: PodsOnNode) -> None:
    pods.listed([pod("1")])
    pods.listed([pod("2")])
    assert pods.uid_of("team", "train-0") == "2"
    assert pods.is_gone("1")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_has_no_name_any_more(pods: PodsOnNode, phase: str) -> None:
    pods.listed([pod("1")])
    pods.changed("MODIFIED", pod("1", phase=phase))
    assert pods.uid_of("team", "train-0") is None
    assert "1" not in pods.running()


def test_but_it_is_not_gone(pods: PodsOnNode) -> None:
    pods.listed([pod("1", phase="Failed")])
    assert not pods.is_gone("1")


def test_it_is_known_who_trains(pods: PodsOnNode) -> None:
    training, other = pod("1"), pod("2", "other")
    training["metadata"]["labels"] = {"ballast.dev/trainingjob-uid": "x"}
    pods.listed([training, other])
    assert {uid: each.trains for uid, each in pods.running().items()} == {"1": True, "2": False}


def test_what_has_ended_is_known_until_its_object_goes(pods: PodsOnNode) -> None:
    assert pods.ended() is None
    pods.listed([pod("1", "a"), pod("2", "b")])
    assert pods.ended() == frozenset()
    for uid, name, phase in (("1", "a", "Succeeded"), ("2", "b", "Failed")):
        pods.changed("MODIFIED", pod(uid, name, phase=phase))
    assert pods.ended() == frozenset({"1", "2"})
    pods.changed("DELETED", pod("1", "a", phase="Succeeded"))
    assert pods.ended() == frozenset({"2"})


def test_there_is_what_neither_ended_nor_leaves(pods: PodsOnNode) -> None:
    leaving = pod("3", "c")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pods.listed([pod("1", "a"), pod("2", "b", phase="Succeeded"), leaving])
    assert [pods.is_there(uid) for uid in ("1", "2", "3", "never heard of")] == [True, False, False, False]
    assert "3" in pods.running()  # until it has ended it holds what it holds


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", None])
def test_any_other_pod_may_hold_something(pods: PodsOnNode, phase: str | None) -> None:
    """The kubelet gives GPUs out before a pod runs."""
    pods.listed([pod("1", phase=phase)])
    assert set(pods.running()) == {"1"}


def test_gone_is_only_what_was_deleted(pods: PodsOnNode) -> None:
    pods.listed([pod("1", "a"), pod("2", "b")])
    pods.changed("DELETED", pod("1", "a"))
    assert [pods.is_gone(uid) for uid in ("1", "2", "never heard of")] == [True, False, False]


def test_a_mirror_pod_is_known_as_the_kubelet_knows_it(pods: PodsOnNode) -> None:
    pods.listed([pod("of-the-mirror", "etcd", **{MANIFEST_HASH: "of-the-manifest"})])
    assert pods.uid_of("team", "etcd") == "of-the-manifest"
    assert set(pods.running()) == {"of-the-manifest"}


def test_a_mirror_pod_that_is_made_again_is_not_gone(pods: PodsOnNode) -> None:
    """It is the same pod to the kubelet: only what the API server shows of it was deleted."""
    pods.listed([pod("mirror-1", "etcd", **{MANIFEST_HASH: "manifest"})])
    pods.changed("DELETED", pod("mirror-1", "etcd", **{MANIFEST_HASH: "manifest"}))
    assert pods.is_gone("manifest")
    pods.changed("ADDED", pod("mirror-2", "etcd", **{MANIFEST_HASH: "manifest"}))
    assert not pods.is_gone("manifest")


def test_what_changes_nothing_is_no_news(pods: PodsOnNode, news: list[int]) -> None:
    pods.listed([pod("1")])
    pods.changed("MODIFIED", pod("1"))
    pods.listed([pod("1")])
    pods.changed("DELETED", pod("never heard of"))
    assert len(news) == 1


def test_coming_ending_and_going_are_news(pods: PodsOnNode, news: list[int]) -> None:
    pods.listed([])
    pods.changed("ADDED", pod("1"))
    pods.changed("MODIFIED", pod("1", phase="Succeeded"))
    pods.changed("DELETED", pod("1", phase="Succeeded"))
    assert len(news) == 4


def test_the_news_is_told_when_everything_is_known() -> None:
    seen: list[str | None] = []
    own = PodsOnNode(lambda: seen.append(own.uid_of("team", "train-0")))
    own.listed([pod("1")])
    assert seen == ["1"]


def test_what_was_returned_never_changes(pods: PodsOnNode) -> None:
    """The device thread reads it while the next change comes in."""
    pods.listed([pod("1")])
    before = pods.running()
    pods.changed("DELETED", pod("1"))
    assert set(before) == {"1"}


def test_only_the_latest_deleted_pods_are_remembered(pods: PodsOnNode) -> None:
    pods.listed([])
    count = REMEMBERED + 10
    for number in range(count):
        pods.changed("ADDED", pod(f"uid-{number}"))
        pods.changed("DELETED", pod(f"uid-{number}"))
    gone = [number for number in range(count) if pods.is_gone(f"uid-{number}")]
    assert gone == list(range(10, count))
