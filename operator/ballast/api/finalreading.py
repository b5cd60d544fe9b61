"""The exporter's last words about its pod, as its container's termination message holds them.

The kubelet keeps that message in the pod's status, and the pod finalizer `FINALIZER` keeps the pod until the operator
has entered it into the ledger (G5). What must hold: it fits into what the kubelet keeps; whatever else stands there (a
user may write there, too) is no reading and does no harm. Values of a training metric may be infinite or no number at
all, which tells that a training diverges: JSON has no numbers for them, so they are written as words (`to_plain`).
Standard library only: the exporter imports it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ballast.api.source import Component, Source

FINALIZER: Final = "ballast.dev/final-reading"
"""On training pods with an exporter."""
MAX_BYTES: Final = 4096
"""What the kubelet keeps of one container's message."""
VERSION: Final = 1
DECIMALS: Final = 3
"""Of joules: a thousandth is below what any board counts."""


@dataclass(frozen=True, slots=True)
class Joules:
    """What a pod used of one component since it began, in joules."""

    active: float = 0.0
    idle: float = 0.0
    source: Source = Source.COUNTER

    @property
    def total(self) -> float:
        """Active and idle together."""
        return self.active + self.idle


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One value of the metric that early stopping goes by.

    Attributes:
        number: counts from 1, over restarts of the exporter.
        value: may be NaN or infinite.
        step: the step at which it was reported; None if the trainer tells no steps.
        training_value: the training metric at that time, where the job names one and it was reported; may be
            NaN or infinite, too.
    """

    number: int
    value: float
    step: int | None = None
    training_value: float | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """How far a training is, as its trainer reported it last; what it did not tell is None.

    Attributes:
        samples: that this attempt has trained on.
        percent: of the work, 0 to 100.
        seconds_left: until the end, as the trainer or the exporter estimates it.
        metric: the newest value of the metric that early stopping goes by; None if that is not a finite number.
        best: the best of its finite values.
        reported_at: seconds since the epoch.
        evaluations: how many values of that metric were reported.
        ring: the newest of them, oldest first.
    """

    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    samples: float | None = None
    percent: float | None = None
    steps_per_second: float | None = None
    samples_per_second: float | None = None
    seconds_left: float | None = None
    metric: float | None = None
    best: float | None = None
    reported_at: float | None = None
    evaluations: int = 0
    ring: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, slots=True)
class FinalReading:
    """What a pod has used.

    Attributes:
        at: when the meter looked last, seconds since the epoch.
        joules: by component; one that nobody meters or estimates is absent.
        training: what the trainer reported; None if nothing.
        is_last: whether the meter has looked after the pod was told to end. An exporter writes its words early and
            overwrites them, so that there are some if it is killed: those are not the last.
    """

    at: float
    joules: Mapping[Component, Joules] = field(default_factory=dict)
    training: Training | None = None
    is_last: bool = False

    def encode(self) -> str:
        """Return it as one line of JSON of at most `MAX_BYTES`; the oldest evaluations go first if it is too long."""
        content: dict[str, Any] = {"v": VERSION, "at": round(self.at, DECIMALS), "joules": _joules_json(self.joules)}
        if self.is_last:
            content["last"] = True
        training = self.training
        while True:
            if training is not None:
                content["training"] = _training_json(training)
            text = json.dumps(content, separators=(",", ":"), allow_nan=False)
            if len(text) <= MAX_BYTES or training is None:
                return text
            # Numbers alone never fill it without the ring.
            training = replace(training, ring=training.ring[1:]) if training.ring else None
            content.pop("training")


def parse(message: str) -> FinalReading | None:
    """Return the reading that a termination message holds, or None if it holds none."""
    try:
        content = json.loads(message)
        if not isinstance(content, dict) or content.get("v") != VERSION:
            return None
        joules = {
            Component(name): Joules(_number(active, 0), _number(idle, 0), Source(source))
            for name, (active, idle, source) in content["joules"].items()
        }
        training = content.get("training")
        told = _training(training) if training is not None else None
        return FinalReading(_number(content["at"], 0), joules, told, is_last=content.get("last") is True)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _joules_json(joules: Mapping[Component, Joules]) -> dict[str, Any]:
    return {
        component.value: [round(each.active, DECIMALS), round(each.idle, DECIMALS), each.source.value]
        for component, each in joules.items()
    }


_COUNTS: Final = ("step", "total_steps", "evaluations")
_NUMBERS: Final = (
    "epoch",
    "samples",
    "percent",
    "steps_per_second",
    "samples_per_second",
    "seconds_left",
    "metric",
    "best",
    "reported_at",
)


def _training_json(training: Training) -> dict[str, Any]:
    told = {name: getattr(training, name) for name in (*_COUNTS, *_NUMBERS)}
    content = {name: value for name, value in told.items() if value is not None}
    if training.ring:
        content["ring"] = [
            [each.number, to_plain(each.value), each.step, to_plain(each.training_value)] for each in training.ring
        ]
    return content


def _training(content: Mapping[str, Any]) -> Training:
    counts = {name: int(_number(content[name], 0)) for name in _COUNTS if content.get(name) is not None}
    numbers = {name: _number(content[name]) for name in _NUMBERS if content.get(name) is not None}
    ring = tuple(
        Evaluation(
            int(_number(number, 1)),
            from_plain(value),
            int(_number(step, 0)) if step is not None else None,
            from_plain(other) if other is not None else None,
        )
        for number, value, step, other in content.get("ring", ())
    )
    return Training(**counts, **numbers, ring=ring)  # type: ignore[arg-type]


_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_plain(value: float | None) -> float | str | None:
    """Return a value of a metric as JSON can hold it: NaN, Infinity and -Infinity as words."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def from_plain(value: Any) -> float:
    """Return the value of a metric that `to_plain` wrote.

    Raises:
        TypeError: it is neither a number nor one of those words.
        ValueError: it is a number that no float holds.
    """
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    return _number(value)


def _number(value: Any, least: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    number = float(value)
    if not math.isfinite(number) or number < least:
        raise ValueError(f"{value!r} is out of range")
    return number
