"""The agent process: what is watched, metered, enforced, told and served on one node, in one task group.

If any part dies all stop and the process ends with an error; Kubernetes starts a new one, which finds on the node's
disk what GPUs had before. A SIGTERM ends it cleanly: every GPU gets back what was found, and the status says so.

What must hold: boards and files are touched on the device thread only; nothing that is asked or served waits for them.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from asyncio.sslproto import SSLProtocol
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn, TextIO

from prometheus_client import Counter

from ballast import __version__, http
from ballast.agent.capping.capper import Capper, GpuState
from ballast.agent.capping.enforcement import Enforcement, Inputs
from ballast.agent.capping.operator_lease import OperatorLease
from ballast.agent.capping.originals import Originals, read_boot_id
from ballast.agent.device import Driver, DriverGone
from ballast.agent.device_thread import DeviceThread
from ballast.agent.drivers import open_driver
from ballast.agent.gpus import Gpus
from ballast.agent.metering.accounts import Accounts
from ballast.agent.metering.accounts_file import AccountsFile
from ballast.agent.metering.cgroups import NodeCpuTime, PodCpuTime
from ballast.agent.metering.cpu_model import CpuModel
from ballast.agent.metering.cpu_shares import CpuShares
from ballast.agent.metering.meter_loop import Metering
from ballast.agent.metering.rapl import RaplPackages
from ballast.agent.metering.usage import PodsOfProcesses
from ballast.agent.node import watching
from ballast.agent.node.holders import Holder
from ballast.agent.node.node_power import COLLECTION, OwnNodePower, StatusWriter
from ballast.agent.node.pod_resources import PodResources, holders_by_gpu
from ballast.agent.node.pods import PodsOnNode
from ballast.agent.serving.server import application, serve_readings
from ballast.agent.serving.serving_certificate import ServingCertificate
from ballast.agent.serving.tokens import Tokens
from ballast.agent.settings import AgentSettings
from ballast.agent.telling.metrics import NodeMetrics
from ballast.agent.telling.report import Reporter
from ballast.api.nodestatus import EndedPod
from ballast.clock import SteadyClock, steady_seconds
from ballast.errors import BallastError
from ballast.failpoints import Failpoints
from ballast.kube import ApiRefused, KubeClient

logger = logging.getLogger(__name__)

USER_AGENT = "ballast-agent"
PODS = "/api/v1/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"

HOLDERS_SECONDS = 10.0
"""How often the kubelet is asked who holds what, when no pod came or went."""
UNSETTLED_SECONDS = 0.25
"""How soon it is asked again after a pod came: it gives GPUs out a moment later."""
SETTLING_SECONDS = 3.0
LEASE_LOOKS = 6
"""How often the operator's Lease is looked at within the time after which it is stale."""
STUCK_SECONDS = 60.0
"""A call into a driver that takes longer will not come back."""
REOPEN_SECONDS = 1.0
REREAD_SECONDS = 1.5
"""After so long every GPU was read again."""
LAST_WORDS_SECONDS = 5.0
TLS_BUFFER_BYTES = 4 * 1024
"""Of each connection, instead of 256 KiB: more than a pod's request. A node has a hundred pods that may ask."""


class _Stop(Exception):
    """Someone asked the process to stop."""


async def run(settings: AgentSettings) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Args:
        settings: the agent's settings.

    Raises:
        ExceptionGroup: a part of it died.
    """
    # asyncio has no option for it; a read that fills the buffer is simply followed by another.
    SSLProtocol.max_size = TLS_BUFFER_BYTES
    node = settings.node_name
    async with (
        await KubeClient.connect(
            settings.requests_per_second, identity=node, user_agent=USER_AGENT, field_manager=USER_AGENT
        ) as kube,
        PodResources(settings.pod_resources_socket) as pod_resources,
    ):
        try:
            async with asyncio.TaskGroup() as tasks:
                await _Agent(settings, open_driver(), kube, pod_resources, tasks).run()
        except* _Stop:
            logger.info("stopped")


def restore(settings: AgentSettings, out: TextIO) -> int:
    """Give every GPU of this node what it had before an agent changed it; return the exit code."""
    driver = open_driver()
    try:
        originals = Originals(settings.state_folder, read_boot_id(settings.proc_root))
        try:
            done = Capper(driver, originals, steady_seconds, Failpoints()).restore_all()
        finally:
            originals.close()
    except BallastError as error:
        out.write(f"nothing is restored: {error}\n")
        return 1
    finally:
        driver.close()
    for uuid in done.restored:
        out.write(f"{uuid}: has what was found\n")
    for uuid, problem in done.problems.items():
        out.write(f"{uuid}: {problem}\n")
    if not done.restored and not done.problems:
        out.write("no GPU was changed\n")
    return 1 if done.problems else 0


class _Agent:
    """The parts of one process and how they are joined."""

    def __init__(
        self,
        settings: AgentSettings,
        driver: Driver,
        kube: KubeClient,
        pod_resources: PodResources,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._kube = kube
        self._pod_resources = pod_resources
        self._tasks = tasks
        self._clock = SteadyClock()
        self._thread = DeviceThread()
        self._boot_id = read_boot_id(settings.proc_root)
        self._originals = Originals(settings.state_folder, self._boot_id)
        self._gpus = Gpus(driver)
        self._lease = OperatorLease(settings.operator_stale_seconds, steady_seconds())
        self._pods = PodsOnNode(self._ask_for_holders)
        self._own = OwnNodePower(settings.state_folder, self._wake)
        self._holders: Mapping[str, tuple[Holder, ...]] | None = None
        self._told_ended: tuple[EndedPod, ...] = ()
        self._told_states: Mapping[str, GpuState] | None = None
        self._pods_changed = asyncio.Event()
        self._kubelet_is_silent = False
        self._settle_until = 0.0
        capper = Capper(driver, self._originals, steady_seconds, Failpoints())
        self._enforcement = Enforcement(
            self._thread,
            self._gpus,
            capper,
            self._lease,
            self._inputs,
            steady_seconds,
            settings.drift_seconds,
            on_round=self._report_round,
        )
        self._accounts = Accounts(settings.node_name, self._clock.now)
        self._metering = Metering(
            self._accounts,
            PodsOfProcesses(settings.proc_root),
            _cpu_shares(settings, self._accounts),
            AccountsFile(settings.state_folder, self._boot_id),
            settings.sample_hertz,
        )
        self._writer = StatusWriter(kube, self._own, settings.node_name, settings.status_seconds)
        self._reporter = Reporter(__version__, self._clock.now, steady_seconds)
        self._metrics = NodeMetrics(
            self._metering, lambda: {uuid: state.reapplied for uuid, state in self._enforcement.states.items()}
        )
        self._answers = Counter(
            "ballast_agent_readings_requests",
            "Requests of pods for their readings, by how they ended",
            ["answer"],
            registry=self._metrics.registry,
        )
        # With a limit of its own, so that nothing else waits for what pods ask.
        self._tokens = Tokens(
            kube.beside(settings.requests_per_second),
            settings.node_name,
            self._pods.is_gone,
            pod_is_there=self._pods.is_there,
            wall=self._clock.now,
        )
        self._certificate = ServingCertificate(
            kube, settings.node_name, [settings.host_ip] if settings.host_ip is not None else []
        )

    async def run(self) -> NoReturn:
        """Run until asked to stop.

        Raises:
            _Stop: it was.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await self._thread.run(self._gpus.look)
        await self._thread.run(self._adopt)
        settings, node = self._settings, self._settings.node_name
        running = [
            self._tasks.create_task(part)
            for part in (
                watching.follow(self._kube, PODS, f"spec.nodeName={node}", self._pods.listed, self._pods.changed),
                watching.follow(self._kube, COLLECTION, f"metadata.name={node}", self._own.listed, self._own.changed),
                self._watch_lease(),
                self._watch_holders(),
                self._meter(),
                self._enforcement.run(),
                self._writer.run(),
                self._serve_http(),
                *([self._certificate.run(), self._serve_readings()] if settings.https_port else []),
            )
        ]
        logger.info("started", extra={"gpus": len(self._gpus.devices), "driver": self._gpus.driver.version})
        await stop.wait()
        await self._end(running)
        raise _Stop

    async def _end(self, running: list[asyncio.Task[None]]) -> None:
        """Give back what was found, say so, and let go of everything."""
        logger.info("stopping: GPUs get back what they had")
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        done = await self._enforcement.restore()
        for uuid, problem in done.problems.items():
            logger.error("a GPU could not be restored", extra={"gpu": uuid, "problem": problem})
        await self._thread.run(self._metering.close)
        self._report(ending=True)
        with suppress(BallastError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._writer.write()
        await self._tokens.close()
        self._originals.close()
        self._gpus.driver.close()
        self._thread.close()

    # -- what is known

    def _wake(self) -> None:
        self._enforcement.wake()

    def _inputs(self) -> Inputs:
        holders = None
        if self._holders is not None:
            holders = {uuid: frozenset(held.pod_uid for held in held_by) for uuid, held_by in self._holders.items()}
        samples = {uuid: gpu.sample for uuid, gpu in self._metering.gpus.items() if gpu.sample is not None}
        return Inputs(self._own.spec, holders, samples)

    def _ask_for_holders(self) -> None:
        self._settle_until = steady_seconds() + SETTLING_SECONDS
        self._pods_changed.set()

    async def _watch_holders(self) -> None:
        """Ask the kubelet who holds what: now and then, and soon after a pod came, ended or went."""
        while True:
            if self._pods.is_known:
                await self._look_at_holders()
            pause = UNSETTLED_SECONDS if steady_seconds() < self._settle_until else HOLDERS_SECONDS
            if pause == UNSETTLED_SECONDS:
                await asyncio.sleep(pause)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._pods_changed.wait()
            self._pods_changed.clear()

    async def _look_at_holders(self) -> None:
        try:
            held = await self._pod_resources.list()
        except BallastError as error:
            if not self._kubelet_is_silent:
                logger.warning("the kubelet does not tell who holds which GPU", extra={"error": str(error)})
            self._kubelet_is_silent = True
            self._drop_ended_holders()
            return
        self._kubelet_is_silent = False
        gpus = {uuid: gpu.mig for uuid, gpu in self._gpus.descriptions.items()}
        found = holders_by_gpu(held, self._pods.uid_of, gpus)
        if found != self._holders:
            self._holders = found
            self._wake()

    def _drop_ended_holders(self) -> None:
        """Let pods that have ended or gone hold nothing, also while the kubelet does not say so."""
        if self._holders is None:
            return
        running = self._pods.running()
        held = {uuid: tuple(each for each in by if each.pod_uid in running) for uuid, by in self._holders.items()}
        left = {uuid: by for uuid, by in held.items() if by}
        if left != self._holders:
            self._holders = left
            self._wake()

    async def _watch_lease(self) -> None:
        path = LEASES.format(self._settings.namespace, self._settings.lease_name)
        was_fresh = True
        while True:
            now = steady_seconds()
            try:
                self._lease.observe(await self._kube.get(path), now)
            except ApiRefused as error:
                logger.debug("no Lease of the operator", extra={"error": str(error)})
            except BallastError as error:
                logger.debug("the operator's Lease cannot be read", extra={"error": str(error)})
            fresh = self._lease.is_fresh(steady_seconds())
            if fresh != was_fresh:
                was_fresh = fresh
                logger.log(
                    logging.INFO if fresh else logging.WARNING,
                    "the operator is there again" if fresh else "the operator is silent: its NodePower's rule holds",
                )
                self._wake()
            await asyncio.sleep(self._settings.operator_stale_seconds / LEASE_LOOKS)

    # -- what is done

    def _adopt(self) -> None:
        self._metering.adopt(list(self._gpus.devices.values()), self._gpus.descriptions)

    async def _meter(self) -> None:
        """Read and charge at the sampling rate; a tick that is late is not made up for."""
        period = 1.0 / self._settings.sample_hertz
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        adopted = self._gpus.devices
        while True:
            if self._gpus.devices is not adopted:
                adopted = self._gpus.devices
                await self._thread.run(self._adopt)
            try:
                pods, ended = self._pods.running(), self._pods.ended()
                await self._thread.run(self._metering.tick, steady_seconds(), self._holders, pods, ended)
            except DriverGone as error:
                logger.warning("the driver is gone; beginning anew when it is back", extra={"error": str(error)})
                await asyncio.sleep(REOPEN_SECONDS)
                # A round may have met the same and begun anew: twice, and what it has set since would be forgotten.
                if self._gpus.devices is adopted:
                    await self._enforcement.reopen()
            if self._accounts.ended is not self._told_ended and self._enforcement.rounds:
                self._report()
            next_at = max(next_at + period, loop.time())
            await asyncio.sleep(next_at - loop.time())

    def _report_round(self) -> None:
        """Report now, and again when the boards were read after what the round changed, and first of all."""
        self._report()
        if self._enforcement.states != self._told_states:
            self._told_states = self._enforcement.states
            asyncio.get_running_loop().call_later(REREAD_SECONDS, self._report)

    def _report(self, ending: bool = False) -> None:
        """Have the status written as it is now, if anything of it changed."""
        self._told_ended = self._accounts.ended
        self._writer.put(
            self._reporter.status(
                self._gpus,
                self._enforcement,
                self._metering,
                self._holders,
                self._pods.running(),
                self._own.generation,
                operator_fresh=self._lease.is_fresh(steady_seconds()),
                ended=self._told_ended,
                ending=ending,
            )
        )

    # -- what is served

    async def _serve_http(self) -> None:
        app = http.application(self._metrics.render, self._why_unhealthy, self._why_not_ready)
        settings = self._settings
        remedy = "set BALLAST_AGENT_HTTP_HOST or BALLAST_AGENT_HTTP_PORT"
        await http.serve(app, settings.http_host, settings.http_port, remedy, closing_seconds=1.0)

    async def _serve_readings(self) -> None:
        await self._certificate.ready.wait()
        app = application(self._tokens, self._accounts.readings, lambda answer: self._answers.labels(answer).inc())
        settings = self._settings
        await serve_readings(app, settings.https_host, settings.https_port, self._certificate.context)

    def _why_unhealthy(self) -> str | None:
        busy = self._thread.busy_seconds
        return None if busy < STUCK_SECONDS else f"a call into a driver has taken {busy:.0f} s"

    def _why_not_ready(self) -> str | None:
        if not self._pods.is_known:
            return "the node's pods are not known yet"
        if not self._own.is_known:
            return "there is no NodePower for this node yet: the operator makes it"
        if not self._enforcement.rounds:
            return "no round of enforcing has ended yet"
        return None


def _cpu_shares(settings: AgentSettings, accounts: Accounts) -> CpuShares:
    """Return what meters the CPUs: their counters where there are any, else a model."""
    counters = RaplPackages(settings.powercap_root)
    pod_time, node_time = PodCpuTime(settings.cgroup_root), NodeCpuTime(settings.proc_root)
    if counters:
        return CpuShares(counters, pod_time, node_time, accounts)
    model = CpuModel(settings.proc_root)
    return CpuShares(model, pod_time, node_time, accounts, model.idle_watts())
