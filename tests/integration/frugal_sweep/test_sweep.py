"""The whole program: a sweep of a paced command, and one that is stopped in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ballast.api.energyprofile import EnergyProfile
from frugal.sweep.result import SweepResult
from tests.cluster.paths import CHECKOUT
from tests.integration.frugal_sweep.paced import KEY
from tests.nvmlsim.boards import V100
from tests.nvmlsim.simulator import Load, Simulator
from tests.nvmlsim.testing import environment
from tests.unit.nvmlsim.builders import only_root

pytestmark = [only_root, pytest.mark.slow]

FOUND_WATTS = 240.0
TICK_SECONDS = 0.02


@contextmanager
def living(simulator: Simulator) -> Iterator[None]:
    """Let the boards' time pass as ours does, under the full load of the training."""
    (uuid,) = simulator.uuids
    simulator.set_load(uuid, [Load(KEY)])
    ended = threading.Event()

    def live() -> None:
        last = time.monotonic()
        while not ended.wait(TICK_SECONDS):
            now = time.monotonic()
            simulator.advance(now - last)
            last = now

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """A V100 that somebody limited to 240 W."""
    with Simulator.create(tmp_path / "nvml" / "state", [V100]) as made:
        made.set_power_limit(made.uuids[0], FOUND_WATTS)
        with living(made):
            yield made


def frugal_sweep(simulator: Simulator, work_seconds: float, *words: str | Path) -> subprocess.Popen[str]:
    environ = environment(simulator.path)
    environ.pop("KUBERNETES_SERVICE_HOST", None)
    environ["PYTHONPATH"] = os.pathsep.join(map(str, (CHECKOUT / "workloads", CHECKOUT / "operator", CHECKOUT)))
    work = [sys.executable, "-m", "tests.integration.frugal_sweep.paced", str(simulator.path), str(work_seconds)]
    return subprocess.Popen(
        [sys.executable, "-m", "frugal", "sweep", *map(str, words), "--", *work],
        env=environ, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_hangups,
    )  # fmt: skip


def _hear_hangups() -> None:
    """Even where the tests run under nohup, whose children ignore SIGHUP, and frugal with them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_sweep_from_the_command_line_to_a_profile(simulator: Simulator, tmp_path: Path) -> None:
    """SIMULATED. Less power at lower limits, more time, all of it marked, and a profile that Ballast takes."""
    (uuid,) = simulator.uuids
    json, profile = tmp_path / "sweep.json", tmp_path / "profile.yaml"
    program = frugal_sweep(
        simulator, 1.0, "--points", "100W", "--rounds", "2", "--steps", "40",
        "--json", json, "--profile", profile, "--profile-key", "paced",
    )  # fmt: skip
    out, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    assert "SIMULATED" in out
    assert "Accuracy is not affected" in out
    base, low = SweepResult.from_json(json.read_text()).results()
    assert [one.point.power_limit_watts for one in (base, low)] == [FOUND_WATTS, 100]
    assert min(base.watts) > max(low.watts)
    assert low.slowdown_percent is not None
    assert low.slowdown_percent.mean > 10
    manifest = yaml.safe_load(profile.read_text())
    manifest["metadata"]["namespace"] = "ballast-system"
    assert EnergyProfile.parse(manifest).spec.gpu_model.endswith("-simulated")
    assert f"nvidia-smi -i {uuid} -pl 240" in err
    assert simulator.gpu(uuid).power_limit_watts == FOUND_WATTS
    assert all(call.pid == program.pid for call in simulator.calls())


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_puts_the_gpu_back_and_ends_the_work(simulator: Simulator, signum: int) -> None:
    (uuid,) = simulator.uuids
    program = frugal_sweep(simulator, 0.2, "--points", "150W@690MHz,120W@690MHz", "--rounds", "500")
    deadline = time.monotonic() + 60
    while simulator.gpu(uuid).locked_clocks_mhz is None and time.monotonic() < deadline:
        time.sleep(0.02)
    program.send_signal(signum)
    out, err = program.communicate(timeout=30)
    assert program.returncode == 128 + signum
    assert "as it was found" in err
    assert out == ""
    board = simulator.gpu(uuid)
    assert (board.power_limit_watts, board.locked_clocks_mhz) == (FOUND_WATTS, None)
    assert any(call.arguments in {(150_000,), (120_000,)} for call in simulator.calls())
    assert not _still_working(simulator)


def _still_working(simulator: Simulator) -> list[str]:
    """Programs that are paced by these boards."""
    found = subprocess.run(["ps", "-e", "--no-headers", "-o", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if f"paced {simulator.path}" in line]
