"""A pruned run that is interrupted and resumed ends as an uninterrupted one, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frugal.signals import StopSignals
from frugal.technique import Technique
from frugal.techniques.pruning import Pruning

from ..builders import config, newest, same, train
from ..toys import HardExamples, interrupt_at, never


def _end(directory: Path) -> dict[str, Any]:
    state = newest(directory)
    assert state["position"].pop("seconds") > 0
    return state


@pytest.mark.parametrize(
    ("structure", "step"), [("unstructured", 7), ("unstructured", 10), ("channels", 10), ("channels", 20), ("2:4", 10)]
)
def test_resumed_equals_uninterrupted(tmp_path: Path, structure: str, step: int) -> None:
    # 21 steps: between two epochs, between two rounds, after the last round.
    def pruning() -> Technique:
        return Pruning(structure=structure, begin=0.2, end=0.7, rounds=4)

    whole = train(config(tmp_path / "whole"), [pruning(), never()])
    signals = StopSignals()
    broken = train(config(tmp_path / "broken"), [pruning(), interrupt_at(step, signals)], signals=signals)
    assert broken.outcome == "interrupted"
    resumed = train(config(tmp_path / "broken"), [pruning(), never()])

    assert same(_end(tmp_path / "whole"), _end(tmp_path / "broken"))
    assert resumed.techniques == whole.techniques
    assert resumed.val_loss == whole.val_loss


def test_resumed_equals_uninterrupted_where_epochs_differ_in_length(tmp_path: Path) -> None:
    def techniques() -> list[Technique]:
        return [Pruning(begin=0.0, end=1.0, rounds=100), HardExamples()]

    train(config(tmp_path / "whole"), [*techniques(), never()])
    signals = StopSignals()
    train(config(tmp_path / "broken"), [*techniques(), interrupt_at(6, signals)], signals=signals)
    train(config(tmp_path / "broken"), [*techniques(), never()])
    assert same(_end(tmp_path / "whole"), _end(tmp_path / "broken"))


def test_finished_run_is_finished_alike_when_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = train(config(tmp_path), [Pruning(structure="channels")])
    again = train(config(tmp_path), [Pruning(structure="channels")])
    assert again.steps == again.resumed_from_step == first.steps
    assert (again.techniques, again.val_loss) == (first.techniques, first.val_loss)
    assert not caplog.records  # such as that it ended before the last round
