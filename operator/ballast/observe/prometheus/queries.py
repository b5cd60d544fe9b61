"""The fixed set of PromQL queries of one cycle, however many jobs there are. Pure: text in, text out.

What must hold:

- A gap or a missed scrape does no harm: values are the last within a window. Power has a shorter one, because what was
  drawn a while ago is not drawn now.
- A pod that is scraped twice counts once: `max by (pod_uid, ...)` before any sum. Counters never fall while a pod
  lives, and are asked for as they stand: no rate, no increase, so that no reset and no late sample can be misread.
- The evaluations of a pod are all of one scrape, and of one scraper: their count says what number stands in which slot.
  So they are asked for by one query, at one moment and without a window, of the scraper that has seen most.
- `namespace` is kept: it comes from whoever scrapes, so that a pod cannot pass for one of another namespace's job.
- Whatever stands in a setting or a UID stays inside its quotes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from ballast.api import exporter
from ballast.api.source import Component
from ballast.errors import UserError

NAMESPACE: Final = "namespace"
"""The label by which the usual scrape configurations, and any PodMonitor, tell a pod's namespace."""
COMPONENT: Final = "component"
SHARE: Final = "share"
SOURCE: Final = "source"
SLOT: Final = "slot"
NAME: Final = "__name__"
ATTEMPT: Final = "attempt"
JOB_UID: Final = "job_uid"
POD_UID: Final = "pod_uid"
SHARES: Final = ("active", "idle")

LAST_READING_WINDOW: Final = "1h"
"""How far back the last reading of a pod that went without a word is looked for."""

PROGRESS: Final = (
    exporter.STEP,
    exporter.TOTAL_STEPS,
    exporter.EPOCH,
    exporter.PERCENT,
    exporter.STEPS_PER_SECOND,
    exporter.SECONDS_LEFT,
    exporter.BEST,
    exporter.EVALUATIONS,
)
"""What is asked about a training; nothing that nobody in the operator reads."""
RING_VALUES: Final = (
    exporter.EVALUATION_VALUE,
    exporter.EVALUATION_STEP,
    exporter.EVALUATION_TRAINING_VALUE,
)

_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_POD: Final = f"{NAMESPACE}, {POD_UID}"
"""Enough where it is known otherwise whose pod it is: labels are most of an answer, and of the server's work."""
_OF_A_JOB: Final = f"{JOB_UID}, {ATTEMPT}"
MAX_NAMED_PODS: Final = 10_000
"""More are not named in one query, which would be too long for what stands before some servers."""
MAX_COUNTED_PODS: Final = 500
"""Of more pods, the counts of all are asked for, which costs less than naming them."""
MAX_NAMED_SLOTS: Final = 2
"""Of a pod; where more slots are wanted, all are asked for."""


class Queries:
    """The queries, with the labels that every series must have.

    Args:
        labels: their values by name.
        window_seconds: how old the last value of a series may be.
        power_window_seconds: likewise of power.

    Raises:
        UserError: a label's name is none.
    """

    def __init__(self, labels: Mapping[str, str], window_seconds: float, power_window_seconds: float) -> None:
        for name in labels:
            if not _LABEL_NAME.fullmatch(name):
                raise UserError(
                    f"BALLAST_PROMETHEUS_LABELS has {name!r}, which is no label name: use letters, digits and"
                    " underscores, and begin with no digit"
                )
        self._matchers = tuple(f"{name}={quoted(value)}" for name, value in sorted(labels.items()))
        self._window = _duration(window_seconds)
        components = f"{COMPONENT}=~{any_of(Component)}"
        shares = f"{SHARE}=~{any_of(SHARES)}"
        energy = self._last(exporter.ENERGY, components, shares)
        power = self._last(exporter.POWER, components, window=_duration(power_window_seconds))
        self.energy: Final = f"sum by ({_POD}, {COMPONENT}) (max by ({_POD}, {COMPONENT}, {SHARE}) ({energy}))"
        """Joules of each pod by component."""
        self.power: Final = f"sum by ({_POD}) (max by ({_POD}, {COMPONENT}) ({power}))"
        """Watts of each pod."""
        times = self._last((exporter.READ_AT, exporter.REPORTED_AT))
        self.times: Final = f"max by ({NAME}, {_POD}, {_OF_A_JOB}) ({times})"
        """When the meter looked last at each pod, and when its trainer reported; and whose pod it is."""
        self.progress: Final = f"max by ({NAME}, {_POD}) ({self._last(PROGRESS)})"
        """`PROGRESS` of each pod whose trainer reports."""

    def evaluations(self, slots: Mapping[str, Collection[int]]) -> str:
        """Return the query for the counts and the rings of evaluations.

        Args:
            slots: which of them are wanted, by pod UID.
        """
        pods: dict[int | None, list[str]] = defaultdict(list)
        for pod_uid, wanted in slots.items():
            for slot in wanted if len(wanted) <= MAX_NAMED_SLOTS else (None,):
                pods[slot].append(pod_uid)
        if sum(map(len, pods.values())) > MAX_NAMED_PODS:
            rings = [self._series(RING_VALUES)]
        else:
            rings = [
                self._series(RING_VALUES, *_in_slot(slot), f"{POD_UID}=~{any_of(pod_uids)}")
                for slot, pod_uids in pods.items()
            ]
        few = (f"{POD_UID}=~{any_of(slots)}",) if len(slots) <= MAX_COUNTED_PODS else ()
        counts = self._series(exporter.EVALUATIONS, *few)
        of_one_scraper = f"and ignoring ({SLOT}) topk by ({_POD}) (1, {counts})"
        return f"max by ({NAME}, {_POD}, {SLOT}) (({' or '.join([counts, *rings])}) {of_one_scraper})"

    def last_readings(self, pod_uids: Sequence[str]) -> str:
        """Return the query for the last that is known of these pods: joules, their sources, and when."""
        names = (exporter.ENERGY, exporter.READ_AT, exporter.SOURCE)
        last = self._last(names, f"{POD_UID}=~{any_of(pod_uids)}", window=LAST_READING_WINDOW)
        return f"max by ({NAME}, {_POD}, {COMPONENT}, {SHARE}, {SOURCE}) ({last})"

    def _last(self, name: str | tuple[str, ...], *matchers: str, window: str | None = None) -> str:
        return f"last_over_time({self._series(name, *matchers)}[{window or self._window}])"

    def _series(self, name: str | tuple[str, ...], *matchers: str) -> str:
        """Return the selector of one metric, or of several."""
        named = f"{NAME}={quoted(name)}" if isinstance(name, str) else f"{NAME}=~{any_of(name)}"
        return "{" + ",".join((named, *matchers, *self._matchers)) + "}"


def _in_slot(slot: int | None) -> tuple[str, ...]:
    return () if slot is None else (f'{SLOT}="{slot}"',)


def quoted(value: str) -> str:
    """Return a PromQL string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def any_of(values: Iterable[str]) -> str:
    """Return the literal of a pattern that matches exactly these values (RE2, as Prometheus anchors it)."""
    return quoted("|".join(_literal(value) for value in values))


def _literal(value: str) -> str:
    # Not re.escape: it escapes the hyphens of UIDs, too, and plain alternatives are looked up fast.
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", value)


def _duration(seconds: float) -> str:
    return f"{max(round(seconds), 1)}s"
