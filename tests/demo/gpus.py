"""The GPUs of the site's real nodes: who tells their limits, and what is seen of them while the jobs run.

Invariant: the limits before the jobs are noted when no agent has anything set, and those after them are read in the
same way, from the boards themselves where that can be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.cluster import Cluster
from tests.cluster.helm import readings, real_agents
from tests.demo import node_powers, objects
from tests.demo.checks import Outcome
from tests.demo.errors import DemoError
from tests.demo.fleet import NAMESPACE
from tests.demo.gpu_power import GpuPower, GpuUse
from tests.demo.kubectl import JsonObject, Kubectl
from tests.demo.node_powers import Gpu, HeldGpus
from tests.demo.objects import Asked, Job, Pod

#: What an administrator has set on the simulated boards of the embedded cluster, by GPU model. It is not their default,
#: so that to reset them is not to restore them.
FOUND_WATTS = {"V100": 240.0, "A40": 290.0}
AGENTS_TOLD_SECONDS = 30.0
RESTORED_SECONDS = 15.0
SETTLED_SECONDS = 30.0
POLL_SECONDS = 0.5

Limits = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class SiteGpus:
    """GPUs of real nodes whose power can be limited here.

    Attributes:
        simulated: Whether the boards are simulated ones.
        nodes: The nodes that have them.
        limits: The power limit that each has now, in watts, by UUID.
        source: Who tells these limits.
        note: For people: what the watts are worth.
        options: helm's options for agents, exporters and Prometheus.
    """

    simulated: bool
    nodes: tuple[str, ...]
    limits: Limits
    source: str
    note: str
    options: tuple[str, ...]


def simulated(cluster: Cluster, *, agent_build: str) -> SiteGpus:
    """The simulated boards of the embedded cluster's GPU nodes.

    Args:
        cluster: With a real node that has them for each GPU model.
        agent_build: Tells this build of the agent's image from others.
    """
    from tests.nvmlsim.boards import MODELS
    from tests.nvmlsim.curves import is_measured

    boards = {model: MODELS[model.lower()] for model in FOUND_WATTS}
    nodes = {model: cluster.gpu_node(model) for model in FOUND_WATTS}
    for model, node in nodes.items():
        for uuid in node.gpus.uuids:
            if node.gpus.gpu(uuid).power_limit_watts == boards[model].default_limit_watts:
                node.gpus.set_power_limit(uuid, FOUND_WATTS[model])

    def limits() -> dict[str, float]:
        return {uuid: node.gpus.gpu(uuid).power_limit_watts for node in nodes.values() for uuid in node.gpus.uuids}

    known = all(is_measured(board) for board in boards.values())
    models = " and ".join(f"{model}s" for model in boards)
    physics = f"replay what Zeus measured on {models}" if known else f"follow a fit to what Zeus measured on {models}"
    defaults = " and ".join(f"{board.default_limit_watts:.0f} W ({model})" for model, board in boards.items())
    return SiteGpus(
        simulated=True,
        nodes=tuple(node.name for node in nodes.values()),
        limits=limits,
        source=f"read from the boards themselves; their default is {defaults}",
        note=f"These GPUs are simulated: their watts {physics}, for the CPU time that the trainers took."
        " Nothing here was measured on a GPU.",
        # Trainings of seconds want to be asked more often than those of hours.
        options=(
            *real_agents(build=agent_build, sampleHertz=4, driftSeconds=1),
            *readings(cluster.prometheus_url, exporter={"pollSeconds": 1}, telemetrySeconds=2),
        ),
    )


def of_users(
    kubectl: Kubectl, nodes: tuple[str, ...], *, agent_image: str, exporter_image: str, prometheus_url: str
) -> SiteGpus:
    """The GPUs of a user's own cluster; their limits are those that the agents tell."""

    def limits() -> dict[str, float]:
        told = [gpu for each in kubectl.items("nodepowers") for gpu in node_powers.gpus(each)]
        return {gpu.uuid: gpu.limit_watts for gpu in told if gpu.limit_watts is not None}

    return SiteGpus(
        simulated=False,
        nodes=nodes,
        limits=limits,
        source="as their agents tell",
        note="Watts are those of the boards' own energy counters.",
        options=(
            *("--set-string", f"agent.image.repository={agent_image},agent.image.tag="),
            *("--set-string", f"exporter.image.repository={exporter_image},exporter.image.tag="),
            *(("--set-string", f"prometheus.url={prometheus_url}") if prometheus_url else ()),
        ),
    )


class GpuWatch:
    """Follows the GPUs through a run of the demo.

    Args:
        site: Whose they are.
        kubectl: The cluster.
        clock: Seconds, ever growing.
        sleep: Lets so many seconds pass.
    """

    def __init__(
        self,
        site: SiteGpus,
        kubectl: Kubectl,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._site = site
        self._kubectl = kubectl
        self._clock = clock
        self._sleep = sleep
        self._held = HeldGpus()
        self._before: Mapping[str, float] = {}

    @property
    def nodes(self) -> str:
        """The nodes that are followed, for people."""
        return ", ".join(self._site.nodes)

    def begin(self) -> int:
        """Waits until agents have told of all GPUs and nothing is set on any; returns how many GPUs there are.

        Raises:
            DemoError: They have not in time.
        """
        deadline = self._clock() + AGENTS_TOLD_SECONDS
        while not self._all_as_found():
            if self._clock() > deadline:
                raise DemoError(
                    f"after {AGENTS_TOLD_SECONDS:.0f} s the agents of {', '.join(self._site.nodes)} have not told that"
                    " all GPUs are as they were found",
                    remedy="See `kubectl get np` and `kubectl logs daemonset/ballast-agent -n ballast-system`",
                )
            self._sleep(POLL_SECONDS)
        self._before = self._site.limits()
        return len(self._before)

    def see(self, event: JsonObject) -> list[str]:
        """Takes in a watch event about a NodePower; returns a sentence for each power limit that it changed."""
        return self._held.see(event)

    def end(self, outcome: Outcome) -> GpuPower:
        """What there is to tell and to judge, once the boards have had time to be put back."""
        after = self._limits_when_restored()
        return GpuPower(
            uses=self._uses(outcome, self._when_settled(outcome)),
            before=self._before,
            after=after,
            source=self._site.source,
            simulated=self._site.simulated,
            note=self._site.note,
        )

    def table(self) -> str:
        """The nodes' GPUs as kubectl shows them."""
        return self._kubectl.run("get", "nodepowers", *self._site.nodes).rstrip()

    def _all_as_found(self) -> bool:
        told = {each["metadata"]["name"]: each for each in self._kubectl.items("nodepowers")}
        for node in self._site.nodes:
            gpus = node_powers.gpus(told[node]) if node in told else []
            if not gpus or any(gpu.limit_watts != gpu.found_watts for gpu in gpus):
                return False
        return True

    def _limits_when_restored(self) -> Mapping[str, float]:
        deadline = self._clock() + RESTORED_SECONDS
        while True:
            after = self._site.limits()
            if (after == self._before and self._all_as_found()) or self._clock() > deadline:
                return after
            self._sleep(POLL_SECONDS)

    def _when_settled(self, outcome: Outcome) -> Mapping[str, Job]:
        """The jobs once the last readings of their pods are in their ledgers, or as they are when that takes long."""
        deadline = self._clock() + SETTLED_SECONDS
        while True:
            jobs = {job.name: job for job in map(objects.job, self._kubectl.items("trainingjobs", "-n", NAMESPACE))}
            waited_for = [asked for asked in outcome.asked if asked.on_real_gpus and asked.name in jobs]
            if all(jobs[asked.name].settled_pods >= asked.replicas for asked in waited_for):
                return jobs
            if self._clock() > deadline:
                return jobs
            self._sleep(POLL_SECONDS)

    def _uses(self, outcome: Outcome, jobs: Mapping[str, Job]) -> list[GpuUse]:
        return [
            _use(asked, pod, gpu, jobs.get(asked.name))
            for asked in outcome.asked
            if asked.on_real_gpus
            for pod in outcome.gang(asked.name)
            for gpu in self._held.of_pod(pod.uid)
        ]


def _use(asked: Asked, pod: Pod, gpu: Gpu, job: Job | None) -> GpuUse:
    result = objects.training_result(pod.last_words)
    has_one = asked.replicas * asked.gpus_per_pod == 1
    return GpuUse(
        job=asked.name,
        gpu=gpu,
        asked_watts=asked.power_limit_watts,
        joules=job.gpu_joules if job is not None and has_one else None,
        seconds=pod.ran_seconds,
        samples=result.samples if result is not None else 0,
    )
