"""What is read of a pod's end: whether it began, when it ended, what its exporter said, whatever stands there."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from ballast.observe.parsing import training_pod
from ballast.observe.pod_ends import MAX_POD_WATTS, held_pod
from tests.builders import NOW, at, pod, rfc3339
from tests.unit.decide.ledger import used, words

DONE = pod(0).on("a").succeeded().held().ended_at(7, words(40, at=5))


def test_the_newest_words_count() -> None:
    assert DONE.build().last_words == used(40, at=5)
    assert DONE.having_said(words(3)).build().last_words == used(40, at=5)
    assert DONE.ended_at(7, "killed").having_said(words(3)).build().last_words == used(3)
    assert pod(0).running_on("a").having_said(words(3)).build().last_words == used(3)
    assert DONE.ended_at(7).build().last_words is None


@pytest.mark.parametrize(
    "message",
    [
        "x" * 4096,
        "[" * 4096,
        "null",
        '{"v": 1}',
        '{"v": 1, "at": 1, "joules": 5}',
        '{"v": 1, "at": 1, "joules": {"gpu": [1, 2]}}',
        '{"v": 1, "at": 1, "joules": {"gpu": [-1, 2, "Counter"]}}',
        '{"v": 1, "at": NaN, "joules": {}}',
        '{"v": 1, "at": 1, "joules": {"gpu": [1e400, 2, "Counter"]}}',
        '{"v": 1, "at": 1, "joules": {"gpu": [%s, 2, "Counter"]}}' % ("9" * 4000),
        '{"v": 1, "at": 1, "joules": {"gpu": [1, 2, []]}}',
        '{"v": 1, "at": 1, "joules": {"toaster": [1, 2, "Counter"]}}',
        '{"v": 1, "at": 1, "joules": {"gpu": ["1", 2, "Counter"]}}',
    ],
    ids=range(13),
)
def test_what_else_stands_there_does_no_harm(message: str) -> None:
    assert DONE.ended_at(7, message).build().last_words is None


def test_more_than_a_pod_can_draw_is_no_reading() -> None:
    most = MAX_POD_WATTS * (3600 + 7 + 60)  # the builder's pods are an hour old
    assert DONE.ended_at(7, words(most)).build().last_words == used(most)
    assert DONE.ended_at(7, words(most * 1.001)).build().last_words is None


def test_another_containers_words_are_not_the_exporters() -> None:
    manifest = DONE.manifest()
    manifest["status"]["initContainerStatuses"][0]["name"] = "other"
    assert training_pod(manifest).last_words is None


def test_when_it_ended_is_when_its_last_container_did() -> None:
    assert DONE.build().ended_at == NOW + 7
    manifest = DONE.manifest()
    manifest["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = rfc3339(at(9))
    assert training_pod(manifest).ended_at == NOW + 9
    assert pod(0).running_on("a").having_said(words(3)).build().ended_at is None


def test_where_the_kubelet_does_not_say_it_is_the_last_change() -> None:
    """As where Kubernetes calls the pods of a lost node failed."""
    manifest = replace(pod(0), phase="Failed").on("a").held().manifest()
    assert training_pod(manifest).ended_at is None
    changes = [
        {"type": type_, "status": "True", "lastTransitionTime": rfc3339(at(s))} for type_, s in (("A", 4), ("B", 6))
    ]
    manifest["status"]["conditions"] = changes
    assert training_pod(manifest).ended_at == NOW + 6
    manifest["status"]["containerStatuses"] = [{"name": "trainer", "state": {"running": {}}}]
    manifest["status"]["initContainerStatuses"] = DONE.manifest()["status"]["initContainerStatuses"]
    assert training_pod(manifest).ended_at == NOW + 6


@pytest.mark.parametrize("state", [{"running": {}}, {"terminated": {"exitCode": 1}}])
@pytest.mark.parametrize("field", ["containerStatuses", "initContainerStatuses"])
def test_it_began_if_any_container_did(state: dict[str, Any], field: str) -> None:
    manifest = pod(0).on("a").waiting_for("ContainerCreating").manifest()
    assert not training_pod(manifest).began
    manifest["status"][field] = [{"name": "x", "state": state}]
    assert training_pod(manifest).began
    manifest["status"][field] = [{"name": "x", "state": {"waiting": {}}, "lastState": {"terminated": {}}}]
    assert training_pod(manifest).began


def test_it_is_held_by_our_finalizer_only() -> None:
    assert (DONE.build().held, DONE.build().finalizer_position) == (True, 0)
    second = pod(0).held("batch.kubernetes.io/job-tracking")
    assert (second.build().held, second.build().finalizer_position) == (True, 1)
    other = replace(pod(0), finalizers=("example.com/other",))
    assert not other.build().held
    assert held_pod(other.manifest()) is None
    found = held_pod(second.manifest())
    assert found is not None
    assert (found.namespace, found.name, found.uid, found.finalizer_position) == ("team", second.name, second.uid, 1)


def test_who_ended_before_somebody_deleted_it_was_not_ended_by_that() -> None:
    """It stays, because it is held: its success stays one."""
    assert not DONE.being_deleted(8, grace=0).build().deleting
    assert DONE.being_deleted(8, grace=0).build().grace_over_at == NOW + 8
    assert DONE.being_deleted(37, grace=30).build().deleting  # asked for in the same second
    assert not DONE.being_deleted(38, grace=30).build().deleting
    assert pod(0).running_on("a").being_deleted(8, grace=0).build().deleting


def test_without_grace_is_by_force() -> None:
    assert pod(0).running_on("a").being_deleted(8, grace=0).build().forced
    assert not pod(0).running_on("a").being_deleted(8, grace=30).build().forced


def test_a_message_at_the_end_is_no_object_of_ours() -> None:
    manifest = copy.deepcopy(DONE.manifest())
    manifest["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = json.dumps({"accuracy": 1})
    assert training_pod(manifest).last_words == used(40, at=5)


@pytest.mark.parametrize("message", ["[" * 4096, '{"a":' * 800, "9" * 4096, "\x00\ud800"])
def test_nor_does_what_the_trainer_says(message: str) -> None:
    """Whoever trains writes it, and one pod's message must not end the operator of all."""
    manifest = DONE.manifest()
    ended = {"exitCode": 1, "message": message}
    manifest["status"]["containerStatuses"] = [{"name": "trainer", "state": {"terminated": ended}}]
    assert len(training_pod(manifest).message) <= 200
