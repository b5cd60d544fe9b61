"""Made-up control groups and processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.nvmlsim.load import Containers

POD = "0a1b2c3d-0000-4000-8000-000000000001"
GPU = "GPU-11111111-1111-4111-8111-111111111111"
OTHER_GPU = "GPU-22222222-2222-4222-8222-222222222222"


@dataclass
class FakeNode:
    """A node of files: `containers` reads it as the kernel's own."""

    folder: Path
    v2: bool

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        if self.v2:
            (self.root / "cgroup.controllers").write_text("cpu memory")

    @property
    def root(self) -> Path:
        return self.folder / "cgroup"

    @property
    def containers(self) -> Containers:
        return Containers("node", root=self.root, proc=self.folder / "proc")

    def cpu(self, container: str, pod: str = POD, service: str = "burstable") -> Path:
        """The container's folder in the hierarchy with its quota."""
        base = self.root if self.v2 else self.root / "cpu"
        return base / "node" / "kubepods" / service / f"pod{pod}" / container

    def add(
        self, container: str, pid: int, *, pod: str = POD, service: str = "burstable", quota: str = "50000"
    ) -> Path:
        """Make a container with one process."""
        folder = self.cpu(container, pod, service)
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text(f"{pid}\n")
        if self.v2:
            (folder / "cpu.max").write_text(f"{quota.replace('-1', 'max')} 100000\n")
        else:
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (folder / "cpu.cfs_period_us").write_text("100000\n")
        self.use(container, 0.0, pod=pod, service=service)
        return folder

    def use(self, container: str, seconds: float, *, pod: str = POD, service: str = "burstable") -> None:
        """Let a container have used so much CPU time."""
        folder = self.cpu(container, pod, service)
        if self.v2:
            (folder / "cpu.stat").write_text(f"usage_usec {round(seconds * 1e6)}\nuser_usec 0\n")
        else:
            usage = self.root / "cpuacct" / folder.relative_to(self.root / "cpu")
            usage.mkdir(parents=True, exist_ok=True)
            (usage / "cpuacct.usage").write_text(f"{round(seconds * 1e9)}\n")

    def quota(self, container: str) -> str:
        """The quota that a container has now."""
        file = "cpu.max" if self.v2 else "cpu.cfs_quota_us"
        return (self.cpu(container) / file).read_text().split()[0]

    def process(self, pid: int, *, name: str = "python3", **environment: str) -> None:
        """Make a process."""
        folder = self.folder / "proc" / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "environ").write_bytes(b"".join(f"{key}={value}\0".encode() for key, value in environment.items()))
