"""Boards are shared by all processes of a node, and only root may set anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.cluster.paths import CHECKOUT
from tests.nvmlsim.boards import V100
from tests.nvmlsim.simulator import Simulator
from tests.nvmlsim.testing import environment, nvml
from tests.unit.nvmlsim.builders import A40_INDEX, V100_INDEX, handle, only_root

_IMPORTS = "import ctypes, json, os, pynvml\n"
_PREFACE = """
import ctypes, json, os, pynvml
pynvml.nvmlInit()
device = pynvml.nvmlDeviceGetHandleByIndex(0)
"""

_TRY_TO_SET = """
try:
    pynvml.nvmlDeviceSetPowerManagementLimit(device, 120_000)
    result = 0
except pynvml.NVMLError as error:
    result = error.value
print(json.dumps([result, pynvml.nvmlDeviceGetPowerManagementLimit(device)]))
"""


def _run(state: Path, program: str) -> Any:
    """Run a program in a process of its own; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(state), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@only_root
def test_two_processes_see_what_each_other_sets(sim: Simulator) -> None:
    pynvml.nvmlDeviceSetPowerManagementLimit(handle(sim, V100_INDEX), 175_000)
    program = """
before = pynvml.nvmlDeviceGetPowerManagementLimit(device)
pynvml.nvmlDeviceSetPowerManagementLimit(device, 120_000)
print(json.dumps([before, os.getpid()]))
"""
    told = _run(sim.path, _PREFACE + program)
    assert told[0] == 175_000
    assert pynvml.nvmlDeviceGetPowerManagementLimit(handle(sim, V100_INDEX)) == 120_000
    assert [call.pid for call in sim.calls()] == [os.getpid(), told[1]]


@only_root
@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_another_user_reads_but_sets_nothing(mode: int) -> None:
    """Also if the state file could be written: the driver asks who calls."""
    with tempfile.TemporaryDirectory() as folder, nvml(Path(folder), [V100]) as sim:
        Path(folder).chmod(0o755)
        sim.path.chmod(mode)
        drop = "ctypes.CDLL('libnvidia-ml.so.1')\nos.setuid(65534)\n"  # loaded first: it may lie where only root reads
        told = _run(sim.path, _IMPORTS + drop + _PREFACE + _TRY_TO_SET)
        assert told == [pynvml.NVML_ERROR_NO_PERMISSION, 250_000]
        assert sim.gpu(sim.uuids[0]).power_limit_watts == 250.0


@only_root
def test_a_process_that_drops_root_sets_nothing_more(sim: Simulator) -> None:
    told = _run(sim.path, _PREFACE + "os.setuid(65534)\n" + _TRY_TO_SET)
    assert told == [pynvml.NVML_ERROR_NO_PERMISSION, 250_000]
    assert [call.result for call in sim.calls()] == [pynvml.NVML_ERROR_NO_PERMISSION]


@only_root
def test_root_sets_nothing_where_the_state_cannot_be_written(sim: Simulator, tmp_path: Path) -> None:
    """As in a container into which it is mounted read-only: a mount of that kind shows as an open that fails."""
    link = tmp_path / "read-only"
    subprocess.run(["mkdir", "-p", str(link)], check=True)
    mounted = subprocess.run(
        [
            *("unshare", "-m", "sh", "-c"),
            'mount --bind "$0" "$1" && mount -o remount,bind,ro "$1" && exec "$2" -c "$3"',
            *(str(sim.path.parent), str(link), sys.executable, _PREFACE + _TRY_TO_SET),
        ],
        env=environment(link / sim.path.name),
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in mounted.stderr or "mount:" in mounted.stderr:
        pytest.skip("this machine lets nobody mount")
    assert json.loads(mounted.stdout) == [pynvml.NVML_ERROR_NO_PERMISSION, 250_000]


def test_a_killed_holder_of_the_lock_stops_nobody(sim: Simulator) -> None:
    """The kernel lets go of a lock whose holder was killed."""
    program = """
import signal, sys
from pathlib import Path
from tests.nvmlsim.state import State
with State.open(Path(sys.argv[1])).locked():
    print("held", flush=True)
    signal.pause()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(sim.path)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    assert pynvml.nvmlDeviceGetPowerUsage(handle(sim, A40_INDEX)) == 30_000


def test_a_forked_child_has_a_lock_of_its_own(sim: Simulator) -> None:
    """An open file that is shared with the parent, and with it the lock, would show as a shared position in it."""
    program = """
state = os.path.realpath(os.environ["NVMLSIM_STATE"])
(fd,) = (int(n) for n in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{n}") == state)
child = os.fork()
if not child:
    pynvml.nvmlDeviceGetPowerUsage(device)
    os.lseek(fd, 42, os.SEEK_SET)
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([os.lseek(fd, 0, os.SEEK_CUR), pynvml.nvmlDeviceGetPowerUsage(device)]))
"""
    assert _run(sim.path, _PREFACE + program) == [0, 25_000]
