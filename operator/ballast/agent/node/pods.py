"""The pods of this node as the API server knows them, kept by a watch.

The kubelet tells which GPU it gave to which pod by namespace and name; UIDs come from here. What must hold: a name
means the pod that has it now, and a pod that has ended has no name any more, so that it holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ballast.api.labels import JOB_UID_LABEL
from ballast.kube import JsonObject

ENDED = frozenset({"Succeeded", "Failed"})
MANIFEST_HASH = "kubernetes.io/config.hash"
"""On a mirror pod: what the kubelet calls the pod that it runs by itself, in cgroups too."""
REMEMBERED = 1024
"""Deleted pods that are remembered as such: longer than their tokens could still be taken for good."""


@dataclass(frozen=True, slots=True)
class PodOnNode:
    """A pod.

    Attributes:
        ended: whether all its containers have, for good.
        trains: whether it is one of Ballast's.
        leaving: whether its deletion has begun.
    """

    uid: str
    namespace: str
    name: str
    ended: bool
    trains: bool = False
    leaving: bool = False


class PodsOnNode:
    """The node's pods.

    Args:
        on_change: called when a pod comes, ends or goes.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._pods: dict[str, PodOnNode] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._running: Mapping[str, PodOnNode] = {}
        self._ended: frozenset[str] | None = None
        self._gone: dict[str, None] = {}  # the latest last
        self._on_change = on_change
        self.is_known = False
        """Whether there was a complete list."""

    def listed(self, objects: Sequence[JsonObject]) -> None:
        """Take in a complete list."""
        self._set({pod.uid: pod for pod in map(_pod, objects)})

    def changed(self, kind: str, obj: JsonObject) -> None:
        """Take in a change."""
        pod = _pod(obj)
        rest = {uid: each for uid, each in self._pods.items() if uid != pod.uid}
        self._set(rest if kind == "DELETED" else {**rest, pod.uid: pod})

    def uid_of(self, namespace: str, name: str) -> str | None:
        """Return the UID of the pod that has this name and has not ended."""
        return self._names.get((namespace, name))

    def running(self) -> Mapping[str, PodOnNode]:
        """Return the pods that have not ended, by UID; a snapshot, never changed afterwards."""
        return self._running

    def ended(self) -> frozenset[str] | None:
        """Return the UIDs of those that have ended and are still there as objects; None before the first list."""
        return self._ended

    def is_gone(self, uid: str) -> bool:
        """Return whether a pod is known to have been deleted; False for one that was never heard of."""
        return uid in self._gone

    def is_there(self, uid: str) -> bool:
        """Return whether a pod is known to be there, neither ended nor about to be deleted, as far as is known now."""
        pod = self._pods.get(uid)
        return pod is not None and not pod.ended and not pod.leaving

    def _set(self, pods: dict[str, PodOnNode]) -> None:
        is_news = not self.is_known or pods != self._pods
        self.is_known = True
        if is_news:
            gone = self._pods.keys() - pods.keys()
            # Not those that are back: a mirror pod that is made again is the same pod.
            before = [uid for uid in self._gone if uid not in pods and uid not in gone]
            self._gone = dict.fromkeys([*before, *gone])
            for uid in list(self._gone)[:-REMEMBERED]:
                del self._gone[uid]
            self._pods = pods
            self._names = {(pod.namespace, pod.name): pod.uid for pod in pods.values() if not pod.ended}
            self._running = {uid: pods[uid] for uid in self._names.values()}
            self._ended = frozenset(uid for uid, pod in pods.items() if pod.ended)
            self._on_change()


def _pod(obj: JsonObject) -> PodOnNode:
    metadata = obj["metadata"]
    phase = (obj.get("status") or {}).get("phase")
    uid = (metadata.get("annotations") or {}).get(MANIFEST_HASH) or metadata["uid"]
    return PodOnNode(
        uid,
        metadata["namespace"],
        metadata["name"],
        ended=phase in ENDED,
        trains=JOB_UID_LABEL in (metadata.get("labels") or {}),
        leaving="deletionTimestamp" in metadata,
    )
