"""Makes figures of the rows that Prometheus answers. Pure.

What must hold: anybody may expose series with our names, so that every label and every value is looked at, and what
cannot be (not a number, negative, absurd, of an unknown component, in the future) is no figure. The values of
evaluations alone may be NaN or infinite: so a training looks that diverges. What is not known is absent, never 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from ballast.api import exporter
from ballast.api.finalreading import FinalReading, Joules, Training
from ballast.api.source import Component, Source
from ballast.observe.prometheus.client import Row
from ballast.observe.prometheus.evaluations import MAX_EVALUATIONS, Decoded, Slot
from ballast.observe.prometheus.queries import (
    ATTEMPT,
    COMPONENT,
    JOB_UID,
    NAME,
    NAMESPACE,
    POD_UID,
    SHARE,
    SHARES,
    SLOT,
    SOURCE,
)

MAX_ATTEMPT_DIGITS: Final = 6
MAX_UID_CHARACTERS: Final = 64
"""A longer one is none; UIDs go into queries."""
MAX_AHEAD_SECONDS: Final = 300.0
"""A time that lies further ahead is none: the clocks of nodes differ by less."""
MAX_JOULES: Final = 1e15
MAX_WATTS: Final = 1e9
MAX_COUNT: Final = 1e15

_COMPONENTS: Final = {component.value: component for component in Component}
_SOURCES: Final = {source.value: source for source in Source}
_SLOTS: Final = {str(slot): slot for slot in range(exporter.RING)}


class Group(NamedTuple):
    """The pods of an attempt; the namespace is empty if Prometheus knows none."""

    job_uid: str
    attempt: int
    namespace: str


PodKey: TypeAlias = tuple[str, str]
"""A pod's UID, and the namespace; empty if Prometheus knows none."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The evaluations of a pod, as one scrape showed them.

    Attributes:
        count: how many there were.
        slots: what the ring holds.
    """

    count: int
    slots: Mapping[int, Slot]


def joules(rows: Iterable[Row]) -> dict[PodKey, dict[Component, float]]:
    """Return the joules of each pod by component."""
    found: dict[PodKey, dict[Component, float]] = defaultdict(dict)
    for labels, value in rows:
        component = _COMPONENTS.get(labels.get(COMPONENT, ""))
        if component is not None and 0 <= value <= MAX_JOULES:
            found[_pod(labels)][component] = value
    return found


def watts(rows: Iterable[Row]) -> dict[PodKey, float]:
    """Return the watts of each pod."""
    return {_pod(labels): value for labels, value in rows if 0 <= value <= MAX_WATTS}


@dataclass(slots=True)
class Times:
    """When what was heard of pods, by attempt and pod UID.

    Attributes:
        read_at: when the meter looked last.
        reported_at: when the trainer reported last.

    Both are of the clock of the pod's node, which may be ahead: what passes between two of them is right all the same.
    """

    read_at: dict[Group, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    reported_at: dict[Group, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))


def times(rows: Iterable[Row], now: float) -> Times:
    """Return when what was heard of pods."""
    found = Times()
    by_name = {exporter.READ_AT: found.read_at, exporter.REPORTED_AT: found.reported_at}
    for labels, value in rows:
        group, pod_uid = _group(labels), labels.get(POD_UID, "")
        if group is not None and _is_time(value, now) and 0 < len(pod_uid) <= MAX_UID_CHARACTERS:
            by_name[labels[NAME]][group][pod_uid] = value
    return found


def progress(rows: Iterable[Row]) -> dict[PodKey, dict[str, float]]:
    """Return what trainers report, by the metric's name."""
    found: dict[PodKey, dict[str, float]] = defaultdict(dict)
    for labels, value in rows:
        if math.isfinite(value):
            found[_pod(labels)][labels[NAME]] = value
    return found


def rings(rows: Iterable[Row]) -> dict[PodKey, Ring]:
    """Return the evaluations of each pod; of a pod without a count there are none."""
    counts: dict[PodKey, int] = {}
    values: dict[PodKey, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for labels, value in rows:
        pod, name = _pod(labels), labels[NAME]
        if name == exporter.EVALUATIONS:
            if 0 <= value <= MAX_EVALUATIONS:
                counts[pod] = int(value)
        elif (slot := _SLOTS.get(labels.get(SLOT, ""))) is not None:
            values[pod][name][slot] = value
    return {pod: Ring(count, _slots(values.get(pod, {}))) for pod, count in counts.items()}


def _slots(values: Mapping[str, Mapping[int, float]]) -> dict[int, Slot]:
    steps = values.get(exporter.EVALUATION_STEP, {})
    others = values.get(exporter.EVALUATION_TRAINING_VALUE, {})
    return {
        slot: Slot(value, _count(steps.get(slot)), others.get(slot))
        for slot, value in values.get(exporter.EVALUATION_VALUE, {}).items()
    }


def training(told: Mapping[str, float], reported_at: float, decoded: Decoded) -> Training:
    """Return how far a training is.

    Args:
        told: what a trainer reports, by the metric's name.
        reported_at: when.
        decoded: what is known of its evaluations.
    """
    percent = _positive(told.get(exporter.PERCENT), 100.0)
    total = _count(told.get(exporter.TOTAL_STEPS))
    return Training(
        step=_count(told.get(exporter.STEP)),
        total_steps=total or None,
        epoch=_positive(told.get(exporter.EPOCH)),
        percent=percent,
        steps_per_second=_positive(told.get(exporter.STEPS_PER_SECOND)),
        seconds_left=_positive(told.get(exporter.SECONDS_LEFT)),
        metric=decoded.newest if decoded.newest is not None and math.isfinite(decoded.newest) else None,
        best=told.get(exporter.BEST),
        reported_at=reported_at,
        evaluations=decoded.evaluations,
        ring=decoded.new,
    )


@dataclass(slots=True)
class _Last:
    at: float = 0.0
    shares: dict[Component, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    sources: dict[Component, set[Source]] = field(default_factory=lambda: defaultdict(set))


def last_readings(rows: Iterable[Row], now: float) -> dict[PodKey, FinalReading]:
    """Return the last that is known of pods.

    If nobody knows when the meter looked, `at` is 0. If a component's figures had several sources, the worst is told.
    """
    found: dict[PodKey, _Last] = defaultdict(_Last)
    for labels, value in rows:
        last = found[_pod(labels)]
        component = _COMPONENTS.get(labels.get(COMPONENT, ""))
        match labels.get(NAME):
            case exporter.READ_AT:
                last.at = max(last.at, _time(value, now) or 0.0)
            case exporter.ENERGY if component is not None and 0 <= value <= MAX_JOULES:
                share = labels.get(SHARE, "")
                last.shares[component][share] = value
            case exporter.SOURCE if component is not None and (source := _SOURCES.get(labels.get(SOURCE, ""))):
                last.sources[component].add(source)
    return {
        pod: FinalReading(last.at, {component: _joules(last, component) for component in sorted(last.shares)})
        for pod, last in found.items()
        if last.shares
    }


def _joules(last: _Last, component: Component) -> Joules:
    active, idle = (last.shares[component].get(share, 0.0) for share in SHARES)
    source = max(last.sources.get(component) or {Source.COUNTER}, key=list(Source).index)
    return Joules(active, idle, source)


def _group(labels: Mapping[str, str]) -> Group | None:
    """Return whose series it is; None if it is no job's."""
    job_uid, attempt = labels.get(JOB_UID, ""), labels.get(ATTEMPT, "")
    if not job_uid or len(attempt) > MAX_ATTEMPT_DIGITS or not (attempt.isascii() and attempt.isdigit()):
        return None
    return Group(job_uid, int(attempt), labels.get(NAMESPACE, ""))


def _pod(labels: Mapping[str, str]) -> PodKey:
    return labels.get(POD_UID, ""), labels.get(NAMESPACE, "")


def _time(value: float, now: float) -> float | None:
    """Return seconds since the epoch, at most `now`; None if it is no time."""
    return min(value, now) if _is_time(value, now) else None


def _is_time(value: float, now: float) -> bool:
    return 0 < value <= now + MAX_AHEAD_SECONDS


def _positive(value: float | None, most: float = MAX_COUNT) -> float | None:
    return value if value is not None and 0 <= value <= most else None


def _count(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= MAX_COUNT else None
