"""Kubeflow Trainer's progress protocol, as Hugging Face `transformers` speaks it by itself.

A trainer posts `{"trainerStatus": {"progressPercentage", "estimatedRemainingSeconds", "metrics": [{"name", "value"}],
"lastUpdatedTime"}}`, each metric's value as text. What must hold: an evaluation is counted once, although
`transformers` repeats the newest values in each update. One is new when any value of its family has changed: of those
that begin with `eval_` for such a metric (the run time of an evaluation, which is among them, is hardly ever the same
twice), else of those that `transformers` logs while it trains. Updates come at most every 5 seconds: of several
evaluations between two updates the last is told, and nothing here can know of the others.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, Final

from ballast.exporter.report import (
    METRIC_NAME,
    MOST_METRICS,
    Report,
    ReportRefused,
    count,
    label,
    parse_json,
    quantity,
    shown,
)

STATUS: Final = "trainerStatus"
STEP: Final = "current_step"
TOTAL_STEPS: Final = "total_steps"
EPOCHS: Final = ("current_epoch", "epoch")
"""The better one first."""
_PLACE: Final = frozenset({STEP, TOTAL_STEPS, *EPOCHS})
"""What `transformers` puts among the metrics, and is none."""
_FAMILIES: Final = ("eval_", "test_", "train_")
_SUMMARY: Final = "total_flos"
"""Logged once more at the end, and of no family."""
_TIMING: Final = ("_runtime", "_per_second", _SUMMARY)
"""How the names end of what says nothing about the model; it would take places from what does."""
MOST_DIGITS: Final = 64


def parse_status(body: bytes, metric: str | None) -> tuple[Report, str | None]:
    """Return the report that an update holds, and what stays the same while an evaluation in it is repeated.

    A metric that cannot be kept is left out and told: other trainers than `transformers` name theirs freely.

    Args:
        body: of the request.
        metric: the job's `earlyStopping.metric`.

    Raises:
        ReportRefused: it holds none.
    """
    content = parse_json(body)
    status = content.get(STATUS) if isinstance(content, dict) else None
    if not isinstance(status, dict):
        raise ReportRefused(STATUS, status, 'send {"trainerStatus": {"progressPercentage": 12, ...}}')
    values, ignored = _metrics(status.get("metrics"))
    step, total_steps = _whole(values.get(STEP), 0), _whole(values.get(TOTAL_STEPS), 1)
    epochs = (values[name] for name in EPOCHS if name in values)
    epoch = next((each for each in epochs if math.isfinite(each) and each >= 0), None)
    percent = quantity(f"{STATUS}.progressPercentage", status.get("progressPercentage"), 100)
    seconds_left = quantity(f"{STATUS}.estimatedRemainingSeconds", status.get("estimatedRemainingSeconds"))
    told = {name: value for name, value in values.items() if name not in _PLACE}
    report = Report(
        step=step,
        total_steps=total_steps,
        epoch=epoch,
        # A whole number of percent, while steps say it better.
        percent=None if step is not None and total_steps is not None else percent,
        seconds_left=seconds_left,
        metrics={name: value for name, value in told.items() if name == metric or not name.endswith(_TIMING)},
        ignored=ignored,
    )
    return report, None if metric is None else _fingerprint(told, metric)


def _metrics(content: Any) -> tuple[dict[str, float], dict[str, str]]:
    field = f"{STATUS}.metrics"
    if content is None:
        return {}, {}
    if not isinstance(content, list) or len(content) > MOST_METRICS:
        raise ReportRefused(field, content, f'use a list of at most {MOST_METRICS} {{"name": ..., "value": ...}}')
    values: dict[str, float] = {}
    ignored: dict[str, str] = {}
    for each in content:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise ReportRefused(field, each, 'use {"name": "loss", "value": "0.3"}')
        name = each["name"]
        value = _number(each.get("value"))
        if value is None:
            ignored[label(name)] = f"its value is {shown(each.get('value'))}, which is no number"
        elif METRIC_NAME.fullmatch(name):
            values[name] = value
        else:
            ignored[label(name)] = "a name is a letter or _, then at most 62 of letters, digits, _-./:"
    return values, ignored


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > MOST_DIGITS:
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _whole(value: float | None, least: int) -> int | None:
    """Return a count that `transformers` put among the metrics; None if it is none."""
    try:
        return None if value is None or not value.is_integer() else count("", value, least)
    except ReportRefused:
        return None


def _fingerprint(metrics: dict[str, float], metric: str) -> str:
    """Return what stays the same while an evaluation is repeated."""
    family = _family(metric)
    told = sorted(
        (name, repr(value)) for name, value in metrics.items() if _family(name) == family and name != _SUMMARY
    )
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _family(name: str) -> str:
    return next((prefix for prefix in _FAMILIES if name.startswith(prefix)), "")
