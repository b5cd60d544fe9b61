"""A pod's readings as its node's agent tells them: the JSON of `api.readings.PodReadings`, read without pydantic.

What must hold: what is not such JSON is refused as a whole, so that no half of an answer is counted; fields that a
later agent adds are passed over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ballast.api.source import Component, Source
from ballast.errors import RetryableError


class BadReadings(RetryableError):
    """It is not what an agent tells."""


@dataclass(frozen=True, slots=True)
class Share:
    """A pod's share of one GPU, of the CPUs or of the memory, since the agent counts.

    Attributes:
        component: of what.
        active_joules: what its own work took.
        idle_joules: its part of what would be drawn without load.
        watts: power at the last reading.
        source: where the figures come from.
        uuid: of the GPU; empty for the others.
        mig_device: of the GPU's part, where it has parts.
        power_limit_watts: of the GPU, where it is known.
    """

    component: Component
    active_joules: float
    idle_joules: float
    watts: float
    source: Source
    uuid: str = ""
    mig_device: str = ""
    power_limit_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """What one pod has used.

    Attributes:
        pod_uid: the pod's.
        at: when the meter looked last, in seconds since the epoch.
        since: since when the agent counts, likewise; another value is another account.
        shares: of each component, and each GPU.
    """

    pod_uid: str
    at: float
    since: float
    shares: tuple[Share, ...]


def parse(text: str | bytes) -> Readings:
    """Return the readings that an agent's answer holds.

    Raises:
        BadReadings: it holds none.
    """
    try:
        content = json.loads(text)
        shares = [_share(Component.GPU, each) for each in content.get("gpus") or ()]
        shares += [
            _share(component, content[component.value])
            for component in (Component.CPU, Component.DRAM)
            if content.get(component.value) is not None
        ]
        return Readings(str(content["podUid"]), _seconds(content["at"]), _seconds(content["since"]), tuple(shares))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadReadings(
            f"the agent's answer is not what agents tell ({type(error).__name__}: {error}): run the same version of"
            " Ballast everywhere"
        ) from error


def _share(component: Component, content: Mapping[str, Any]) -> Share:
    limit = content.get("powerLimitWatts")
    return Share(
        component=component,
        active_joules=_amount(content["activeJoules"]),
        idle_joules=_amount(content["idleJoules"]),
        watts=_amount(content["watts"]),
        source=Source(content["source"]),
        uuid=str(content["uuid"]) if component is Component.GPU else "",
        mig_device=str(content.get("migDevice") or ""),
        power_limit_watts=None if limit is None else _amount(limit),
    )


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    if not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is out of range")
    return float(value)
