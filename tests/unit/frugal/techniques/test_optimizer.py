"""Each optimizer takes the steps of its paper and learns; each reports what memory it keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from frugal import registry
from frugal.composition import Composition
from frugal.config import TrainConfig
from frugal.distributed import World
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Optimization, Stage, Technique
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.optimizer import KINDS, OptimizerChoice
from frugal.trainer import Trainer

from ..builders import blobs, config, same, train, weights
from ..toys import NoDropout
from .resuming import assert_resumes

Matrix = npt.NDArray[np.float64]
LR, DECAY, MOMENTUM, BETA2, EPSILON = 0.03, 0.1, 0.8, 0.95, 1e-8
CURVATURE = np.array([[1.0, 3.0, 0.5], [2.0, 0.1, 4.0]])
START = np.array([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0]])


def sgd(steps: int) -> Matrix:
    x = START.copy()
    for _ in range(steps):
        x = x - LR * (CURVATURE * x + DECAY * x)
    return x


def heavy_ball(steps: int, *, nesterov: bool = False) -> Matrix:
    x, velocity = START.copy(), np.zeros_like(START)
    for _ in range(steps):
        gradient = CURVATURE * x + DECAY * x
        velocity = MOMENTUM * velocity + gradient
        x = x - LR * (gradient + MOMENTUM * velocity if nesterov else velocity)
    return x


def adam(steps: int, *, decoupled: bool = False) -> Matrix:
    x, first, second = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for t in range(1, steps + 1):
        gradient = CURVATURE * x
        if decoupled:
            x = x - LR * DECAY * x
        else:
            gradient = gradient + DECAY * x
        first = MOMENTUM * first + (1 - MOMENTUM) * gradient
        second = BETA2 * second + (1 - BETA2) * gradient**2
        x = x - LR * (first / (1 - MOMENTUM**t)) / (np.sqrt(second / (1 - BETA2**t)) + EPSILON)
    return x


def nadam(steps: int) -> Matrix:
    """With Dozat's warm-up of the momentum."""
    x, first, second = START.copy(), np.zeros_like(START), np.zeros_like(START)
    past = 1.0
    for t in range(1, steps + 1):
        gradient = CURVATURE * x + DECAY * x
        now, following = (MOMENTUM * (1 - 0.5 * 0.96 ** (0.004 * s)) for s in (t, t + 1))
        past *= now
        first = MOMENTUM * first + (1 - MOMENTUM) * gradient
        second = BETA2 * second + (1 - BETA2) * gradient**2
        ahead = following * first / (1 - past * following) + (1 - now) * gradient / (1 - past)
        x = x - LR * ahead / (np.sqrt(second / (1 - BETA2**t)) + EPSILON)
    return x


def adafactor(steps: int) -> Matrix:
    """Algorithm 4 of the paper: factored, updates clipped, relative steps."""
    x = START.copy()
    rows, columns = np.zeros(2), np.zeros(3)
    for t in range(1, steps + 1):
        gradient = CURVATURE * x
        kept = 1 - t**-0.8
        rows = kept * rows + (1 - kept) * (gradient**2).sum(axis=1)
        columns = kept * columns + (1 - kept) * (gradient**2).sum(axis=0)
        update = gradient / np.sqrt(np.outer(rows, columns) / rows.sum())
        update = update / max(1.0, math.sqrt((update**2).mean()))
        size = max(1e-3, math.sqrt((x**2).mean())) * min(LR, 1 / math.sqrt(t))
        x = x - LR * DECAY * x - size * update
    return x


REFERENCES: dict[str, Callable[[int], Matrix]] = {
    "sgd": sgd,
    "momentum": heavy_ball,
    "nesterov": lambda steps: heavy_ball(steps, nesterov=True),
    "adam": adam,
    "adamw": lambda steps: adam(steps, decoupled=True),
    "nadam": nadam,
    "adafactor": adafactor,
}


class Quadratic(nn.Module):
    """Holds the point."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.from_numpy(START.copy()))


def _run(technique: Technique, **changes: float) -> Run:
    settings = TrainConfig(**{"device": "cpu", "lr": LR, "weight_decay": DECAY, **changes})  # type: ignore[arg-type]
    return Run(
        config=settings,
        world=World(),
        device=torch.device("cpu"),
        techniques=Composition([technique]),
        data=blobs(),
    )


def _made(kind: str, **options: float) -> OptimizerChoice:
    settings = {}
    if kind not in ("sgd", "adafactor"):
        settings["momentum"] = MOMENTUM
    if "ada" in kind and kind != "adafactor":
        settings["beta2"] = BETA2
    return OptimizerChoice(kind, **settings, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_the_paper(kind: str) -> None:
    """On x·A·x/2, with weight decay; rate and decay are the run's."""
    run = _run(_made(kind))
    model = Quadratic()
    run.install_model(model)
    for step in range(1, 7):
        model.x.grad = torch.from_numpy(CURVATURE) * model.x.detach()
        run.optimizer.step()
        np.testing.assert_allclose(model.x.detach().numpy(), REFERENCES[kind](step), rtol=1e-7, atol=1e-9)


RATES = {"sgd": 0.3, "momentum": 0.1, "nesterov": 0.1, "adafactor": 0.05}


@pytest.mark.parametrize("kind", KINDS)
def test_lowers_the_loss_on_digits(kind: str) -> None:
    """Guessing costs ln 10 = 2.3."""
    settings = TrainConfig(data="digits", epochs=3, threads=1, device="cpu", report_every=1000)
    result = Trainer(settings, [OptimizerChoice(kind, lr=RATES.get(kind, 0.0))]).train()
    assert result.val_loss is not None
    assert result.val_loss < 0.6


def test_own_rate_and_decay_go_before_the_runs(tmp_path: Path) -> None:
    train(config(tmp_path / "own"), [OptimizerChoice("adamw", lr=0.01, weight_decay=0.0)])
    train(config(tmp_path / "run", lr=0.01, weight_decay=0.0))
    assert same(weights(tmp_path / "own"), weights(tmp_path / "run"))


def test_adamw_is_the_trainers_own(tmp_path: Path) -> None:
    """With its schedule: the trainer's cosine goes over to the new optimizer."""
    train(config(tmp_path / "named"), [OptimizerChoice()])
    train(config(tmp_path / "plain"))
    assert same(weights(tmp_path / "named"), weights(tmp_path / "plain"))


def test_bytes_kept_are_what_the_rules_need() -> None:
    """Numbers of four bytes per weight, besides one step counter a tensor."""
    kept: dict[str, int] = {}
    for kind in KINDS:
        result = train(config(epochs=1), [OptimizerChoice(kind)])
        value = result.techniques["optimizer"]["state_bytes"]
        assert isinstance(value, int)
        kept[kind] = value
    parameters, tensors = result.parameters, 6
    assert kept["sgd"] == 0
    assert kept["momentum"] == kept["nesterov"] == 4 * parameters
    assert kept["adam"] == kept["adamw"] == 8 * parameters + 4 * tensors
    assert kept["nadam"] == 8 * parameters + 8 * tensors  # and the product of its momenta
    # Of a matrix, its rows and columns; of a bias, all.
    matrices, biases = (128 + 16) + (64 + 128) + (4 + 64), 128 + 64 + 4
    assert kept["adafactor"] == 4 * (matrices + biases + tensors)
    assert kept["adafactor"] < kept["adamw"] / 20


def test_parameters_that_others_added_stay() -> None:
    class Projector(Technique):
        """Learns weights of its own, as distillation of features does."""

        name = "projector"
        stage = Stage.LOSS

        def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
            self.own = nn.Parameter(torch.ones(3))
            optimization.optimizer.add_param_group({"params": [self.own]})
            return optimization

        def before_update(self, run: Run) -> None:
            self.own.grad = torch.ones(3)

    projector = Projector()
    train(config(epochs=1), [projector, OptimizerChoice("sgd", lr=0.1, weight_decay=0.0)])
    moved: Tensor = projector.own.detach()
    assert (moved < 0.9).all()


def test_a_schedule_that_cannot_be_moved_is_refused() -> None:
    class Exponential(Technique):
        name = "exponential"
        stage = Stage.LOSS

        def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
            scheduler = torch.optim.lr_scheduler.ExponentialLR(optimization.optimizer, gamma=0.9)
            return Optimization(optimizer=optimization.optimizer, scheduler=scheduler)

    with pytest.raises(TechniqueError, match=r"schedule of type ExponentialLR cannot be moved.*--with schedule"):
        train(config(), [Exponential(), OptimizerChoice()])


@pytest.mark.parametrize("kind", ["momentum", "nadam", "adafactor"])  # one of each kind of state
def test_resumes_with_another_technique(tmp_path: Path, kind: str) -> None:
    assert_resumes(tmp_path, lambda: [OptimizerChoice(kind), Accumulation(micro_batches=2), NoDropout()], 5, epochs=2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("kind=lion", "kind='lion': use one of sgd, momentum, nesterov, adam, nadam, adamw, adafactor"),
        ("lr=-1", "lr=-1.0: use a positive number, or 0 for the run's --lr"),
        ("lr=inf", "lr=inf: use a positive number"),
        ("weight-decay=inf", "weight_decay=inf: use 0 or a small positive number, or -1"),
        ("momentum=1", "momentum=1.0: use a number from 0 to below 1, such as 0.9"),
        ("kind=sgd,momentum=0.5", r"momentum=0.5: sgd has none; leave it out, or use kind=momentum\|nesterov\|adam"),
        ("kind=momentum,beta2=0.9", r"beta2=0.9: momentum has none; leave it out, or use kind=adam\|nadam\|adamw"),
    ],
)
def test_options_that_cannot_be_used(options: str, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        registry.create(f"optimizer,{options}")
