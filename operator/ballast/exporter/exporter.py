"""The exporter put together: poll, save, tell; and at the end wait for the last reading and write the last words.

One loop polls at a steady pace, in the main thread. Others read what it has published: each scrape, in a thread of the
metrics server, and each report, in one of the progress server. What must hold: nothing is told before it is saved, so
that no counter falls when this process is killed; at SIGTERM it ends in less than the two seconds that the kubelet
leaves a sidecar whose trainer has used up all the grace.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from ballast.api.finalreading import FinalReading
from ballast.clock import SteadyClock, steady_seconds
from ballast.exporter.agent_client import TIMEOUT_SECONDS, AgentClient
from ballast.exporter.fallback import CpuEstimate, Fallback
from ballast.exporter.final_words import FinalWords
from ballast.exporter.joules_per_step import JoulesPerStep
from ballast.exporter.meter import Meter
from ballast.exporter.metrics import PodCollector, exposition
from ballast.exporter.metrics_server import MetricsServer
from ballast.exporter.progress import Progress
from ballast.exporter.progress_server import ProgressServer
from ballast.exporter.settings import ExporterSettings
from ballast.exporter.signals import Signals
from ballast.exporter.state_file import StateFile
from ballast.exporter.totals import Figures, Totals

logger = logging.getLogger(__name__)

ENDING_SECONDS: Final = 1.5
"""How long the last reading is waited for."""
ENDING_POLL_SECONDS: Final = 0.2
HURRY_SECONDS: Final = 1.0
"""How soon an agent is asked again that did not answer in time, or does not know the pod yet."""
STUCK_SECONDS: Final = 30.0
"""Without a poll, and `/healthz` fails."""


class Exporter:
    """One pod's exporter.

    Args:
        settings: its settings.
        progress: the trainer's.
        meter: returns what the pod uses, once its totals are restored.
        clock: seconds that only pass.
    """

    def __init__(
        self,
        settings: ExporterSettings,
        progress: Progress,
        meter: Callable[[Totals], Meter],
        clock: Callable[[], float] = steady_seconds,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._words = FinalWords(settings.termination_log)
        self._joules_per_step = JoulesPerStep()
        self._state = StateFile(settings.state_path, settings.pod_uid)
        self._lock = threading.Lock()  # of what is saved
        self._saved_progress: float | None = None
        totals = self._restored()
        self._meter = meter(totals)
        self._totals_json = totals.to_json()
        self._figures = Figures.of(totals)
        self._polled_at = clock()
        labels = (settings.job_name, settings.job_uid, str(settings.attempt), settings.pod_uid)
        self._exposition = exposition(
            PodCollector(
                labels,
                lambda: self._figures,
                progress,
                self._joules_per_step.value,
                has_evaluations=bool(settings.metric),
                has_training_metric=bool(settings.training_metric),
                clock=clock,
            )
        )

    def metrics(self) -> bytes:
        """Return what a scrape is told."""
        text = self._exposition()
        if self._progress.changed_at != self._saved_progress:  # what stands in the text is not told before it is saved
            self.save()
        return text

    def is_well(self) -> bool:
        """Whether it polls."""
        return self._clock() - self._polled_at < STUCK_SECONDS + 2 * self._settings.poll_seconds

    def save(self) -> None:
        """Save everything; any thread may."""
        with self._lock:
            self._saved_progress = self._progress.changed_at
            self._state.save({"totals": self._totals_json, "progress": self._progress.to_json()})

    def poll(self, timeout_seconds: float = TIMEOUT_SECONDS, *, insist: bool = False) -> Figures:
        """Look once, save it, and tell it."""
        figures = self._meter.poll(timeout_seconds, insist=insist)
        totals = self._meter.totals.to_json()
        with self._lock:
            self._totals_json = totals
        self.save()
        self._figures = figures
        self._polled_at = self._clock()
        self.say()
        return figures

    def say(self, *, is_last: bool = False) -> None:
        """Write the last words, as they would be if the end were now.

        Args:
            is_last: whether they are the last: the meter has looked after the pod was told to end.
        """
        figures, training = self._figures, self._progress.training()
        self._joules_per_step.note(self._clock(), figures.total_joules, training.step if training else None)
        if figures.joules or training is not None:
            self._words.say(FinalReading(figures.at or 0.0, figures.joules, training, is_last))

    def run(self, signals: Signals) -> None:
        """Poll until a signal comes, and then for the last time."""
        due = self._clock()
        while signals.first_at is None:
            self.poll()
            pace = self._settings.poll_seconds
            due = max(due + (min(pace, HURRY_SECONDS) if self._meter.is_waited_for else pace), self._clock())
            signals.wait(due - self._clock())
        self._end(signals)

    def _end(self, signals: Signals) -> None:
        """Poll until the meter has looked once after the signal, for a short while at most."""
        asked_at = signals.first_at or 0.0
        deadline = signals.first_steady + ENDING_SECONDS  # a poll may have been under way
        self.say()  # the trainer may have reported since the last poll
        while (left := deadline - self._clock()) > 0:
            figures = self.poll(min(left, TIMEOUT_SECONDS / 2), insist=True)
            if (figures.at or 0.0) > asked_at:
                self.say(is_last=True)
                break
            if self._meter.is_refused or signals.count > 1:
                break
            signals.wait(min(ENDING_POLL_SECONDS, max(deadline - self._clock(), 0.0)))
        logger.info("ended", extra={"joules": round(self._figures.total_joules, 1)})

    def _restored(self) -> Totals:
        saved = self._state.load()
        if not saved:
            return Totals()
        try:
            totals = Totals.restored(saved["totals"])
            self._progress.restore(saved["progress"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._state.is_void(error)
            return Totals()
        return totals


def run(settings: ExporterSettings) -> int:
    """Run until a signal ends it; return the exit code.

    Raises:
        UserError: a port is taken.
    """
    with Signals() as signals:
        wall = SteadyClock()
        progress = Progress(settings.metric, settings.training_metric, settings.goal, wall.now)

        def meter(totals: Totals) -> Meter:
            cpu = CpuEstimate(lambda: progress.cpu_seconds, settings.trainer_millicores)
            return Meter(_client(settings), Fallback(cpu), totals, settings.pod_uid, settings.poll_seconds)

        exporter = Exporter(settings, progress, meter)
        metrics = MetricsServer(settings.metrics_port, exporter.metrics, exporter.is_well)
        reports = ProgressServer(progress, settings.progress_port, exporter.save)
        logger.info("tells and listens", extra=_told(settings, metrics.port, reports.port))
        gc.collect()
        gc.freeze()  # what is there stays: no collection needs to look at it
        # Not stopped at the end, which takes time that is not there: their threads end with the process.
        metrics.start()
        reports.start()
        exporter.run(signals)
    return 0


def _client(settings: ExporterSettings) -> AgentClient | None:
    if not settings.agent_host:
        return None
    return AgentClient(settings.agent_host, settings.agent_port, settings.node, settings.agent_files)


def _told(settings: ExporterSettings, metrics_port: int, progress_port: int) -> dict[str, Any]:
    return {
        "metrics_port": metrics_port,
        "progress_port": progress_port,
        "agent": settings.agent_host or "none: what is not metered here is estimated",
    }
