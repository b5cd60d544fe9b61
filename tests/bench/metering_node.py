"""A node for the agent to look after: simulated GPUs under load that pods share, and what else it reads there.

The GPUs are the simulated NVML's, the pod-resources socket is a real gRPC server, control groups are files of the
kernel's form. Time is real: a thread lets the GPUs and the pods' CPU time go on ten times a second.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ballast.agent.node.pod_resources import Held
from tests.nvmlsim.boards import V100
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.agent.kubelet_socket import KubeletSocket

GPUS: Final = 8
PODS_OF_A_GPU: Final = 5
STEP_SECONDS: Final = 0.1
CPU_SHARE: Final = 0.02
"""Of a core, that each pod uses."""
FIRST_PID: Final = 1_000_000
NANOSECONDS_DIGITS: Final = 20


class MeteringNode:
    """The node.

    Args:
        folder: for all its files.
        pods: name and UID of the pods, as the API server knows them.
        gpus: how many it has; the pods share them evenly.

    Attributes:
        pods: UIDs of the pods that share each GPU, by its UUID.
    """

    def __init__(self, folder: Path, pods: Mapping[str, str], gpus: int = GPUS) -> None:
        of_a_gpu, left = divmod(len(pods), gpus)
        if left or not pods:
            raise ValueError(f"{len(pods)} pods cannot share {gpus} GPUs evenly")
        self._folder = folder
        self._names = dict(pods)
        self.simulator = Simulator.create(folder / "nvml" / "state", [V100] * gpus)
        uids = list(pods.values())
        self.pods: dict[str, Sequence[str]] = {
            uuid: uids[number * of_a_gpu : (number + 1) * of_a_gpu] for number, uuid in enumerate(self.simulator.uuids)
        }
        self._groups: list[int] = []

    def environment(self) -> dict[str, str]:
        """Return the settings with which an agent finds everything here."""
        return {
            "BALLAST_AGENT_STATE_FOLDER": str(self._folder / "state"),
            "BALLAST_AGENT_POD_RESOURCES_SOCKET": str(self.socket),
            "BALLAST_AGENT_PROC_ROOT": str(self._folder / "proc"),
            "BALLAST_AGENT_CGROUP_ROOT": str(self._folder / "cgroup"),
            "BALLAST_AGENT_POWERCAP_ROOT": str(self._folder / "powercap"),
        }

    @property
    def socket(self) -> Path:
        """The kubelet's pod-resources socket."""
        return self._folder / "kubelet.sock"

    @property
    def state_folder(self) -> Path:
        """Where the agent keeps its totals."""
        return self._folder / "state"

    @contextmanager
    def living(self) -> Iterator[None]:
        """Let pods compute and the kubelet answer until the end of the block."""
        self._make_files()
        with ExitStack() as stack:
            stack.callback(self._close)
            stop = threading.Event()
            for body in (self._live, self._answer):
                thread = threading.Thread(target=body, args=(stop,), daemon=True)
                thread.start()
                stack.callback(thread.join)
            stack.callback(stop.set)
            yield

    def _make_files(self) -> None:
        proc = self._folder / "proc"
        proc.mkdir()
        for name in ("stat", "cpuinfo", "sys"):
            (proc / name).symlink_to(f"/proc/{name}")
        pid = FIRST_PID
        for uuid, uids in self.pods.items():
            loads = []
            for number, uid in enumerate(uids):
                pid += 1
                (proc / str(pid)).mkdir()
                (proc / str(pid) / "cgroup").write_text(f"2:cpuacct:/kubepods/burstable/pod{uid}/trainer\n")
                group = self._folder / "cgroup" / "cpuacct" / "kubepods" / "burstable" / f"pod{uid}"
                group.mkdir(parents=True)
                self._groups.append(os.open(group / "cpuacct.usage", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                loads.append(Load(uid, (pid,), 0.05 + 0.05 * number))
            self.simulator.set_load(uuid, loads)

    def _live(self, stop: threading.Event) -> None:
        began = before = time.monotonic()
        while not stop.wait(STEP_SECONDS):
            now = time.monotonic()
            self.simulator.advance(now - before)
            before = now
            used = f"{(now - began) * CPU_SHARE * 1e9:0{NANOSECONDS_DIGITS}.0f}\n".encode()
            for group in self._groups:
                os.pwrite(group, used, 0)

    def _answer(self, stop: threading.Event) -> None:
        held = []
        names = {uid: name for name, uid in self._names.items()}
        for uuid, uids in self.pods.items():
            for replica, uid in enumerate(uids):
                held.append(Held("default", names[uid], "trainer", "nvidia.com/gpu", (f"{uuid}::{replica}",)))

        async def serve() -> None:
            async with KubeletSocket(held).serving(self.socket):
                await asyncio.to_thread(stop.wait)

        asyncio.run(serve())

    def _close(self) -> None:
        for group in self._groups:
            os.close(group)
        self._groups.clear()
        self.simulator.close()
