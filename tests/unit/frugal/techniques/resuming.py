"""Interrupts a training with techniques, resumes it, and compares its end with that of an unbroken one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frugal.data import DataSplits
from frugal.results import TrainingResult
from frugal.signals import StopSignals
from frugal.technique import Technique

from ..builders import config, newest, same, train
from ..toys import interrupt_at, never


def assert_resumes(
    directory: Path,
    make: Callable[[], Sequence[Technique]],
    step: int,
    data: DataSplits | None = None,
    **changes: Any,
) -> TrainingResult:
    """Unbroken, and broken after ``step``, must end bit for bit alike and with the same figures; the unbroken end."""
    whole = train(config(directory / "whole", **changes), [*make(), never()], data=data)
    signals = StopSignals()
    stopper = interrupt_at(step, signals)
    broken = train(config(directory / "broken", **changes), [*make(), stopper], data=data, signals=signals)
    assert (broken.outcome, broken.steps) == ("interrupted", step)
    resumed = train(config(directory / "broken", **changes), [*make(), never()], data=data)
    assert resumed.resumed_from_step == step
    one, other = newest(directory / "whole"), newest(directory / "broken")
    for state in (one, other):
        state["position"].pop("seconds")
    assert same(one, other)
    assert (resumed.techniques, resumed.stop_reason) == (whole.techniques, whole.stop_reason)
    assert (resumed.val_loss, resumed.val_accuracy) == (whole.val_loss, whole.val_accuracy)
    return whole
