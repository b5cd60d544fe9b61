"""Training on a core-set uses the chosen examples only, the same in every process and attempt."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frugal.data import TensorExamples
from frugal.errors import CheckpointError, ConfigError
from frugal.methods import selection
from frugal.methods.proxy import penultimate
from frugal.registry import create
from frugal.signals import StopSignals
from frugal.technique import Technique
from frugal.techniques.coreset import Coreset

from ..builders import blobs, config, newest, train
from ..toys import Accumulation, interrupt_at, never
from .reduction import in_two_processes, run_of
from .resuming import assert_resumes


@pytest.mark.parametrize("features", ["pixels", "proxy"])
@pytest.mark.parametrize("method", selection.METHODS)
def test_share_of_the_examples_is_used(method: str, features: str) -> None:
    result = train(config(), [Coreset(method=method, features=features, share=0.4)])
    assert (result.samples, result.steps) == (3 * 40, 3 * 3)
    proxy = 2 * 101 if features == "proxy" and method != "random" else 0
    assert result.techniques["coreset"] == {
        "examples": 101,
        "examples_per_epoch": 40,
        "share_seen": pytest.approx(40 / 101),
        "proxy_samples": proxy,
    }


def test_chosen_pixels_cover_the_set_better_than_chance() -> None:
    data = blobs(train=300)
    assert isinstance(data.train, TensorExamples)
    pixels = data.train.inputs.flatten(1)

    def radius(method: str) -> float:
        torch.manual_seed(0)
        kept = run_of(Coreset(method=method, share=0.1, balanced=False), data=data).data.train
        assert isinstance(kept, TensorExamples)
        return torch.cdist(pixels, kept.inputs.flatten(1)).min(dim=1).values.max().item()

    assert radius("k-center") < 0.9 * radius("random")


def test_proxy_features_are_what_the_last_layer_sees() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3))
    inputs = torch.randn(7, 1, 4, 4)
    features = penultimate(model)(inputs)
    assert features.shape == (7, 5)
    torch.testing.assert_close(model[3](features), model(inputs))


def test_proxy_needs_a_linear_layer() -> None:
    with pytest.raises(ConfigError, match=r"coreset,features='proxy': .*use features=pixels"):
        penultimate(nn.Conv2d(1, 1, 1))


def test_chance_follows_the_seed_and_disturbs_no_other_stream() -> None:
    def kept(seed: int) -> Tensor:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        technique = Coreset(method="random", share=0.2)
        run_of(technique)
        assert torch.equal(torch.get_rng_state(), before)
        chosen: Tensor = technique.state_dict()["chosen"]
        return chosen

    assert torch.equal(kept(1), kept(1))
    assert not torch.equal(kept(1), kept(2))


def test_main_process_chooses_for_all() -> None:
    data = blobs()

    def choose(world: object) -> list[int]:
        technique = Coreset(share=0.2)
        seen = data
        if world.rank == 1:  # type: ignore[attr-defined]
            # A process that would choose otherwise.
            assert isinstance(data.train, TensorExamples)
            seen = dataclasses.replace(data, train=TensorExamples(-(data.train.inputs**3), data.train.labels))
        run_of(technique, world, seen)  # type: ignore[arg-type]
        chosen: list[int] = technique.state_dict()["chosen"].tolist()
        return chosen

    first, second = in_two_processes(choose)
    assert first == second
    assert len(first) == 20


@pytest.mark.parametrize("step", [2, 6])
def test_resumed_equals_uninterrupted(tmp_path: Path, step: int) -> None:
    def techniques() -> list[Technique]:
        return [Coreset(features="proxy", method="herding"), Accumulation(parts=3)]

    assert_resumes(tmp_path, techniques, step)


def _other_choice(features: Tensor, count: int) -> Tensor:
    return torch.arange(count)


def test_resumed_run_keeps_the_set_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another device, whose rounding chooses other examples."""
    signals = StopSignals()
    train(config(tmp_path / "whole"), [Coreset(), never()])
    train(config(tmp_path / "broken"), [Coreset(), interrupt_at(3, signals)], signals=signals)
    monkeypatch.setitem(selection.METHODS, "k-center", _other_choice)
    train(config(tmp_path / "broken"), [Coreset(), never()])
    whole, broken = newest(tmp_path / "whole"), newest(tmp_path / "broken")
    assert torch.equal(whole["learned"]["coreset"]["chosen"], broken["learned"]["coreset"]["chosen"])
    assert all(torch.equal(value, broken["model"][name]) for name, value in whole["model"].items())


def test_other_set_is_refused_where_it_cannot_be_put_back() -> None:
    technique = Coreset()
    run = run_of(technique)
    run.data = dataclasses.replace(run.data, train=run.data.validation)
    with pytest.raises(CheckpointError, match=r"another core-set.*--no-resume"):
        technique.load_state_dict(run, {"chosen": torch.arange(5)})


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("method=best", "coreset,method='best': use one of k-center, herding, random"),
        ("share=0", "coreset,share=0.0: use a share above 0"),
        ("share=1.1", "coreset,share=1.1: use a share above 0"),
        ("features=words", "coreset,features='words': use one of pixels, proxy"),
        ("proxy_epochs=0", "coreset,proxy_epochs=0: use a whole number"),
    ],
)
def test_options_that_cannot_work(option: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        train(config(), [create(f"coreset,{option}")])
