"""The operator process: watches, lists, the election, the control loop, events and the HTTP server, in one task group.

Every replica watches, lists and serves, so that it is warm when it has to take over; only the one that leads runs
cycles and writes. If any part dies or the lease is lost, all stop and the process ends with an error: Kubernetes starts
a new one, which goes on where the world stands. A SIGTERM ends it cleanly: what was submitted is finished, nothing new
is decided, and the lease is given back. What must hold: a leader's first cycle follows a complete list that began after
it had the lease, so that it knows everything that the leader before it wrote.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NoReturn

import kopf

from ballast import deep_json
from ballast.act import paths
from ballast.act.agent_access import AgentAccess
from ballast.act.events import EventRecorder
from ballast.act.executor import Executor
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api.labels import JOB_UID_LABEL
from ballast.api.nodepower import FreeGpus
from ballast.api.trainingjob import InvalidTrainingJob
from ballast.clock import SteadyClock
from ballast.control_loop import ControlLoop
from ballast.decide.actions import Action
from ballast.decide.policy import Policy
from ballast.decide.telemetry import Poll
from ballast.errors import BallastError
from ballast.failpoints import Failpoints
from ballast.http import application, serve
from ballast.kube import ApiRefused, JsonObject, KubeClient
from ballast.leadership import Leadership, new_identity
from ballast.observe import watches
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.parsing import resources
from ballast.observe.prometheus.client import PrometheusClient
from ballast.observe.prometheus.reader import TelemetryReader
from ballast.observe.resync import Resync
from ballast.serve.agent_certificates import AgentCertificates
from ballast.serve.metrics import Metrics
from ballast.serve.webhook import serve_webhook
from ballast.settings import OperatorSettings

logger = logging.getLogger(__name__)

COLLECTIONS: dict[Kind, tuple[str, str | None]] = {
    Kind.PRIORITY_CLASS: (paths.PRIORITY_CLASSES, None),
    Kind.NODE: (paths.NODES, None),
    Kind.NODE_POWER: (paths.NODE_POWERS, None),
    Kind.ENERGY_PROFILE: (paths.ENERGY_PROFILES, None),
    Kind.POD: (paths.PODS, None),
    Kind.JOB: (paths.JOBS, JOB_UID_LABEL),
    Kind.TRAINING_JOB: (paths.TRAINING_JOBS, None),
}


EVENT_FLUSH_SECONDS = 5.0
SECONDS_PER_DAY = 86_400
CLOCK_CHECK_SECONDS = 10.0
OWN_REQUESTS_PER_SECOND = 10.0
AUTHORITY_SECONDS = 5.0


class _Stop(Exception):
    """Someone asked the process to stop."""


async def run(settings: OperatorSettings, executor_class: type[Executor] = Executor) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Args:
        settings: the operator's settings.
        executor_class: what carries actions out, for a benchmark that does so in another way.

    Raises:
        ExceptionGroup: a part of it died, or the lease was lost (`NotLeading`).
    """
    asyncio.get_running_loop().set_exception_handler(_report)
    deep_json.tolerate()
    metrics = Metrics()
    identity = new_identity()
    # A client of its own, whose requests never wait for those of the jobs, neither for the rate nor for a connection.
    async with await KubeClient.connect(OWN_REQUESTS_PER_SECOND, metrics.count_request, identity=identity) as own:
        leadership = Leadership(
            own,
            settings.namespace,
            settings.lease_name,
            identity,
            settings.lease_seconds,
            on_new_leader=lambda _: metrics.count_leader(),
            on_failure=metrics.count_failed_renewal,
        )
        metrics.observe_leadership(lambda: leadership.leading)
        async with await KubeClient.connect(
            settings.requests_per_second, metrics.count_request, leadership.check, identity
        ) as kube:
            try:
                async with asyncio.TaskGroup() as tasks:
                    await _Operator(settings, kube, leadership, metrics, tasks, executor_class).run()
            except* _Stop:
                logger.info("stopped")


def _policy(settings: OperatorSettings) -> Policy:
    return Policy(
        placement_timeout_seconds=settings.placement_timeout_seconds,
        retry_seconds=settings.retry_seconds,
        retry_max_seconds=settings.retry_max_seconds,
        aging_seconds=settings.aging_seconds,
        deadline_head_start_seconds=settings.deadline_head_start_seconds,
        share_seconds=settings.share_seconds,
        weights=settings.queue_weights,
        patience_seconds=settings.patience_seconds,
        agents=settings.agents,
        free_gpus=FreeGpus(settings.free_gpus),
        prometheus=bool(settings.prometheus_url),
        stale_seconds=settings.telemetry_stale_seconds,
        lost_reading_seconds=settings.lost_reading_seconds,
        reading_seconds=settings.reading_seconds,
        telemetry_seconds=settings.telemetry_seconds,
        mark_empty_nodes=settings.empty_nodes_mark,
        empty_node_seconds=settings.empty_node_seconds,
        empty_nodes_go=settings.empty_nodes_removed,
    )


class _Operator:
    """The parts of one process and how they are joined."""

    def __init__(
        self,
        settings: OperatorSettings,
        kube: KubeClient,
        leadership: Leadership,
        metrics: Metrics,
        tasks: asyncio.TaskGroup,
        executor_class: type[Executor],
    ) -> None:
        self._started = time.monotonic()
        self._settings = settings
        self._leadership = leadership
        self._metrics = metrics
        self._tasks = tasks
        failpoints = Failpoints()
        self._certificates = AgentCertificates(kube, settings.namespace, on_request=metrics.count_agent_certificate)
        self._clock = SteadyClock()
        self._exporter = ExporterSidecar.of(settings)
        self._state = ClusterState(
            wake=lambda: self._loop.wake(),
            on_invalid=self._on_invalid,
            clock=self._clock.now,
            policy=_policy(settings),
            sidecar=resources(self._exporter.requests) if self._exporter is not None else {},
            shared_namespace=settings.namespace,
        )
        # Without agents there is no GPU to which anything could be told, nor one that tells at which point it is.
        unwatched = frozenset() if settings.agents else frozenset({Kind.NODE_POWER, Kind.ENERGY_PROFILE})
        self._kinds = frozenset(COLLECTIONS) - unwatched
        self._resync = Resync(
            kube, self._state, {kind: where for kind, where in COLLECTIONS.items() if kind in self._kinds}
        )
        self._events = EventRecorder(kube, settings.events_per_second, failpoints, metrics.count_dropped_event)
        self._executor = executor_class(
            kube,
            self._events,
            self._on_done,
            self._on_failed,
            tasks,
            failpoints,
            settings.node_lost_seconds,
            self._agent_access,
            self._exporter,
            # Pods of a gang end together: letting them go must not take the rate from jobs that wait to begin.
            kube.beside(settings.requests_per_second),
        )
        self._loop = ControlLoop(
            self._state, self._executor, metrics, settings.debounce_seconds, settings.idle_seconds, self._clock.now
        )
        self._keeping: asyncio.Task[None] | None = None
        self._signing: asyncio.Task[NoReturn] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        metrics.observe_jobs(self._state.jobs_by_phase)
        metrics.observe_reservation(self._state.reserved_watts)
        metrics.observe_clock(self._clock.offset_seconds)

    async def run(self) -> None:
        """Run until asked to stop.

        Raises:
            _Stop: it was.
        """
        stop, watching, stop_watching = asyncio.Event(), asyncio.Event(), asyncio.Event()
        _stop_on_signals(stop)
        app = application(self._metrics.render, self._why_unhealthy, self._why_not_ready)
        self._tasks.create_task(serve(app, self._settings.http_host, self._settings.http_port))
        if self._settings.webhook_port:
            self._tasks.create_task(
                serve_webhook(
                    self._settings.webhook_host,
                    self._settings.webhook_port,
                    self._settings.namespace,
                    self._settings.certificate_days * SECONDS_PER_DAY,
                    exporter=self._exporter,
                    on_request=self._metrics.count_request,
                    on_review=self._metrics.count_review,
                    on_certificate=self._metrics.note_certificate,
                )
            )
        self._tasks.create_task(self._events.run())
        self._tasks.create_task(self._watch_clock())
        self._tasks.create_task(self._note_ready())
        # A free lease is taken before the first list, which then needs no repetition.
        attempt = self._tasks.create_task(self._leadership.attempt())
        self._tasks.create_task(self._observe(attempt, watching, stop_watching))
        leading = self._tasks.create_task(self._lead(attempt))

        await _either(stop, watching)
        _stop_on_signals(stop)  # kopf has put its own handlers in place of ours while it started
        await stop.wait()
        logger.info("stopping: finishing what was submitted")
        await _end(leading)
        if self._asking is not None:
            await _end(self._asking)
        await self._executor.drain()
        await self._events.flush(EVENT_FLUSH_SECONDS)
        if self._signing is not None:
            await _end(self._signing)
        if self._keeping is not None:
            await _end(self._keeping)
        await self._leadership.release()
        stop_watching.set()
        raise _Stop

    async def _lead(self, attempt: asyncio.Task[bool]) -> None:
        """Wait for the lease, then decide; `attempt` is over before the first list begins."""
        if await attempt:
            self._keeping = self._tasks.create_task(self._leadership.keep())
        else:
            await self._state.synced.wait()
            await self._leadership.acquire()
            self._keeping = self._tasks.create_task(self._leadership.keep())
            await self._resync.complete()
        if self._settings.agents:
            self._signing = self._tasks.create_task(self._certificates.run())
            # Pods are told whom to trust when their Job is made: those of the first cycle, too, if that can be.
            with suppress(TimeoutError):
                async with asyncio.timeout(AUTHORITY_SECONDS):
                    await self._certificates.ready.wait()
        if self._settings.prometheus_url:
            self._asking = self._tasks.create_task(self._read_telemetry())
        await self._loop.run()

    async def _read_telemetry(self) -> None:
        """Ask Prometheus, as the one replica that decides on the answers."""
        settings = self._settings
        async with PrometheusClient(
            settings.prometheus_url,
            settings.prometheus_token_file,
            settings.prometheus_ca_file,
            settings.prometheus_headers,
        ) as client:
            reader = TelemetryReader(
                client,
                settings.prometheus_labels,
                settings.telemetry_seconds,
                settings.telemetry_stale_seconds,
                self._clock.now,
                self._state.namespace_of_job,
                self._state.namespace_of_pod,
            )
            await reader.run(self._on_poll, self._state.lost_pods)

    def _on_poll(self, poll: Poll) -> None:
        self._metrics.count_poll(succeeded=poll.problem is None)
        self._state.take_telemetry(poll)

    async def _observe(self, attempt: asyncio.Task[bool], watching: asyncio.Event, stop: asyncio.Event) -> None:
        """List everything once, then watch, and list again now and then."""
        await attempt
        await self._resync.first()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resync.run(self._settings.resync_seconds))
            await kopf.operator(
                registry=watches.registry(self._state, self._resync.ask, self._kinds),
                settings=watches.settings(),
                clusterwide=True,
                standalone=True,
                ready_flag=watching,
                stop_flag=stop,
            )
            raise _Stop

    async def _watch_clock(self) -> None:
        while True:
            self._clock.check()
            await asyncio.sleep(CLOCK_CHECK_SECONDS)

    def _agent_access(self) -> AgentAccess | None:
        """Return how new pods reach their nodes' agents; None where there are none, or nobody knows whom to trust."""
        bundle = self._certificates.ca_bundle
        return None if bundle is None else AgentAccess(bundle, self._settings.agent_port)

    # -- what the executor and the state tell

    def _on_invalid(self, error: InvalidTrainingJob) -> None:
        self._metrics.count_invalid()
        logger.error("a TrainingJob cannot be read and is ignored", extra={"error": str(error)})

    def _on_done(self, action: Action, answers: Iterable[tuple[str, JsonObject]]) -> None:
        self._metrics.count_action(type(action).__name__, succeeded=True)
        self._state.settle(action, answers)

    def _on_failed(self, action: Action, error: BallastError) -> None:
        self._metrics.count_action(type(action).__name__, succeeded=False)
        refused = error if isinstance(error, ApiRefused) else None
        self._state.reject(
            action,
            invalid=str(error) if refused is not None and refused.is_final else None,
            forbidden=str(error) if refused is not None and refused.status == HTTPStatus.FORBIDDEN else None,
        )
        self._loop.wake()

    # -- what the probes ask

    def _why_unhealthy(self) -> str | None:
        return self._loop.why_stuck(self._settings.stuck_seconds)

    def _why_not_ready(self) -> str | None:
        if self._ready.is_set():
            return None  # Also while it takes over: it goes on serving.
        if not self._state.synced.is_set():
            return "the first complete list is not there yet"
        if not self._leadership.settled.is_set():
            return "it is not known yet which replica leads"
        return "the first cycle has not ended yet"

    async def _note_ready(self) -> None:
        await self._state.synced.wait()
        await self._leadership.settled.wait()
        if self._leadership.leading:
            await self._loop.ready.wait()
        self._ready.set()
        seconds = time.monotonic() - self._started
        self._metrics.ready_seconds.set(seconds)
        logger.info("ready", extra={"seconds": round(seconds, 3)})


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught, except what kopf's watches say when they are closed in the middle of many events."""
    if "asyncgen" not in context:
        loop.default_exception_handler(context)


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


async def _end(task: asyncio.Task[None] | asyncio.Task[NoReturn]) -> None:
    task.cancel()
    await asyncio.wait([task])
