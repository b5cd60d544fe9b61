"""How a run ended: one JSON object on one line, for standard output and for the pod's status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from frugal.numbers import rounded
from frugal.signals import exit_status
from frugal.technique import Value
from frugal.termination import MESSAGE_BYTES


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        outcome: ``completed``, or ``interrupted`` when a signal ended it with its work undone.
        stop_reason: Why it ended before its last epoch, in words.
        signal: The signal that interrupted it.
        parameters: Of the model that was trained, as it was at the end (smaller than at first, if a technique shrank
            it on the way); what a technique makes of it to be deployed may have others.
        loss: Mean training loss at the end; with accuracy, over the last report interval.
        seconds: Training time over all attempts.
        samples: Examples learned from, over all processes and attempts.
        samples_per_second: While training, in this attempt; evaluation and checkpoints are left out.
        resumed_from_step: Where this attempt began; 0 from scratch.
        synthetic: True if the examples were random numbers: only the speed means something. Else None.
    """

    outcome: str
    data: str
    model: str
    seed: int
    device: str
    processes: int
    parameters: int
    epochs: int
    steps: int
    samples: int
    seconds: float
    samples_per_second: float | None
    loss: float | None
    accuracy: float | None
    val_loss: float | None = None
    val_accuracy: float | None = None
    best_val_accuracy: float | None = None
    best_step: int | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    resumed_from_step: int = 0
    synthetic: bool | None = None
    stop_reason: str | None = None
    signal: int | None = None
    techniques: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """0 only for a completed run."""
        return 0 if self.signal is None else exit_status(self.signal)

    def to_json(self) -> str:
        """One line."""
        return to_json(asdict(self))


def to_json(fields: Mapping[str, object]) -> str:
    """One line of JSON; fields without a value are left out, floats keep six digits."""
    return json.dumps({key: rounded(value) for key, value in fields.items() if value is not None})


def termination_message(result: TrainingResult) -> str:
    """The result in at most `MESSAGE_BYTES`: if it does not fit, the techniques' figures stay out."""
    text = result.to_json()
    return text if len(text.encode()) <= MESSAGE_BYTES else replace(result, techniques={}).to_json()
