"""A simulated node: its kubelet, which gives GPUs to pods, and its agent, which sets their power limits.

What must hold: a GPU belongs to one pod at most; it has the limit that the node's NodePower asks for its pod if its
range holds that, and else the one that was found; of a GPU without a pod nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ballast.api.nodepower import NodePower, NodePowerSpec
from ballast.api.quantities import POWER
from ballast.errors import BallastError
from ballast.simulate.policy import SimNode
from ballast.simulate.world import objects
from ballast.simulate.world.objects import GpuState, JsonObject


class Overcommitted(BallastError):
    """A pod was bound to a node that has no room for it: decisions, or what they were told, are wrong."""


class Machine:
    """A node; see the module's docstring.

    Args:
        node: As the cluster file has it.

    Raises:
        UserError: Its name, or what it says of its GPUs, is nothing that a cluster would take.
    """

    def __init__(self, node: SimNode) -> None:
        self.node = node
        self._gpus = [GpuState()] * node.gpus
        self._spec = NodePowerSpec()
        NodePower.parse(self.power(version=1))

    @property
    def free(self) -> int:
        """GPUs that no pod holds."""
        return sum(gpu.holder is None for gpu in self._gpus)

    def take(self, pod: Mapping[str, Any], gpus: int, now: float) -> None:
        """Give a pod its GPUs.

        Args:
            pod: The pod.
            gpus: How many it asks for.
            now: Seconds since the trace began.

        Raises:
            Overcommitted: Too few are free.
        """
        if gpus > self.free:
            name = pod["metadata"]["name"]
            raise Overcommitted(
                f"node {self.node.name}: pod {name} needs {gpus} GPUs and {self.free} of {self.node.gpus} are free"
            )
        for index, gpu in enumerate(self._gpus):
            if gpus and gpu.holder is None:
                self._gpus[index] = GpuState(holder=pod)
                gpus -= 1
        self._enforce(now)

    def give_back(self, pod_uid: str) -> None:
        """Take the GPUs of a pod that has ended; they get back what was found."""
        self._gpus = [GpuState() if _is_held_by(gpu, pod_uid) else gpu for gpu in self._gpus]

    def obey(self, spec: NodePowerSpec, now: float) -> None:
        """Do what the operator asks.

        Args:
            spec: Of the node's NodePower.
            now: Seconds since the trace began.
        """
        self._spec = spec
        self._enforce(now)

    def power(self, version: int) -> JsonObject:
        """Return the node's NodePower as it is now."""
        return objects.node_power(self.node, self._spec.to_manifest(), self._gpus, version)

    def _enforce(self, now: float) -> None:
        asked = {entry.uid: entry.operating_point.power_limit_watts for entry in self._spec.pods}
        for index, gpu in enumerate(self._gpus):
            if gpu.holder is not None:
                self._gpus[index] = self._at(gpu, asked.get(gpu.holder["metadata"]["uid"]), now)

    def _at(self, gpu: GpuState, watts: float | None, now: float) -> GpuState:
        lowest, highest = self.node.min_limit_watts, self.node.max_limit_watts
        problem = None
        if watts is not None and not lowest <= watts <= highest:
            allowed = f"{POWER.human(lowest)} to {POWER.human(highest)}"
            problem, watts = f"{POWER.human(watts)} is outside its range: choose {allowed}", None
        since = gpu.since if watts == gpu.limit_watts else now
        return replace(gpu, limit_watts=watts, since=since, problem=problem)


def _is_held_by(gpu: GpuState, pod_uid: str) -> bool:
    return gpu.holder is not None and gpu.holder["metadata"]["uid"] == pod_uid
