"""The operator process: watches, lists, the control loop, events and the HTTP server, in one task group.

If any of them dies, all stop and the process ends with an error: Kubernetes starts a new one, which goes on where the
world stands. A SIGTERM ends it cleanly: what was submitted is finished, nothing new is decided.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterable

import kopf

from ballast.act import paths
from ballast.act.events import EventRecorder
from ballast.act.executor import Executor
from ballast.act.kube import ApiRefused, JsonObject, KubeClient
from ballast.api.labels import JOB_UID_LABEL
from ballast.api.trainingjob import InvalidTrainingJob
from ballast.control_loop import ControlLoop
from ballast.decide.actions import Action
from ballast.errors import BallastError
from ballast.failpoints import Failpoints
from ballast.observe import watches
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.resync import Resync
from ballast.serve.http import application, serve
from ballast.serve.metrics import Metrics
from ballast.settings import OperatorSettings

logger = logging.getLogger(__name__)

COLLECTIONS: dict[Kind, tuple[str, str | None]] = {
    Kind.NODE: (paths.NODES, None),
    Kind.POD: (paths.PODS, None),
    Kind.JOB: (paths.JOBS, JOB_UID_LABEL),
    Kind.TRAINING_JOB: (paths.TRAINING_JOBS, None),
}


EVENT_FLUSH_SECONDS = 5.0


class _Stop(Exception):
    """Someone asked the process to stop."""


async def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        ExceptionGroup: a part of it died.
    """
    started = time.monotonic()
    metrics = Metrics()
    failpoints = Failpoints()
    async with await KubeClient.connect(settings.requests_per_second, metrics.count_request) as kube:
        try:
            async with asyncio.TaskGroup() as tasks:
                await _start(settings, kube, metrics, failpoints, tasks, started)
        except* _Stop:
            logger.info("stopped")


async def _start(
    settings: OperatorSettings,
    kube: KubeClient,
    metrics: Metrics,
    failpoints: Failpoints,
    tasks: asyncio.TaskGroup,
    started: float,
) -> None:
    def on_invalid(error: InvalidTrainingJob) -> None:
        metrics.count_invalid()
        logger.error("a TrainingJob cannot be read and is ignored", extra={"error": str(error)})

    def on_done(action: Action, answers: Iterable[tuple[str, JsonObject]]) -> None:
        metrics.count_action(type(action).__name__, succeeded=True)
        state.settle(action, ((Kind(kind), obj) for kind, obj in answers))

    def on_failed(action: Action, error: BallastError) -> None:
        metrics.count_action(type(action).__name__, succeeded=False)
        state.reject(action, str(error) if isinstance(error, ApiRefused) and error.is_final else None)
        loop.wake()

    state = ClusterState(wake=lambda: loop.wake(), on_invalid=on_invalid)
    events = EventRecorder(kube, settings.events_per_second, failpoints, metrics.count_dropped_event)
    executor = Executor(kube, events, on_done, on_failed, tasks, failpoints)
    loop = ControlLoop(state, executor, metrics, settings.debounce_seconds, settings.idle_seconds)
    metrics.observe_jobs(state.jobs_by_phase)

    def why_unhealthy() -> str | None:
        return loop.why_stuck(settings.stuck_seconds)

    def why_not_ready() -> str | None:
        if not state.synced.is_set():
            return "the first complete list is not there yet"
        return None if loop.ready.is_set() else "the first cycle has not ended yet"

    stop, watching, stop_watching = asyncio.Event(), asyncio.Event(), asyncio.Event()
    _stop_on_signals(stop)
    app = application(metrics, why_unhealthy, why_not_ready)
    tasks.create_task(serve(app, settings.http_host, settings.http_port))
    tasks.create_task(events.run())
    cycles = tasks.create_task(loop.run())
    tasks.create_task(_note_ready(loop, metrics, started))
    tasks.create_task(_observe(state, Resync(kube, state, COLLECTIONS), settings, watching, stop_watching))

    await _either(stop, watching)
    _stop_on_signals(stop)  # kopf has put its own handlers in place of ours while it started
    await stop.wait()
    logger.info("stopping: finishing what was submitted")
    cycles.cancel()
    await executor.drain()
    await events.flush(EVENT_FLUSH_SECONDS)
    stop_watching.set()
    raise _Stop


async def _observe(
    state: ClusterState,
    resync: Resync,
    settings: OperatorSettings,
    watching: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """List everything once, then watch, and list again now and then."""
    await resync.first()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(resync.run(settings.resync_seconds))
        await kopf.operator(
            registry=watches.registry(state),
            settings=watches.settings(),
            clusterwide=True,
            standalone=True,
            ready_flag=watching,
            stop_flag=stop,
        )
        raise _Stop


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _note_ready(loop: ControlLoop, metrics: Metrics, started: float) -> None:
    await loop.ready.wait()
    seconds = time.monotonic() - started
    metrics.ready_seconds.set(seconds)
    logger.info("ready", extra={"seconds": round(seconds, 3)})
