"""A node with simulated GPUs whose limits an admin has set, and the agent's process on it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ballast.api.operatingpoint import OperatingPoint
from ballast.failpoints import VARIABLE
from tests.integration.agent_restore.capping_process import STATE
from tests.nvmlsim.boards import A40, V100
from tests.nvmlsim.simulator import Simulator
from tests.nvmlsim.testing import environment

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 60.0
MHZ = 1_000_000
BOARDS = (A40, V100, A40)
FOUND_WATTS = (260.0, 187.5, 275.0)
"""Neither the boards' default nor their highest limit."""
FOUND = tuple((watts, None, None) for watts in FOUND_WATTS)
A40_POINT = OperatingPoint(
    power_limit_watts=150, min_clock_hertz=210 * MHZ, max_clock_hertz=900 * MHZ, memory_clock_hertz=6501 * MHZ
)
V100_POINT = OperatingPoint(power_limit_watts=120, min_clock_hertz=135 * MHZ, max_clock_hertz=900 * MHZ)
CAPPED = ((150.0, (210, 900), (6501, 6501)), (120.0, (135, 900), None), FOUND[2])
"""What boards have while pods `p` and `q` hold the first two; nobody has a say in the third."""

Settings = tuple[tuple[float, tuple[int, int] | None, tuple[int, int] | None], ...]


class GpuNode:
    """One node; found values are read from its boards, never from the agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gpus = Simulator.create(folder / "nvml" / "state", BOARDS)
        self.uuids = self.gpus.uuids
        for uuid, watts in zip(self.uuids, FOUND_WATTS, strict=True):
            self.gpus.set_power_limit(uuid, watts)
        self._number = 0
        self.asked: dict[str, Any] = {
            "spec": {
                "pods": [
                    {"uid": uid, "operatingPoint": point.model_dump(by_alias=True, exclude_none=True)}
                    for uid, point in (("p", A40_POINT), ("q", V100_POINT))
                ]
            },
            "holders": {},
            "renewed": "always",
        }
        self.ask()

    # -- the world

    def ask(self, **changes: Any) -> None:
        """Change what the API server and the kubelet say."""
        self._number += 1
        self.asked |= changes | {"number": self._number}
        unfinished = self.folder / "asked.unfinished"
        unfinished.write_text(json.dumps(self.asked))
        unfinished.replace(self.folder / "asked")

    def pods_run(self) -> None:
        """Pods `p` and `q` get a GPU each."""
        self.ask(holders={self.uuids[0]: ["p"], self.uuids[1]: ["q"]})

    def pods_end(self) -> None:
        """Nobody holds a GPU."""
        self.ask(holders={})

    def settings(self) -> Settings:
        """What the boards have."""
        gpus = [self.gpus.gpu(uuid) for uuid in self.uuids]
        return tuple((gpu.power_limit_watts, gpu.locked_clocks_mhz, gpu.locked_memory_clocks_mhz) for gpu in gpus)

    def setters_of_the_third(self) -> list[str]:
        """Calls that changed the board in which nobody has a say."""
        return [call.name for call in self.gpus.calls() if call.uuid == self.uuids[2]]

    def kept(self) -> list[str]:
        """Files of originals."""
        return [path.name for path in (self.folder / STATE).rglob("*") if path.is_file()]

    # -- the agent

    @contextmanager
    def agent(self, command: str = "run", failpoint: str = "") -> Iterator[Agent]:
        """The agent's process; it is gone afterwards."""
        (self.folder / "told").unlink(missing_ok=True)
        env = environment(self.gpus.path) | {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", VARIABLE: failpoint}
        log = (self.folder / "log").open("a")
        module = "tests.integration.agent_restore.capping_process"
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(self.folder), command], env=env, cwd=ROOT, stdout=log, stderr=log
        )
        try:
            yield Agent(self, process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            log.close()

    def uninstall(self) -> Mapping[str, Any]:
        """Restore everything, as the hook of the chart does; return what the process told."""
        with self.agent("uninstall") as agent:
            assert agent.process.wait(PATIENCE_SECONDS) == 0, agent.log
            return agent.told


class Agent:
    """A running agent."""

    def __init__(self, node: GpuNode, process: subprocess.Popen[bytes]) -> None:
        self._node = node
        self.process = process

    @property
    def told(self) -> dict[str, Any]:
        """Its newest answer."""
        file = self._node.folder / "told"
        told: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return told

    @property
    def log(self) -> str:
        """What it logged."""
        return (self._node.folder / "log").read_text()

    def state(self, index: int) -> dict[str, Any]:
        """What it says of a GPU."""
        state: dict[str, Any] = self.told.get("states", {}).get(self._node.uuids[index], {})
        return state

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to be so; the process must live until then."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < end, f"in vain; boards: {self._node.settings()}, told: {self.told}"
            time.sleep(0.01)

    def wait_for(self, settings: Settings) -> None:
        """Wait until the boards have this."""
        self.wait_until(lambda: self._node.settings() == settings)

    def wait_rounds(self, count: int = 3) -> None:
        """Wait for whole rounds that begin from now on."""
        first = self.told.get("round", 0)
        self.wait_until(lambda: self.told.get("round", 0) > first + count)

    def end(self) -> int:
        """SIGTERM; return how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    @property
    def has_died(self) -> bool:
        """Whether it was killed."""
        return self.process.poll() == -signal.SIGKILL
