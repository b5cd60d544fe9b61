"""Scores: of validation examples only, in joules of one kind, and never of what cannot be combined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frugal.bench.records import Phase
from frugal.bench.trial import run_case
from frugal.costs.catalogue import TECHNOLOGIES
from frugal.costs.flops import measure
from frugal.data import TensorExamples
from frugal.errors import ConfigError, TechniqueError
from frugal.models import build
from frugal.search import objective as module
from frugal.search.objective import on_technology, reduced
from frugal.search.space import StackSpace
from frugal.search.study import Limits, Search
from frugal.signals import StopSignals
from frugal.trainer import Trainer

from ..builders import blobs
from .metering import Fixed, objective

SHAPE = (1, 4, 4)


def test_counted_joules_are_preferred_and_are_those_of_one_answer() -> None:
    score = objective(Fixed(joules=80.0, estimated=7.0))(())
    # One repeat of at least a millisecond: how many times 40 examples fit in is the machine's affair.
    answers = 80.0 / score.joules
    assert answers >= 40
    assert answers % 40 == pytest.approx(0, abs=1e-6)
    assert score.joules_by == "measured: told"


def test_joules_of_a_training_are_the_whole_trainings() -> None:
    score = objective(Fixed(estimated=7.0), Phase.TRAINING)(())
    assert (score.joules, score.joules_by) == (7.0, "estimated: guess")


def test_a_score_has_the_cost_of_the_deployed_model() -> None:
    plain, smaller = (objective(Fixed(joules=1.0))(design) for design in ((), ("architecture,kind=mlp,widths=8",)))
    cost = measure(build("mlp", SHAPE, 4), SHAPE)
    assert (plain.flops, plain.parameters, plain.bytes) == (cost.flops, cost.parameters, cost.bytes)
    assert smaller.flops == 2 * (16 * 8 + 8 * 4)
    assert smaller.parameters < plain.parameters


def test_without_counter_and_model_there_is_no_score() -> None:
    with pytest.raises(ConfigError, match="it has no energy counter: state its watts with --gpu-watts"):
        objective(Fixed())(())


def test_a_search_sees_no_test_examples_and_always_the_same_share_of_the_others() -> None:
    whole = replace(blobs(), test=blobs(20).train)
    quarter, again = reduced(whole, 0.25), reduced(whole, 0.25)
    assert quarter.test is None
    assert quarter.validation is whole.validation
    assert len(quarter.train) == 25
    assert isinstance(quarter.train, TensorExamples)
    assert isinstance(again.train, TensorExamples)
    assert isinstance(whole.train, TensorExamples)
    assert torch.equal(quarter.train.inputs, again.train.inputs)
    rows = [(whole.train.inputs == one).all(dim=(1, 2, 3)).nonzero().item() for one in quarter.train.inputs]
    assert len(set(rows)) == 25
    assert torch.equal(whole.train.labels[torch.tensor(rows)], quarter.train.labels)
    assert len(set(quarter.train.labels.tolist())) == 4
    for share in (0.0, 1.5):
        with pytest.raises(ConfigError, match="use a share of the training examples"):
            reduced(whole, share)


def test_a_technology_prices_multiply_adds_and_the_bytes_of_the_weights() -> None:
    technology = TECHNOLOGIES["45nm"]
    score = objective(Fixed(joules=1.0), price=on_technology(technology))(())
    cost = measure(build("mlp", SHAPE, 4), SHAPE)
    by_hand = (
        cost.flops / 2 * technology.operations["mac-fp32"].picojoules + cost.bytes * technology.bytes["dram"].picojoules
    ) * 1e-12
    assert score.joules == pytest.approx(by_hand, rel=1e-9)
    assert score.joules_by.startswith("estimated: published picojoules: 45nm")


def test_a_technology_prices_what_is_quantized_as_integers() -> None:
    technology = TECHNOLOGIES["7nm-asic"]
    score = objective(Fixed(joules=1.0), price=on_technology(technology))(("quantization,kind=dynamic",))
    cost = measure(build("mlp", SHAPE, 4), SHAPE)
    assert score.bytes < cost.bytes / 2
    by_hand = (
        cost.flops / 2 * technology.operations["mac-int8"].picojoules
        + score.bytes * technology.bytes["dram"].picojoules
    ) * 1e-12
    assert score.joules == pytest.approx(by_hand, rel=1e-9)


def test_a_technology_without_float_arithmetic_is_refused() -> None:
    with pytest.raises(ConfigError, match="it has no figure for mac-fp32"):
        on_technology(TECHNOLOGIES["fpga"])


@pytest.mark.parametrize(
    ("design", "reason"),
    [
        (("coreset,method=random", "infobatch"), "both decide the examples"),
        ((), "no technique is chosen: plain training is scored once, as the baseline"),
        (("channels-last",), "no convolutions"),
        (("infobatch",), "annealing"),
        (("architecture,kind=cnn,widths=8-8,separable=true", "pruning,structure=channels"), "has groups"),
    ],
)
def test_a_design_that_is_refused_is_known_before_it_is_trained(
    design: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "train", lambda trainer: pytest.fail("trained"))
    with pytest.raises((TechniqueError, ConfigError), match=reason):
        objective(Fixed(joules=1.0)).check(design)


@pytest.mark.parametrize(
    "design",
    [
        ("activation,kind=hardswish",),
        ("architecture,kind=cnn,widths=8-8", "channels-last", "quantization,kind=qat"),
        ("distillation,teacher=mlp,teacher_epochs={epochs}", "pruning,structure=channels,sparsity=0.7"),
    ],
)
def test_a_design_that_can_be_trained_passes_the_check(design: tuple[str, ...]) -> None:
    objective(Fixed(joules=1.0)).check(design)


def test_plain_training_uses_up_no_trial(tmp_path: Path) -> None:
    search = Search(tmp_path, StackSpace(slots={"one": ["", "activation,kind=hardswish"]}), settings={})
    score = objective(Fixed(joules=1.0))
    assert search.run(score, Limits(trials=2), StopSignals(), check=score.check) == "exhausted"
    assert [one.design for one in search.tried()] == [("activation,kind=hardswish",)]
    (refused,) = search.refused()
    assert (refused.design, refused.score) == ((), None)
    assert (refused.infeasible or "").startswith("no technique is chosen")


def test_what_techniques_refuse_is_recorded_and_never_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, ...]] = []

    def watched(case, *arguments, **options):  # type: ignore[no-untyped-def]
        trials = run_case(case, *arguments, **options)
        trained.append(case.techniques)
        return trials

    monkeypatch.setattr(module, "run_case", watched)
    slots = {"one": ["", "coreset,method=random"], "other": ["", "infobatch"], "third": ["", "pruning,sparsity=2"]}
    search = Search(tmp_path, StackSpace(slots=slots), settings={})
    score = objective(Fixed(joules=1.0), epochs=3)
    assert search.run(score, Limits(trials=8), StopSignals()) == "completed"
    reasons = {one.design: one.infeasible or "" for one in search.tried()}
    conflict = "techniques 'coreset' and 'infobatch' both decide the examples: leave one out"
    assert reasons["coreset,method=random", "infobatch"] == conflict
    assert "sparsity" in reasons[("pruning,sparsity=2",)]
    possible = {(), ("coreset,method=random",), ("infobatch",)}
    assert {design for design, reason in reasons.items() if not reason} == possible == set(trained)
    with pytest.raises(TechniqueError):
        score(("coreset,method=random", "infobatch"))
