"""A waiting job says where it stands in the queue, and when its turn comes once the queue has a pace."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

NODE = "v100-1"


def _hold(namespace: Namespace) -> None:
    namespace.submit(training_job("holder").gpus(8).on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("holder", "Running")


def _wait_for_position(namespace: Namespace, name: str, position: int) -> None:
    namespace.wait_for_job(
        name, lambda job: (job["status"].get("queue") or {}).get("position") == position, f"{name} is no. {position}"
    )


@pytest.mark.usefixtures("operator")
def test_the_position_follows_the_queue(namespace: Namespace, audit: AuditLog) -> None:
    _hold(namespace)
    for name in ("a-first", "b-second", "c-third"):
        namespace.submit(training_job(name).gpus(8).on_node(NODE))
        namespace.wait_until_refused(name, "WaitingForCapacity")
    for position, name in enumerate(("a-first", "b-second", "c-third"), start=1):
        _wait_for_position(namespace, name, position)

    # Places in the queue are taken by the second: let one pass.
    namespace.submit(training_job("a-second-long").gpus(1).on_node("a40-0"))
    namespace.wait_for_phase("a-second-long", "Succeeded")
    namespace.edit("a-first", suspend=True)
    namespace.wait_for_phase("a-first", "Suspended")
    _wait_for_position(namespace, "b-second", 1)
    _wait_for_position(namespace, "c-third", 2)
    namespace.edit("a-first", suspend=False)
    _wait_for_position(namespace, "a-first", 3)
    assert_nothing_left(namespace, audit)


@pytest.mark.slow
@pytest.mark.usefixtures("operator")
def test_a_start_is_predicted_when_there_is_a_pace(namespace: Namespace, audit: AuditLog) -> None:
    names = [f"short-{number}" for number in range(6)]
    namespace.submit(*(training_job(name).gpus(1).on_node(NODE) for name in names))
    for name in names:
        namespace.wait_for_phase(name, "Succeeded")
    _hold(namespace)
    namespace.submit(training_job("waits").gpus(8).on_node(NODE))
    job = namespace.wait_for_job(
        "waits",
        lambda job: "predictedStart" in (job["status"].get("queue") or {}),
        "waits knows when it starts",
        timeout_seconds=120,
    )
    assert job["status"]["queue"]["predictedStart"] > job["status"]["queuedAt"]
    assert_nothing_left(namespace, audit)
