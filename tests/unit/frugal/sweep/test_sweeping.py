"""The sweep on simulated boards: it measures what the board does, and leaves it as it was."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from frugal.sweep.errors import SweepError
from frugal.sweep.points import OperatingPoint, parse
from tests.nvmlsim import curves
from tests.nvmlsim.boards import A40, V100, BoardModel
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load
from tests.unit.frugal.sweep.builders import KEY, Bench, bench, limits
from tests.unit.nvmlsim.builders import needs_data, only_root

pytestmark = only_root


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path, V100) as made:
        yield made


def _measured(board: BoardModel, workload: str) -> dict[float, tuple[float, float]]:
    """Seconds and joules of an epoch by power limit, as the data have them."""
    with (curves.data_folder() / f"summary_power_{board.curves}.csv").open() as file:
        return {
            float(row["power_limit"]): (seconds := float(row["time_per_epoch"]), seconds * float(row["average_power"]))
            for row in csv.DictReader(file)
            if "/".join((row["dataset"], row["network"], row["batch_size"], row["optimizer"])) == workload
        }


@needs_data
@pytest.mark.parametrize(
    ("board", "workload"),
    [(V100, "cifar100/shufflenetv2/1024/adadelta"), (A40, "imagenet/resnet50/128/adadelta")],
    ids=["V100", "A40"],
)
def test_savings_and_slowdowns_are_those_that_were_measured_on_real_gpus(
    tmp_path: Path, board: BoardModel, workload: str
) -> None:
    """The board replays them; the sweep finds them again through NVML's counter, to half a percentage point."""
    truth = _measured(board, workload)
    base_seconds, base_joules = truth[board.max_limit_watts]
    with bench(tmp_path, board) as one:
        points = limits(*sorted(truth, reverse=True))
        result = one.result(points, one.sweep(one.work(workload), points))
    for found in result.results()[1:]:
        seconds, joules = truth[found.point.power_limit_watts]
        assert found.saving_percent is not None
        assert found.slowdown_percent is not None
        assert found.saving_percent.mean == pytest.approx(100 * (1 - joules / base_joules), abs=0.5)
        assert found.slowdown_percent.mean == pytest.approx(100 * (seconds / base_seconds - 1), abs=0.5)


@needs_data
@pytest.mark.parametrize("board", [V100, A40], ids=["V100", "A40"])
def test_a_fifth_of_the_energy_is_saved_within_ten_percent_slowdown(tmp_path: Path, board: BoardModel) -> None:
    """SIMULATED, of the simulator's default workload, whose points were measured on real boards."""
    with bench(tmp_path, board) as one:
        points = parse("power:9", one.settings.board)
        best = one.result(points, one.sweep(one.work(), points)).best(max_slowdown_percent=10.0)
    assert best.saving_percent is not None
    assert best.slowdown_percent is not None
    assert best.saving_percent.mean >= 20.0
    assert best.slowdown_percent.mean <= 10.0


def test_every_point_is_measured_once_a_round_in_changing_order(one: Bench) -> None:
    points = limits(250, 200, 150, 125)
    measurements = one.sweep(one.work(), points, rounds=4)
    assert Counter((m.point, m.round) for m in measurements) == {(p, r): 1 for p in points for r in range(4)}
    orders = {tuple(m.point for m in measurements if m.round == r) for r in range(4)}
    assert len(orders) > 1


def test_locked_clocks_are_measured_too(one: Bench) -> None:
    """Their effect is a synthetic model of the board's; a lower clock is slower and draws less."""
    points = [*limits(250), OperatingPoint(power_limit_watts=250, max_clock_mhz=690)]
    fast, slow = sorted(one.sweep(one.work(), points), key=lambda m: m.seconds)
    assert slow.point.max_clock_mhz == 690
    assert slow.joules / slow.seconds < 0.7 * fast.joules / fast.seconds


def test_the_gpu_is_as_it_was_found_afterwards(one: Bench) -> None:
    one.simulator.set_power_limit(one.uuid, 250)
    one.sweep(one.work(), [*limits(250, 150), OperatingPoint(power_limit_watts=200, max_clock_mhz=690)])
    board = one.simulator.gpu(one.uuid)
    assert (board.power_limit_watts, board.locked_clocks_mhz) == (250, None)


class Mishap(BaseException):
    """Nothing that anybody expects."""


def test_the_gpu_is_put_back_whatever_is_raised(one: Bench) -> None:
    work = one.work()

    def fail() -> None:
        if one.gpu.power_limit_watts() < 250:
            raise Mishap

    work.disturb = fail
    with pytest.raises(Mishap):
        one.sweep(work, limits(250, 150, 125))
    assert one.simulator.gpu(one.uuid).power_limit_watts == 250
    assert any(call.arguments in {(150_000,), (125_000,)} for call in one.simulator.calls())


def test_a_limit_that_something_else_changes_ends_the_sweep(one: Bench) -> None:
    work = one.work()
    work.disturb = lambda: one.simulator.set_power_limit(one.uuid, 180)
    with pytest.raises(SweepError, match="something else sets it"):
        one.sweep(work, limits(250, 150))


def test_a_process_that_comes_in_the_middle_ends_the_sweep(one: Bench) -> None:
    work = one.work()

    def come() -> None:
        one.simulator.set_load(one.uuid, [Load(KEY, pids=(4711,)), Load("somebody", pids=(99,), demand=0.5)])

    work.disturb = come
    with pytest.raises(SweepError, match=r"other processes .*\(99\)"):
        one.sweep(work, limits(250, 150))
    assert one.simulator.gpu(one.uuid).power_limit_watts == 250


@pytest.mark.parametrize(("pids", "holds_gpu"), [((4711, 99), True), ((99,), False)])
def test_a_process_that_comes_while_work_warms_up_is_not_taken_for_ours(
    one: Bench, pids: tuple[int, ...], *, holds_gpu: bool
) -> None:
    """A training of ours leaves one process on the GPU, a command that ended leaves none."""
    work = one.work()
    work.pids, work.holds_gpu = pids, holds_gpu
    with pytest.raises(SweepError, match="other processes"):
        one.sweep(work, limits(250, 150))
    assert one.simulator.calls() == ()


def test_a_counter_that_starts_anew_gives_no_figure(one: Bench) -> None:
    work = one.work()
    one.simulator.advance(600)  # so that the counter is high before
    work.disturb = lambda: one.simulator.inject(one.uuid, Fault.counter_reset())
    with pytest.raises(SweepError, match="driver reset"):
        one.sweep(work, limits(250, 150))
