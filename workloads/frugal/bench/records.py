"""What a bench writes down: one `Trial` for each case, phase and seed, a line of JSON each.

What must hold: `Energy.joules` comes from a counter or is None. What follows from time and a power model, or from
counted operations, is an `estimate` with the model's name: no estimate ever stands where a measurement is expected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frugal.technique import Value  # imports torch, which records do without


class Phase(StrEnum):
    """What was measured: learning, or answering with the finished model."""

    TRAINING = "training"
    INFERENCE = "inference"


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What an interval cost.

    Attributes:
        seconds: Its length.
        cpu_seconds: Processor time of this process in it, all threads, and of children that ended in it.
        joules: Measured; None where the machine has no counter.
        source: Which counters, such as ``nvml`` or ``nvml+rapl``; None without.
        estimated_joules: By `estimated_by`; given beside a measurement too, so that the two can be compared.
        estimated_by: The model in short, with its figures: ``cpu-time: 7.5 W a busy core``.
    """

    seconds: float
    cpu_seconds: float
    joules: float | None = None
    source: str | None = None
    estimated_joules: float | None = None
    estimated_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One case, once.

    Attributes:
        case: Its name in the plan.
        baseline: The case that it is paired with by seed and phase; None for a baseline.
        samples: Examples learned from or answered.
        flops: Floating-point operations of all of them, a multiply-add as two, by the model's shape.
        parameters: Numbers in the deployed model.
        bytes: That the deployed model is stored in.
        accuracy: On held-out data, of the deployed model.
        to_accuracy: Energy until the plan's target accuracy was first reached; None if it never was, or in inference.
        figures: What the techniques told (sparsity, spikes, …), by technique.
        data: Name of the data set: a synthetic one says nothing of accuracy.
    """

    case: str
    phase: Phase
    seed: int
    energy: Energy
    samples: int
    flops: float
    parameters: int
    bytes: int
    accuracy: float
    baseline: str | None = None
    to_accuracy: Energy | None = None
    figures: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    data: str = ""

    @property
    def key(self) -> tuple[str, Phase, int]:
        """What a trial is of: a bench that goes on skips the keys it has."""
        return self.case, self.phase, self.seed

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Trial:
        """What `to_json` wrote."""
        stored: dict[str, Any] = json.loads(line)
        stored["phase"] = Phase(stored["phase"])
        stored["energy"] = Energy(**stored["energy"])
        if stored["to_accuracy"] is not None:
            stored["to_accuracy"] = Energy(**stored["to_accuracy"])
        return cls(**stored)
