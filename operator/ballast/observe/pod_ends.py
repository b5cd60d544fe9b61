"""How a pod came to its end: whether it began at all, when it ended, what its exporter said; pure functions, no state.

What must hold: the kubelet's times are believed; a message is not: anybody who may write in the container can have
written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ballast.api import exporter, finalreading
from ballast.api.finalreading import FinalReading
from ballast.api.podtemplate import TRAINER_CONTAINER
from ballast.decide.snapshot import Orphan

JsonObject = Mapping[str, Any]

ENDED_POD_PHASES = frozenset({"Succeeded", "Failed"})
MAX_POD_WATTS = 100_000.0
"""No pod draws more: whoever says that theirs did has written that themselves."""
LIFE_SLACK_SECONDS = 60.0
"""How far the clocks behind a pod's times may differ."""


def held_pod(pod: JsonObject) -> Orphan | None:
    """Return a pod by what is needed to let it go; None if nobody holds it."""
    finalizers = pod["metadata"].get("finalizers") or ()
    if finalreading.FINALIZER not in finalizers:
        return None
    metadata = pod["metadata"]
    position = finalizers.index(finalreading.FINALIZER)
    return Orphan(metadata["namespace"], metadata["name"], metadata["uid"], position)


def seconds(time: str) -> float:
    """Return a time as the API server writes it in seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp()


def _containers(status: JsonObject) -> list[JsonObject]:
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def began(status: JsonObject) -> bool:
    """Return whether any container of a pod ran at some time."""
    return any(
        {"running", "terminated"} & {*(container.get("state") or ()), *(container.get("lastState") or ())}
        for container in _containers(status)
    )


def ended_at(status: JsonObject) -> float | None:
    """Return when the last container of a pod that has ended did, or else when its conditions changed last."""
    if status.get("phase") not in ENDED_POD_PHASES:
        return None
    states = [container.get("state") or {} for container in _containers(status)]
    ends = [ended["finishedAt"] for state in states if (ended := state.get("terminated")) and ended.get("finishedAt")]
    if not ends or any("running" in state for state in states):  # the kubelet does not answer any more
        conditions = status.get("conditions") or ()
        ends = [condition["lastTransitionTime"] for condition in conditions if condition.get("lastTransitionTime")]
    return max((seconds(time) for time in ends), default=None)


def ended_before(status: JsonObject, time: float) -> bool:
    """Return whether the trainer had ended when somebody deleted the pod, which stayed because it is held."""
    for container in status.get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if container["name"] == TRAINER_CONTAINER and ended.get("finishedAt"):
            return seconds(ended["finishedAt"]) < time
    return False


def last_words(metadata: JsonObject, status: JsonObject) -> FinalReading | None:
    """Return the newest that the exporter said at its end; whoever can write there may have written anything."""
    for container in status.get("initContainerStatuses") or ():
        if container["name"] == exporter.CONTAINER:
            for state in (container.get("state") or {}, container.get("lastState") or {}):
                ended = state.get("terminated") or {}
                words = finalreading.parse(ended.get("message") or "")
                if words is not None and ended.get("finishedAt") and metadata.get("creationTimestamp"):
                    life = seconds(ended["finishedAt"]) - seconds(metadata["creationTimestamp"])
                    used = sum(joules.total for joules in words.joules.values())
                    if used <= MAX_POD_WATTS * (max(life, 0.0) + LIFE_SLACK_SECONDS):
                        return words
    return None
