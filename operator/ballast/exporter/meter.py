"""Asks the agent, lets the fallback count while there is none, and keeps the totals: one poll, one set of figures.

An agent that refuses, or does not answer, is asked ever more seldom, so that nobody is hammered. Each kind of trouble
is logged once, and once that it is over. After `AWAY_SECONDS` without an answer the fallback counts, from the last
answer on; why nothing is counted twice stands in `totals`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from ballast.clock import steady_seconds
from ballast.exporter.agent_client import TIMEOUT_SECONDS, AgentError, NoAgent, NotKnownYet, Refused
from ballast.exporter.fallback import Fallback
from ballast.exporter.readings import BadReadings, Readings
from ballast.exporter.totals import Figures, Totals, watts_by_component

logger = logging.getLogger(__name__)

AWAY_SECONDS: Final = 30.0
"""An agent is replaced in less, and catches up with what it missed."""
MOST_PAUSE_SECONDS: Final = 60.0
FRESH_SECONDS: Final = 15.0
"""Watts that were measured longer ago are told no more."""


class Client(Protocol):
    """What is needed of an `AgentClient`."""

    def ask(self, timeout_seconds: float) -> Readings:
        """Return what the pod has used."""
        ...


class Meter:
    """What this pod uses.

    Args:
        client: asks the agent; None where there is none.
        fallback: counts while nobody else does.
        totals: those of before the exporter's restart, or new ones.
        pod_uid: the pod's; readings of another are refused. Empty: not known.
        poll_seconds: how often it is polled.
        clock: seconds that only pass.
        wall: seconds since the epoch.

    Attributes:
        totals: the totals.
        is_refused: whether the agent did not answer the last time, or wants to be left alone.
    """

    def __init__(
        self,
        client: Client | None,
        fallback: Fallback,
        totals: Totals,
        pod_uid: str = "",
        poll_seconds: float = 10.0,
        clock: Callable[[], float] = steady_seconds,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._fallback = fallback
        self.totals = totals
        self._pod_uid = pod_uid
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._wall = wall
        self._answered_at = clock()
        self._is_answered = client is None
        self._ask_at = float("-inf")
        self._failures = 0
        self._troubles: set[str] = set()
        self.is_refused = client is None
        self._figures = Figures.of(totals)
        self._meter_at: float | None = None
        self._seen_at = 0.0

    def poll(self, timeout_seconds: float = TIMEOUT_SECONDS, *, insist: bool = False) -> Figures:
        """Return the newest figures.

        Args:
            timeout_seconds: how long the agent's answer is waited for.
            insist: ask the agent even if it is not its time yet.
        """
        readings = self._ask(timeout_seconds) if insist or self._clock() >= self._ask_at else None
        if readings is not None:
            self._fallback.rest()
            self.totals.take(readings)
            self._figures = self._of_agent(readings)
        elif self._client is None or self._is_away():
            self._count()
        return self._figures

    @property
    def is_waited_for(self) -> bool:
        """Whether the agent did not answer the last time, and most likely will in a moment: of a young pod, perhaps."""
        return not self._is_answered and not self.is_refused and not self._is_away()

    def _is_away(self) -> bool:
        return self._clock() - self._answered_at >= AWAY_SECONDS

    def _ask(self, timeout_seconds: float) -> Readings | None:
        if self._client is None:
            return None
        try:
            readings = self._of_this_pod(self._client.ask(timeout_seconds))
        except (AgentError, BadReadings) as error:
            self._note(error)
            self._is_answered = False
            return None
        now = self._clock()
        if self._troubles:
            self._troubles.clear()
            logger.info("the agent tells readings again", extra={"seconds": round(now - self._answered_at)})
        self._answered_at, self._ask_at, self._failures, self.is_refused = now, float("-inf"), 0, False
        self._is_answered = True
        return readings

    def _of_this_pod(self, readings: Readings) -> Readings:
        if self._pod_uid and readings.pod_uid != self._pod_uid:
            raise BadReadings(
                f"the agent told the readings of pod {readings.pod_uid!r}, not of {self._pod_uid!r}: the token is that"
                " of another pod"
            )
        return readings

    def _note(self, error: AgentError | BadReadings) -> None:
        now = self._clock()
        # An agent that knows nothing of the pod yet is well, and the pod young.
        is_news = not isinstance(error, NotKnownYet) or now - self._answered_at >= AWAY_SECONDS
        kind = error.kind if isinstance(error, AgentError) else "bad"
        if is_news and kind not in self._troubles:
            self._troubles.add(kind)
            logger.warning("the agent tells no readings", extra={"error": str(error)})
        self.is_refused = isinstance(error, NoAgent | Refused)
        if self.is_refused:
            pause = min(self._poll_seconds * 2**self._failures, MOST_PAUSE_SECONDS)
            wanted = error.retry_seconds if isinstance(error, Refused) else 0.0
            # A little less than whole periods, so that the next poll is not just too early.
            self._ask_at = now + max(pause, wanted) - self._poll_seconds / 10
            self._failures = min(self._failures + 1, 30)

    def _of_agent(self, readings: Readings) -> Figures:
        now = self._clock()
        if self._meter_at is None:
            # By the wall clock this once: later it counts when another time was seen, whatever the clocks say.
            self._seen_at = now - max(self._wall() - readings.at, 0.0)
        elif readings.at != self._meter_at:
            self._seen_at = now
        self._meter_at = readings.at
        watts: dict[str, float] = {}
        limits: dict[str, float] = {}
        for share in readings.shares:
            if share.uuid:
                watts[share.uuid] = watts.get(share.uuid, 0.0) + share.watts
                if share.power_limit_watts is not None:
                    limits[share.uuid] = share.power_limit_watts
        by_component = watts_by_component((share.component, share.watts) for share in readings.shares)
        return Figures.of(self.totals, self._seen_at + FRESH_SECONDS, by_component, watts, limits)

    def _count(self) -> None:
        if not self._fallback.is_counting and self._client is not None:
            logger.warning(
                "the agent has told nothing for long: until it does, GPUs are metered by NVML if this container sees"
                " them, and the CPU's energy is estimated",
                extra={"seconds": round(self._clock() - self._answered_at)},
            )
        counted, at = self._fallback.read(), self._wall()
        if not counted.joules:
            return
        self.totals.add(counted.joules, counted.sources, at)
        watts = {key.uuid: watts for key, watts in counted.watts.items() if key.uuid}
        by_component = watts_by_component((key.component, watts) for key, watts in counted.watts.items())
        self._figures = Figures.of(self.totals, self._clock() + FRESH_SECONDS, by_component, watts, counted.limits)
