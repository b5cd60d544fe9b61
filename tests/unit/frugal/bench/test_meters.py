"""Joules are counted or they are not there: RAPL on a made-up tree, NVML by the simulated library."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from frugal.bench import counters, meters
from frugal.bench.counters import CounterError, NvmlGpus, RaplPackages
from frugal.bench.meters import MachineMeter, open_meter
from frugal.bench.power_model import PowerModel
from frugal.errors import ConfigError
from tests.nvmlsim.boards import V100
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Simulator
from tests.nvmlsim.testing import nvml

RANGE = 1_000_000_000
MODEL = PowerModel(cores=2)


def zone(root: Path, name: str, label: str, microjoules: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{label}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_packages_are_summed_and_wrap_around(tmp_path: Path) -> None:
    one = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 3_000_000)
    two = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    for place, label in (("intel-rapl:0:0", "core"), ("intel-rapl:2", "psys"), ("intel-rapl-mmio:0", "package-0")):
        zone(tmp_path, place, label, 0).write_text("5\n")
    clock = Clock()
    rapl = RaplPackages(tmp_path, clock)
    assert rapl.joules() == 0
    clock.seconds += 1
    one.write_text("2000000")  # 3 J to the end of the range, and 2 J after it
    two.write_text("7000000")
    for place in ("intel-rapl:0:0", "intel-rapl:2", "intel-rapl-mmio:0"):
        (tmp_path / place / "energy_uj").write_text("900000000")
    assert rapl.joules() == pytest.approx(5 + 7)
    clock.seconds += 1
    one.write_text("2500000")
    assert rapl.joules() == pytest.approx(5 + 7 + 0.5)


def test_a_reset_is_no_wrap_around(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", RANGE // 2)
    clock = Clock()
    rapl = RaplPackages(tmp_path, clock)
    clock.seconds += 0.01  # 500 J in this time would be 50 kW
    file.write_text("0")
    with pytest.raises(CounterError, match="was reset; run this again"):
        rapl.joules()


def test_no_packages_is_said(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "psys", 0)
    for root in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CounterError, match="shows no CPU package"):
            RaplPackages(root)


def test_a_part_of_the_packages_is_not_taken_for_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    secret = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    read = Path.read_text

    def guarded(path: Path, *arguments: str) -> str:
        if path == secret:  # as for everybody but root; file modes do not stop root
            raise PermissionError(13, "Permission denied")
        return read(path, *arguments)

    monkeypatch.setattr(Path, "read_text", guarded)
    with pytest.raises(CounterError, match=r"intel-rapl:1/energy_uj may not be read .only root"):
        RaplPackages(tmp_path)


def load(simulator: Simulator, seconds: float) -> float:
    """Let the GPU pass ``seconds``; the joules that its counter moved by."""
    uuid = simulator.uuids[0]
    before = simulator.gpu(uuid).energy_joules
    simulator.advance(seconds)
    return simulator.gpu(uuid).energy_joules - before


def test_nvml_counts_what_the_gpu_took_since_it_was_opened(tmp_path: Path) -> None:
    with nvml(tmp_path, [V100, V100]) as simulator:
        load(simulator, 10)
        gpus = NvmlGpus(simulator.uuids[:1])
        assert gpus.joules() == 0
        taken = load(simulator, 20)
        assert taken > 100
        assert gpus.joules() == pytest.approx(taken, abs=2e-3)
        both = NvmlGpus(simulator.uuids)
        load(simulator, 20)
        assert both.joules() == pytest.approx(2 * taken, rel=0.01)


def test_a_part_of_a_gpu_is_not_measured_by_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nvml(tmp_path, [V100]) as simulator:
        monkeypatch.setattr("pynvml.nvmlDeviceGetMigMode", lambda handle: [1, 1])
        with pytest.raises(CounterError, match="split by MIG"):
            NvmlGpus(simulator.uuids)


def test_a_gpu_that_fails_is_an_error_and_no_number(tmp_path: Path) -> None:
    with nvml(tmp_path, [V100]) as simulator:
        with pytest.raises(CounterError, match="NVML: "):
            NvmlGpus(["GPU-of-somebody-else"])
        gpus = NvmlGpus(simulator.uuids)
        simulator.inject(simulator.uuids[0], Fault.lost())
        with pytest.raises(CounterError, match="tells no total energy"):
            gpus.joules()


def test_a_gpu_counter_that_falls_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nvml(tmp_path, [V100]) as simulator:
        gpus = NvmlGpus(simulator.uuids)
        told = iter([5_000, 4_000])
        monkeypatch.setattr(gpus, "_millijoules", lambda uuid, handle: next(told))
        gpus.joules()
        with pytest.raises(CounterError, match="fell"):
            gpus.joules()


def test_without_pynvml_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(CounterError, match="nvidia-ml-py is not installed"):
        NvmlGpus(["GPU-0"])


class Steady:
    """A counter that moves by a fixed step at each reading."""

    def __init__(self, source: str, step: float) -> None:
        self.source = source
        self._step = step
        self._joules = 0.0

    def joules(self) -> float:
        self._joules += self._step
        return self._joules


def clocked(*counting: Steady, model: PowerModel | None = MODEL) -> MachineMeter:
    """A meter whose stretches last 10 s with 4 s of processor time."""
    seconds, cpu = iter(range(0, 1000, 10)), iter(range(0, 1000, 4))
    return MachineMeter(counting, model, ["a reason"], clock=lambda: next(seconds), cpu_clock=lambda: next(cpu))


def test_an_estimate_never_lands_in_joules() -> None:
    """However it is made, a meter without counters has an estimate with its model's name and nothing measured."""
    energy = clocked().start().energy()
    assert (energy.joules, energy.source) == (None, None)
    assert energy.estimated_joules == pytest.approx(3.5 * 4)
    assert energy.estimated_by == "CPU time: 3.5 W a busy core"


def test_counters_are_summed_beside_the_estimate() -> None:
    energy = clocked(Steady("rapl", 5), Steady("nvml", 100)).start().energy()
    assert (energy.joules, energy.source) == (105, "nvml+rapl")
    assert energy.estimated_joules == pytest.approx(14)
    assert (energy.seconds, energy.cpu_seconds) == (10, 4)


def test_stretches_may_overlap_and_be_asked_again() -> None:
    meter = clocked(Steady("rapl", 5))
    first = meter.start()
    second = meter.start()
    assert [first.energy().joules, second.energy().joules, first.energy().joules] == [10, 10, 20]


def test_the_statement_is_loud_about_what_is_not_measured() -> None:
    assert clocked().statement == (
        "energy: NOT MEASURED, no counter (a reason); estimated by CPU time: 3.5 W a busy core"
    )
    assert clocked(Steady("rapl", 1), model=None).statement == "energy: measured by rapl (a reason); no estimate"


def test_idle_and_gpu_watts_are_charged_by_the_clock() -> None:
    model = PowerModel(cores=4, busy_watts=5, idle_watts=1, gpu_watts=200)
    assert model.joules(seconds=10, cpu_seconds=3) == pytest.approx((5 - 1) * 3 + 1 * 4 * 10 + 200 * 10)
    assert model.name == "CPU time: 5 W a busy core, 1 W an idle one, 4 cores; 200 W a GPU"


@pytest.mark.parametrize("wrong", [{"busy_watts": 0.0}, {"idle_watts": 4.0}, {"gpu_watts": -1.0}])
def test_impossible_watts_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(MODEL, **wrong)


def with_gpu(monkeypatch: pytest.MonkeyPatch, uuid: str, powercap: Path) -> None:
    """Let torch tell of a GPU, and let ``powercap`` be the machine's tree."""
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuid))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(meters, "RaplPackages", lambda: counters.RaplPackages(powercap))


def test_a_gpus_run_is_measured_by_its_own_counter_and_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = zone(tmp_path / "rapl", "intel-rapl:0", "package-0", 0)
    with nvml(tmp_path, [V100, V100]) as simulator:
        with_gpu(monkeypatch, simulator.uuids[1].removeprefix("GPU-"), tmp_path / "rapl")  # as torch writes it
        meter = open_meter(torch.device("cuda", 0), MODEL)
        measurement = meter.start()
        taken = load(simulator, 20)
        package.write_text("4000000")
        energy = measurement.energy()
    assert (meter.source, meter.model) == ("nvml+rapl", None)
    assert energy.joules == pytest.approx(taken + 4, rel=0.01)
    assert energy.estimated_joules is None  # CPU time says nothing of a GPU


def test_a_gpus_run_is_not_measured_by_the_cpus_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with_gpu(monkeypatch, "unknown", tmp_path)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    meter = open_meter(torch.device("cuda", 0), dataclasses.replace(MODEL, gpu_watts=200.0))
    energy = meter.start().energy()
    assert (meter.source, energy.joules) == (None, None)
    assert "NOT MEASURED" in meter.statement
    assert energy.estimated_by == "CPU time: 3.5 W a busy core; 200 W a GPU"


def test_a_run_on_the_cpu_is_measured_by_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    monkeypatch.setattr(meters, "RaplPackages", lambda: counters.RaplPackages(tmp_path))
    measurement = open_meter(torch.device("cpu"), MODEL).start()
    package.write_text("6000000")
    assert measurement.energy().joules == pytest.approx(6)


def test_long_stretches_read_counters_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("frugal.bench.meters.time", SimpleNamespace(monotonic=clock))
    counter = Steady("rapl", 1)
    measurement = MachineMeter([counter], MODEL, clock=clock, cpu_clock=clock).start()
    for _ in range(600):
        clock.seconds += 1
        measurement.keep_up()
    assert counter.joules() == 1 + 600 // meters.POLL_SECONDS + 1


def test_processor_time_counts_children_that_ended() -> None:
    before = meters.cpu_seconds()
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", "sum(range(3_000_000))"], dict(os.environ))
    os.waitpid(child, 0)
    assert meters.cpu_seconds() - before > 0.03
