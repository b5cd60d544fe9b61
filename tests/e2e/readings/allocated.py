"""What boards counted while pods had them: the truth that a job's ledger is held against.

Neither from the agent nor from the exporter: the counters are the simulator's, and who has which board is asked of the
kubelet, four times a second. Invariant: an interval belongs to a pod that had the board at both of its ends; one in
which a board was taken or given back is halved, which is some joules, because a board without a container idles.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from ballast.agent.node.pod_resources import DeviceId, PodResources, PodResourcesUnavailable
from tests.cluster.node import RealNode
from tests.nvmlsim.simulator import Simulator

PERIOD_SECONDS = 0.25
_SOCKET_FOLDER = Path("var-lib", "kubelet", "pod-resources")

Pod = tuple[str, str]
"""Namespace and name."""


class AllocatedJoules:
    """Watches the boards of nodes; use it as a context manager.

    Args:
        nodes: real nodes with simulated GPUs.
    """

    def __init__(self, nodes: Sequence[RealNode]) -> None:
        self._nodes = nodes
        self._joules: dict[Pod, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._problem: BaseException | None = None
        self._threads = [threading.Thread(target=self._watch, args=(node,), daemon=True) for node in nodes]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def of(self, namespace: str, job: str) -> float:
        """Return what the boards of a job's pods counted while its pods had them, all attempts together."""
        with self._lock:
            assert self._problem is None, f"the boards are not watched any more: {self._problem!r}"
            return sum(
                joules
                for (in_namespace, name), joules in self._joules.items()
                if in_namespace == namespace and name.startswith(f"{job}-")
            )

    def _watch(self, node: RealNode) -> None:
        try:
            asyncio.run(self._watch_node(node))
        except BaseException as error:
            self._problem = error
            raise

    async def _watch_node(self, node: RealNode) -> None:
        with ExitStack() as stack:
            folder = os.open(node.folder / _SOCKET_FOLDER, os.O_PATH | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            boards = stack.enter_context(node.gpus.simulator())
            # By the folder's descriptor, because the path of a UNIX socket must be short.
            async with PodResources(Path(f"/proc/self/fd/{folder}/kubelet.sock")) as kubelet:
                holders, counters = await _holders(kubelet), _counters(boards)
                while not self._stop.is_set():
                    await asyncio.sleep(PERIOD_SECONDS)
                    before, counted = holders, counters
                    try:
                        holders, counters = await _holders(kubelet), _counters(boards)
                    except PodResourcesUnavailable:  # the kubelet restarts
                        continue
                    self._add(before, counted, holders, counters)

    def _add(
        self,
        before: dict[str, Pod],
        counted: dict[str, float],
        after: dict[str, Pod],
        counters: dict[str, float],
    ) -> None:
        with self._lock:
            for uuid, joules in counters.items():
                for holder in (before.get(uuid), after.get(uuid)):
                    if holder is not None:
                        self._joules[holder] += (joules - counted[uuid]) / 2


async def _holders(kubelet: PodResources) -> dict[str, Pod]:
    held = await kubelet.list()
    return {DeviceId.parse(device).uuid: (each.namespace, each.name) for each in held for device in each.device_ids}


def _counters(boards: Simulator) -> dict[str, float]:
    return {uuid: boards.gpu(uuid).energy_joules for uuid in boards.uuids}


def wait_a_tick() -> None:
    """Let the boards' counters and the watch over them come up to now."""
    time.sleep(2 * PERIOD_SECONDS)
