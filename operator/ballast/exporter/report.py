"""Reports of a trainer, as they are read from the JSON that any language can send: an object, or a list of them.

What must hold: what is sent is taken as a whole or not at all, and a refusal names the field, its value and the
remedy. A field that is not known is left out and told, so that a newer trainer can report to an older exporter. What
is absent or null was not told. A metric's value may be no finite number, written as "NaN", "Infinity" or "-Infinity"
(or as the bare words that Python's `json` writes).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ballast.api.finalreading import from_plain
from ballast.errors import UserError

METRIC_NAME: Final = re.compile(r"[A-Za-z_][-A-Za-z0-9_./:]{0,62}")
"""What `earlyStopping.metric` allows, too."""
MOST_METRICS: Final = 256
"""Of one report; how many of them are kept is `api.exporter.MAX_METRICS`."""
MOST_COUNT: Final = 2**53
MOST_REPORTS: Final = 256
"""Sent together."""
SHOWN: Final = 60
"""Characters of a wrong value that a refusal repeats."""


class ReportRefused(UserError):
    """A report cannot be read.

    Args:
        field: which of its fields; empty for the whole.
        value: what stands there.
        remedy: what to send.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field = field
        self.value = shown(value)
        self.remedy = remedy
        super().__init__(f"{field or 'the report'} is {self.value}: {remedy}")


@dataclass(frozen=True, slots=True)
class Report:
    """What a trainer told at once; None is what it did not tell.

    Attributes:
        step: optimizer steps done, over all attempts.
        total_steps: at which step the training ends.
        epoch: epochs done, with a fraction.
        samples: that this process has trained on since it began. A number smaller than the one before means that
            another process counts, from 0.
        percent: of the work, 0 to 100.
        seconds_left: until the end.
        cpu_seconds: CPU time that the trainer's container has used; smaller than before: counts from 0, likewise.
        metrics: values by name.
        missed: how many values of a metric were dropped before this report, because they came too fast to be sent.
        ignored: why something was left out, by field or metric.
    """

    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    samples: float | None = None
    percent: float | None = None
    seconds_left: float | None = None
    cpu_seconds: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)


def parse_reports(body: bytes) -> tuple[Report, ...]:
    """Return the reports that a body holds, in the order in which they were made.

    Raises:
        ReportRefused: it holds none, or one of them cannot be read.
    """
    content = parse_json(body)
    if not isinstance(content, list):
        return (_report(content),)
    if not 0 < len(content) <= MOST_REPORTS:
        raise ReportRefused("", content, f"send 1 to {MOST_REPORTS} reports at once")
    return tuple(_report(each) for each in content)


def parse_json(body: bytes) -> Any:
    """Return what a body holds.

    Raises:
        ReportRefused: it is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ReportRefused("", body.decode(errors="replace"), _AN_OBJECT) from None


def count(field: str, value: object, least: int = 0) -> int | None:
    """Return a whole number of at least ``least``, or None for null.

    Raises:
        ReportRefused: it is something else.
    """
    number = quantity(field, value)
    if number is None:
        return None
    if number != int(number) or not least <= number <= MOST_COUNT:
        raise ReportRefused(field, value, f"use a whole number from {least} to 2^53")
    return int(number)


def quantity(field: str, value: object, most: float = math.inf) -> float | None:
    """Return a finite number from 0 to ``most``, or None for null.

    Raises:
        ReportRefused: it is something else.
    """
    if value is None:
        return None
    remedy = "use a number of at least 0" if most == math.inf else f"use a number from 0 to {most:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportRefused(field, value, remedy)
    try:
        number = float(value)
    except OverflowError:
        raise ReportRefused(field, value, remedy) from None
    if not math.isfinite(number) or not 0 <= number <= most:
        raise ReportRefused(field, value, remedy)
    return number


def shown(value: object) -> str:
    """Return a value as a message can repeat it: one short line."""
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError):
        text = ascii(value)
    except RecursionError:
        text = "(nested too deep)"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def label(name: str) -> str:
    """Return a name as an answer can repeat it."""
    return name if METRIC_NAME.fullmatch(name) else shown(name)


_AN_OBJECT: Final = 'send a JSON object, such as {"step": 12}'


def _report(content: Any) -> Report:
    if not isinstance(content, dict):
        raise ReportRefused("", content, _AN_OBJECT)
    values = {name: read(wire, content.get(wire)) for wire, (name, read) in _FIELDS.items()}
    known = ", ".join(_FIELDS)
    ignored = {label(wire): f"there is no such field; there are {known}" for wire in content if wire not in _FIELDS}
    return Report(**{name: value for name, value in values.items() if value is not None}, ignored=ignored)


def _metrics(field: str, value: object) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > MOST_METRICS:
        raise ReportRefused(field, value, f'use an object of at most {MOST_METRICS} numbers, such as {{"loss": 0.3}}')
    return {_name(field, name): _value(name, each) for name, each in value.items() if each is not None}


def _missed(field: str, value: object) -> dict[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > MOST_METRICS:
        raise ReportRefused(field, value, f'use an object of at most {MOST_METRICS} counts, such as {{"loss": 3}}')
    return {_name(field, name): count(f"{field}.{name}", each) or 0 for name, each in value.items()}


def _name(field: str, name: str) -> str:
    if not METRIC_NAME.fullmatch(name):
        raise ReportRefused(field, name, "name metrics with a letter or _, then at most 62 of letters, digits, _-./:")
    return name


def _value(name: str, value: object) -> float:
    if isinstance(value, float):
        return value  # bare NaN and Infinity, too
    try:
        return from_plain(value)
    except (TypeError, ValueError, OverflowError):
        raise ReportRefused(f"metrics.{name}", value, 'use a number, "NaN", "Infinity" or "-Infinity"') from None


_FIELDS: Final[Mapping[str, tuple[str, Callable[[str, object], Any]]]] = {
    "step": ("step", count),
    "totalSteps": ("total_steps", lambda field, value: count(field, value, 1)),
    "epoch": ("epoch", quantity),
    "samples": ("samples", lambda field, value: quantity(field, value, MOST_COUNT)),
    "percent": ("percent", lambda field, value: quantity(field, value, 100)),
    "secondsLeft": ("seconds_left", quantity),
    "cpuSeconds": ("cpu_seconds", lambda field, value: quantity(field, value, MOST_COUNT)),
    "metrics": ("metrics", _metrics),
    "missed": ("missed", _missed),
}
"""By name in JSON: the attribute of `Report`, and what reads it."""
