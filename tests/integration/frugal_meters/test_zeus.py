"""SIMULATED. The counter of `frugal bench` agrees with Zeus, which reads the same board by code of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.paths import CHECKOUT
from tests.integration.frugal_sweep.test_sweep import living
from tests.nvmlsim.boards import V100
from tests.nvmlsim.simulator import Simulator
from tests.nvmlsim.testing import environment
from tests.unit.nvmlsim.builders import only_root

pytestmark = only_root

BOTH = """
import json, time
import pynvml
from frugal.bench.counters import NvmlGpus
from zeus.monitor import ZeusMonitor

pynvml.nvmlInit()
uuid = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0))
zeus = ZeusMonitor(gpu_indices=[0])
zeus.begin_window("all", sync_execution=False)
ours = NvmlGpus([uuid])
time.sleep(1.5)
joules = ours.joules()
print(json.dumps([joules, zeus.end_window("all", sync_execution=False).gpu_energy[0]]))
"""


def test_zeus_counts_the_same_joules(tmp_path: Path) -> None:
    with Simulator.create(tmp_path / "nvml" / "state", [V100]) as simulator, living(simulator):
        environ = environment(simulator.path)
        environ["PYTHONPATH"] = os.pathsep.join(map(str, (CHECKOUT / "workloads", CHECKOUT / "operator", CHECKOUT)))
        environ["HOME"] = str(tmp_path)  # no settings of this user's
        program = subprocess.run(
            [sys.executable, "-c", BOTH], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert program.returncode == 0, program.stderr
    ours, zeus = json.loads(program.stdout)
    assert ours > 100, "a board under full load"
    # Zeus's window holds ours: between the two readings at each end the board goes on.
    assert ours == pytest.approx(zeus, rel=0.15)
    assert ours <= zeus + 0.001  # counters count millijoules, floats a little less or more
