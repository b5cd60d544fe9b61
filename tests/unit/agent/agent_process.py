"""The whole agent in the test's own process: an API server, a kubelet and GPUs in memory, files in a folder."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from ballast.agent import agent as module
from ballast.agent.device import Process, ProcessUsage, Sample
from ballast.agent.node.pod_resources import Held
from ballast.agent.settings import AgentSettings
from ballast.api.nodepower import NodePowerSpec
from ballast.api.nodestatus import NodePowerStatus
from ballast.clock import steady_seconds
from ballast.errors import BallastError
from ballast.kube import ApiRefused, JsonObject
from tests.power_builders import manifest
from tests.unit.agent.fake_gpu import Board, FakeDevice, FakeDriver

NODE = "a"
NODE_POWERS = "/apis/ballast.dev/v1alpha1/nodepowers"


class ReadableDevice(FakeDevice):
    """A GPU that is read, too."""

    def sample(self) -> Sample:
        self._look("sample")
        now = steady_seconds()
        return Sample(now, now * 60.0, 60.0, self._board.limit_watts, utilization=0.0)

    def read_energy(self) -> Sample:
        return self.sample()

    def processes(self) -> tuple[Process, ...]:
        return ()

    def usage_since(self, microseconds: int) -> tuple[ProcessUsage, ...]:
        return ()


class Driver(FakeDriver):
    """The node's driver."""

    def devices(self) -> list[FakeDevice]:
        return [ReadableDevice(self, self.boards[each.uuid]) for each in super().devices()]


class ApiServer:
    """Pods, one NodePower and the Lease; it renews the Lease whenever it is read.

    Attributes:
        power: the NodePower; None while there is none.
        statuses: that the agent wrote, in order.
    """

    def __init__(self) -> None:
        self.pods: list[JsonObject] = []
        self.power: JsonObject | None = manifest(NODE)
        self.statuses: list[NodePowerStatus] = []
        self._changes: dict[str, asyncio.Queue[tuple[str, JsonObject]]] = {}
        self._renewals = 0

    def add_pod(self, name: str, phase: str = "Running", **labels: str) -> None:
        """A pod whose UID is its name; it may be another state of one that is there."""
        metadata = {"uid": name, "namespace": "team", "name": name, "labels": labels, "resourceVersion": "2"}
        pod = {"metadata": metadata, "status": {"phase": phase}}
        self.pods = [*(each for each in self.pods if each["metadata"]["uid"] != name), pod]
        if module.PODS in self._changes:
            self._changes[module.PODS].put_nowait(("MODIFIED", pod))

    def ask(self, spec: NodePowerSpec) -> None:
        """The operator asks for something else."""
        assert self.power is not None
        self.power = {**self.power, "spec": spec.to_manifest()}
        if NODE_POWERS in self._changes:
            self._changes[NODE_POWERS].put_nowait(("MODIFIED", self.power))

    def beside(self, _: float) -> ApiServer:
        return self

    async def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        items = self.pods if path == module.PODS else [each for each in [self.power] if each is not None]
        yield {"items": items, "metadata": {"resourceVersion": "1"}}

    async def watch(
        self, path: str, resource_version: str, field_selector: str | None = None
    ) -> AsyncGenerator[tuple[str, JsonObject]]:
        changes = self._changes.setdefault(path, asyncio.Queue())
        while True:
            yield await changes.get()

    async def get(self, path: str) -> JsonObject:
        self._renewals += 1
        return {"spec": {"holderIdentity": "operator", "renewTime": str(self._renewals)}}

    async def apply(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        if self.power is None:
            raise ApiRefused(404, "NotFound", path)
        self.statuses.append(NodePowerStatus.model_validate(body["status"]))
        return {}


class Kubelet:
    """Tells who holds which GPU."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.error: BallastError | None = None

    def give(self, pod: str, *uuids: str) -> None:
        """Give GPUs to a pod."""
        self.held.append(Held("team", pod, "trainer", "nvidia.com/gpu", uuids))

    async def list(self) -> list[Held]:
        if self.error is not None:
            raise self.error
        return self.held


class AgentProcess:
    """One node.

    Args:
        folder: its disk.
        *uuids: its GPUs.
    """

    def __init__(self, folder: Path, *uuids: str) -> None:
        self.driver = Driver(*(Board(uuid) for uuid in uuids))
        self.api = ApiServer()
        self.kubelet = Kubelet()
        self.settings = AgentSettings(
            node_name=NODE,
            namespace="ballast-system",
            state_folder=folder / "state",
            cgroup_root=folder / "cgroup",
            powercap_root=folder / "powercap",
            http_host="127.0.0.1",
            http_port=0,
            https_port=0,
            status_seconds=0.01,
            drift_seconds=0.1,
            sample_hertz=10,
        )
        (folder / "cgroup").mkdir()
        (folder / "powercap").mkdir()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The agent at work; SIGTERM ends it."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        process = asyncio.create_task(self._run())
        try:
            await self.until(lambda: bool(self.api.statuses) or self.api.power is None, process)
            yield
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(30):
                await process
        finally:
            process.cancel()
            with suppress(asyncio.CancelledError):
                await process
            for number, handler in handlers.items():
                asyncio.get_running_loop().remove_signal_handler(number)
                signal.signal(number, handler)

    async def until(self, holds: Callable[[], bool], process: asyncio.Task[None] | None = None) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(30):
            while not holds():
                if process is not None and process.done():
                    await process
                await asyncio.sleep(0.01)

    @property
    def last(self) -> NodePowerStatus:
        """The status that was written last."""
        return self.api.statuses[-1]

    async def _run(self) -> None:
        api: Any = self.api
        kubelet: Any = self.kubelet
        try:
            async with asyncio.TaskGroup() as tasks:
                await module._Agent(self.settings, self.driver, api, kubelet, tasks).run()
        except* module._Stop:
            pass
