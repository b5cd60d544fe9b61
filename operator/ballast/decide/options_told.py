"""What a decision weighed, as the job's status tells it.

Pure: numbers are the decision's own, rounded, so that a status is not rewritten for noise. What must hold: whoever was
told the same verdicts is not told again because a number in them has changed.
"""

from __future__ import annotations

from typing import Final

from ballast.api.decision import (
    MAX_AGAINST,
    MAX_GPU_MODEL,
    MAX_OPTIONS,
    Decision,
    DecisionKind,
    PlacementOption,
)
from ballast.decide.noticing import NUMBER, significant, usable
from ballast.decide.options import Option, Weighed
from ballast.decide.telling import moment

DIGITS: Final = 3
"""Of joules and seconds."""


def decision(weighed: Weighed | None, kind: DecisionKind, now: float) -> Decision | None:
    """Return the options as they are told; None if there are none.

    Args:
        weighed: In the order in which they are told; of very many the last are left out.
        kind: What came of them.
        now: Seconds since the epoch.
    """
    if weighed is None:
        return None
    return Decision(
        at=moment(now),
        kind=kind,
        work_seconds=_rounded(weighed.work_seconds) or 0.0,
        work_is_assumed=weighed.work_is_assumed,
        options=tuple(_told(option) for option in weighed.options[:MAX_OPTIONS]),
    )


def is_reconsidered(before: Decision | None, after: Decision | None) -> bool:
    """Return whether something else speaks for or against the options than was told, whatever the numbers."""
    if after is None:
        return False
    return before is None or before.kind is not after.kind or _verdicts(before) != _verdicts(after)


def shortened(text: str, most: int) -> str:
    """Return a text that has room in a field of so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _told(option: Option) -> PlacementOption:
    seconds = _rounded(option.seconds)
    return PlacementOption(
        gpu_model=option.gpu_model[:MAX_GPU_MODEL] or None,
        nodes=option.nodes,
        power_limit_watts=option.power_limit_watts,
        joules=_rounded(option.joules),
        seconds=seconds,
        wait_seconds=_rounded(option.wait_seconds) if seconds is not None else None,
        against=shortened(option.against, MAX_AGAINST),
    )


def _rounded(value: float | None) -> float | None:
    value = usable(value, 0)
    return significant(value, DIGITS) if value is not None else None


def _verdicts(told: Decision) -> frozenset[tuple[str | None, float | None, str]]:
    return frozenset(
        (option.gpu_model, option.power_limit_watts, NUMBER.sub("#", option.against)) for option in told.options
    )
