"""The rate follows its curve to the end of the run: over resumes, with fewer examples, with any optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, OneCycleLR

from frugal import registry
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.optimizer import OptimizerChoice
from frugal.techniques.schedule import KINDS, Schedule

from ..builders import config, train
from ..toys import HardExamples, Shrink
from .resuming import assert_resumes

STEPS = 21
PEAK = 0.002


class Rates(Technique):
    """Notes the rate of every step."""

    name = "rates"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.rates: list[float] = []

    def before_update(self, run: Run) -> None:
        self.rates.append(run.optimizer.param_groups[0]["lr"])


def rates_of(*techniques: Technique) -> list[float]:
    noted = Rates()
    train(config(), [*techniques, noted])
    return noted.rates


def torchs(make: Callable[..., LRScheduler], **options: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = make(optimizer, **options)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_equals_torchs() -> None:
    assert rates_of(Schedule("cosine", warmup=0)) == pytest.approx(torchs(CosineAnnealingLR, T_max=STEPS))


def test_linear_equals_torchs() -> None:
    expected = torchs(LinearLR, start_factor=1.0, end_factor=0.1, total_iters=STEPS)
    assert rates_of(Schedule("linear", warmup=0, floor=0.1)) == pytest.approx(expected)


def test_one_cycle_equals_torchs() -> None:
    """That of torch reaches its end in the last step, ours (as all others) after it: hence one step more there."""
    expected = torchs(
        OneCycleLR,
        max_lr=PEAK,
        total_steps=STEPS + 1,
        pct_start=(0.3 * STEPS + 1) / (STEPS + 1),
        cycle_momentum=False,
        final_div_factor=1e9,
    )
    assert rates_of(Schedule("one-cycle")) == pytest.approx(expected, abs=1e-9)


def test_step_drops_at_equal_distances() -> None:
    rates = rates_of(Schedule("step", warmup=0, drops=2, drop_factor=0.5))
    assert rates == pytest.approx([PEAK] * 7 + [PEAK / 2] * 7 + [PEAK / 4] * 7)


def test_warm_up_rises_in_a_line_to_the_peak() -> None:
    rates = rates_of(Schedule("constant", warmup=1 / 3))
    assert rates[0] == pytest.approx(PEAK / 25)
    rises = [later - earlier for earlier, later in pairwise(rates[:8])]
    assert rises == pytest.approx([PEAK * 24 / 25 / 7] * 7)
    assert rates[7:] == pytest.approx([PEAK] * 14)


@pytest.mark.parametrize("kind", KINDS)
def test_curves_stay_between_floor_and_peak(kind: str) -> None:
    made = Schedule(kind, warmup=0.1, floor=0.01, drop_factor=0.1)
    shares = [made.share(i / 1000) for i in range(1001)]
    assert max(shares) == pytest.approx(1.0)
    assert min(shares) >= 0.01 - 1e-12
    after = shares[100:]
    assert after == sorted(after, reverse=True)


class FewerEachEpoch(Technique):
    """Leaves out more examples each epoch: 101, then 50, then 33."""

    name = "fewer-each-epoch"
    stage = Stage.DATA

    def epoch_order(self, run: Run, order: Tensor) -> Tensor:
        return order[: len(order) // (run.epoch + 1)]


def test_ends_with_a_run_that_turns_out_shorter() -> None:
    """Steps 7, 4 and 3: the curve spends a third of its way on each epoch, and is at its end with the run."""
    rates = rates_of(FewerEachEpoch(), Schedule("linear", warmup=0))
    left = [1 - i / 21 for i in range(7)] + [2 / 3 - i / 12 for i in range(4)] + [1 / 3 - i / 9 for i in range(3)]
    assert rates == pytest.approx([PEAK * share for share in left])
    result = train(config(), [FewerEachEpoch(), Schedule("linear", warmup=0)])
    assert result.techniques["schedule"] == {"kind": "linear", "final_lr": pytest.approx(0.0, abs=1e-12)}


def test_goes_on_when_the_model_is_replaced() -> None:
    assert rates_of(Shrink(), Schedule("one-cycle")) == rates_of(Schedule("one-cycle"))


@pytest.mark.parametrize("first", ["schedule", "optimizer"])
def test_goes_with_the_optimizer_in_either_order(first: str) -> None:
    both: list[Technique] = [Schedule("linear", warmup=0), OptimizerChoice("momentum", lr=0.1)]
    rates = rates_of(*(both if first == "schedule" else reversed(both)))
    assert rates == pytest.approx([0.1 * (1 - i / STEPS) for i in range(STEPS)])


@pytest.mark.parametrize("step", [2, 4, 9])
def test_resumes_with_other_techniques(tmp_path: Path, step: int) -> None:
    """In the warm-up, at the end of an epoch, and past the change of the model."""
    assert_resumes(tmp_path, lambda: [HardExamples(), Schedule("one-cycle"), Shrink()], step)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("kind=sine", "kind='sine': use one of cosine, linear, step, one-cycle, constant"),
        ("warmup=1", r"warmup=1.0: use a share of the run below 1"),
        ("warmup=nan", r"warmup=nan: use a share"),
        ("floor=2", r"floor=2.0: use a share of the peak rate between 0 and 1"),
        ("drops=0", "drops=0: use at least 1, or kind=constant"),
        ("drop-factor=1", r"drop_factor=1.0: use a number between 0 and 1"),
    ],
)
def test_options_that_cannot_be_used(options: str, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        registry.create(f"schedule,{options}")


def test_another_schedule_is_refused() -> None:
    with pytest.raises(TechniqueError, match="given twice"):
        train(config(), [Schedule(), Schedule("linear")])


def test_warm_up_has_a_default_for_each_kind() -> None:
    assert Schedule("one-cycle").share(0.3) == 1.0
    assert Schedule("cosine").share(0.05) == 1.0
    assert math.isclose(Schedule("cosine").share(0.0), 0.04)
