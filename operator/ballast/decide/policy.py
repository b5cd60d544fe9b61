"""The admin's choices that decisions go by: one frozen value, so that `decide` stays a function of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ballast.api.nodepower import FreeGpus


@dataclass(frozen=True, slots=True)
class Policy:
    """How long Ballast waits for what, and what it leaves to agents.

    Attributes:
        placement_timeout_seconds: from the reservation to the whole gang running; then it is rolled back (G3).
        missing_pods_seconds: from the reservation until it is asked why some pods were never created.
        retry_seconds: pause before the second try of what went wrong; it doubles each time.
        retry_max_seconds: the longest pause.
        lost_pod_seconds: how long after its grace a pod on a node that is not ready still counts as running.
        aging_seconds: waiting so much longer outweighs one priority class.
        deadline_head_start_seconds: the largest head start that a deadline gives in the queue.
        share_seconds: how much later the jobs of a namespace count as queued that uses twice its fair share; 0: never.
        weights: of namespaces, for their fair share; 1 for each that is not named.
        patience_seconds: the head of the queue gets nodes held for it when it has waited so long.
        agents: whether nodes have agents, so that each gets a NodePower.
        free_gpus: what agents do with GPUs that nobody holds.
        prometheus: whether there is a Prometheus to ask.
        stale_seconds: figures that are older are not fresh.
        settle_seconds: how long after a pod's end its node's agent is waited for, whose word comes last and is exact.
        lost_reading_seconds: how long the last reading of a pod is waited for of which nothing is heard any more.
        reading_seconds: how long a job stays at an operating point until a measurement of it is complete, at least.
        telemetry_seconds: how often Prometheus is asked.
        seconds_worth_watts: what a second of a job's time is worth, in joules for each of its GPUs: so many of them are
            spent to be done a second sooner, by a job that is to save energy.
        unknown_work_seconds: how long the work takes of a job of which nobody said that. Joules are spent by the
            longest jobs, so that the mean that counts is weighed by work: 322,000 s on the cluster of Philly in
            November 2017, of jobs of which half take less than 9 minutes.
        mark_empty_nodes: whether nodes with GPUs that nothing asks for are marked.
        empty_node_seconds: how long a node has been empty when it is marked.
        empty_nodes_go: whether somebody removes nodes that are marked, or switches them off, so that a node that stays
            empty costs nothing, and one that is woken its idle power.
        node_base_watts: what a node draws without its GPUs while it is on; counts only where empty nodes go.
    """

    placement_timeout_seconds: float = 600.0
    missing_pods_seconds: float = 10.0
    retry_seconds: float = 10.0
    retry_max_seconds: float = 600.0
    lost_pod_seconds: float = 30.0
    aging_seconds: float = 3600.0
    deadline_head_start_seconds: float = 6 * 3600.0
    share_seconds: float = 3600.0
    weights: Mapping[str, float] = field(default_factory=dict)
    patience_seconds: float = 600.0
    agents: bool = False
    free_gpus: FreeGpus = FreeGpus.LEAVE
    prometheus: bool = False
    stale_seconds: float = 60.0
    settle_seconds: float = 5.0
    lost_reading_seconds: float = 60.0
    reading_seconds: float = 30.0
    telemetry_seconds: float = 15.0
    seconds_worth_watts: float = 100.0
    unknown_work_seconds: float = 300_000.0
    mark_empty_nodes: bool = False
    empty_node_seconds: float = 60.0
    empty_nodes_go: bool = False
    node_base_watts: float = 350.0

    @property
    def visit_seconds(self) -> float:
        """How long a job is at an operating point that it tries out, from the change to the next choice.

        A measurement begins with the answer of Prometheus after the first whole one, and is known with the next.
        """
        return self.reading_seconds + 3 * self.telemetry_seconds

    def weight(self, namespace: str) -> float:
        """Return the weight of a namespace's fair share."""
        return self.weights.get(namespace, 1.0)

    def pause(self, times: int) -> float:
        """Return the seconds to wait after something went wrong for the n-th time in a row, n from 1."""
        return float(min(self.retry_seconds * 2 ** min(times - 1, 30), self.retry_max_seconds))
