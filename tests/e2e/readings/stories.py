"""Stories: what befalls one job, told at the same time as others, each on a board and in a namespace of its own.

A test file names its stories in `STORIES`; those of all files that are collected are told at once, so that a minute of
load is one minute for all of them. Invariant: a story does nothing that any other could notice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings.allocated import AllocatedJoules

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Stage:
    """Where a story is told.

    Attributes:
        kube: a client of its own, that may do everything.
        namespace: its own, in which only restricted pods may run.
        boards: what boards count while pods have them.
    """

    cluster: Cluster
    kube: Kube
    namespace: Namespace
    agents: Agents
    boards: AllocatedJoules

    @property
    def v100(self) -> str:
        """The node of V100s."""
        return self.cluster.gpu_node("V100").name

    @property
    def a40(self) -> str:
        """The node of A40s."""
        return self.cluster.gpu_node("A40").name


Story: TypeAlias = Callable[[Stage], JsonObject]


class Told:
    """Stories that are told, and how each of them ended."""

    def __init__(self) -> None:
        self._ended: dict[Story, Future[JsonObject]] = {}

    def tell(self, stories: Iterable[Story], cluster: Cluster, operators: Operators, boards: AllocatedJoules) -> None:
        """Tell stories, all at once, to their ends."""
        every = list(stories)
        with ThreadPoolExecutor(max(1, len(every))) as pool:
            self._ended = {each: pool.submit(_tell, each, cluster, operators, boards) for each in every}

    def end_of(self, story: Story) -> JsonObject:
        """Return what a story returned; one that failed fails here."""
        return self._ended[story].result()


def evict(namespace: Namespace, pod: JsonObject) -> None:
    """Evict a pod, as a drained or full node does."""
    metadata = {"name": pod["metadata"]["name"], "namespace": namespace.name}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    namespace.kube.create(f"{namespace.pods_path}/{metadata['name']}/eviction", eviction)


def restrict(kube: Kube, namespace: Namespace) -> None:
    """Let only restricted pods into a namespace."""
    kube.merge(f"/api/v1/namespaces/{namespace.name}", {"metadata": {"labels": RESTRICTED}})


def _tell(story: Story, cluster: Cluster, operators: Operators, boards: AllocatedJoules) -> JsonObject:
    name = f"t-{os.getpid()}-{story.__name__.strip('_').replace('_', '-')}"[:63].rstrip("-")
    with Kube(cluster.kubeconfig) as kube, Namespace(kube, name, operators.log_tail) as namespace:
        restrict(kube, namespace)
        return story(Stage(cluster, kube, namespace, Agents(cluster, kube), boards))
