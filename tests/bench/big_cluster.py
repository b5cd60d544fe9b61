"""A big cluster in memory whose decide cycles can be timed: full of running gangs, with jobs that wait.

It is the simulator's world (`ballast.simulate.world`), so that everything between two cycles happens as in a cluster:
what was decided is carried out, pods are bound, agents answer. Only the snapshot and `decide` count. Three quarters of
the GPUs are in use by gangs of mixed sizes, and what is left of each node is too small for the pods that wait; a fifth
of the waiting jobs are distinct requests. In each cycle a running job ends and two arrive, of which one may be small
enough to start at once; when more wait than there should, somebody withdraws one, so that as many wait in every cycle.
What must hold: the same seed gives the same cluster and the same events.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, product
from random import Random
from typing import Any, Final

from ballast.act.executor import MAX_EXPLANATIONS
from ballast.decide.actions import Action, LabelNode
from ballast.decide.cycle import decide
from ballast.decide.gpu_models import gpu_model
from ballast.observe.cluster_state import Kind
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode
from ballast.simulate.world import objects
from ballast.simulate.world.objects import EPOCH, Gang, JsonObject
from ballast.simulate.world.world import MAX_ACTIONS, World, _Submitted
from tests.builders import JobBuilder, job

GPUS_PER_NODE: Final = 8
MODELS: Final = ("H100", "A100", "A40")
IN_USE: Final = (8, 6, 5, 5)
"""GPUs that are in use of every fourth node: three quarters, and at most three free on one."""
RUNNING_PODS: Final = (1, 1, 1, 1, 2, 4, 8)
RUNNING_GPUS: Final = (1, 1, 2, 2, 4)
WAITING_SIZES: Final = tuple(product((1, 2, 3, 4, 8), (4, 8)))
SMALL_SIZES: Final = ((1, 1), (1, 2), (2, 1), (2, 2))
SLOWDOWNS: Final = tuple(range(0, 105, 5))
OBJECTIVES: Final = ("MinimizeEnergy", "Balanced", "MinimizeTime")
CPUS: Final = (4, 8, 16)
PRIORITIES: Final = ("low", "normal", "high")
NAMESPACES: Final = 20
PROFILE_KEYS: Final = 50
SHARE_OF_DISTINCT_REQUESTS: Final = 0.2
OLDEST_SECONDS: Final = 7200.0
"""So long has the job waited that came first."""
SECONDS_BETWEEN_CYCLES: Final = 1.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A request; jobs of one shape are equal to the queue but for their order.

    Attributes:
        pods: of the gang.
        gpus: of each pod.
        cpus: likewise.
        model: the GPU model that it selects; None if it takes any.
    """

    pods: int
    gpus: int
    slowdown_percent: int
    objective: str
    model: str | None
    cpus: int


def shapes(count: int, sizes: Sequence[tuple[int, int]], choose: Random) -> list[Shape]:
    """Return so many distinct requests of these sizes."""
    every = [
        Shape(pods, gpus, slowdown, objective, model, cpus)
        for (pods, gpus), slowdown, objective, model, cpus in product(
            sizes, SLOWDOWNS, OBJECTIVES, (None, None, *MODELS), CPUS
        )
    ]
    return choose.sample(list(dict.fromkeys(every)), count)


def fleet(count: int) -> list[SimNode]:
    """Return so many nodes, of three GPU models in turn."""
    nodes = []
    for number, model in enumerate(islice(cycle(MODELS), count)):
        prior = gpu_model(model)
        watts = prior.max_watts
        nodes.append(SimNode(f"node-{number:05}", model, GPUS_PER_NODE, watts / 2, watts, prior.idle_watts, 300.0))
    return nodes


class BigCluster(World):
    """See the module's docstring.

    Args:
        nodes: how many there are.
        waiting: how many jobs wait.
        seed: of everything that is drawn.
    """

    def __init__(self, nodes: int, waiting: int, seed: int) -> None:
        super().__init__(fleet(nodes))
        self._choose = Random(seed)  # noqa: S311 - a reproducible cluster, no secret
        self._waiting = waiting
        self._explanations = MAX_ACTIONS  # so that everybody is told soon why it waits
        self.seconds: list[float] = []
        """Of each cycle since the cluster is as it should be, on the wall's clock."""
        self.processor_seconds: list[float] = []
        """Likewise, the processor's: a busy machine adds nothing to them."""
        distinct = max(round(SHARE_OF_DISTINCT_REQUESTS * waiting), 1)
        self._large = shapes(distinct, WAITING_SIZES, self._choose)
        self._small = shapes(min(distinct, 50), SMALL_SIZES, self._choose)
        for value, name in enumerate(PRIORITIES):
            metadata = {"name": name, "uid": f"class-{name}", "resourceVersion": "1"}
            self._state.observe(Kind.PRIORITY_CLASS, {"metadata": metadata, "value": value})
        for machine in self._machines.values():
            self._state.observe(Kind.NODE, _with_cpus(objects.node(machine.node, {}, self._next_version())))
        self._fill()
        for _ in range(waiting):
            self._arrive(self._choose.choice(self._large), self._choose.uniform(-OLDEST_SECONDS, 0.0))
        self.settle()
        self._keep_waiting()
        self.settle()
        self._explanations = MAX_EXPLANATIONS
        self.seconds.clear()
        self.processor_seconds.clear()

    @property
    def gpus_in_use(self) -> float:
        """The share of the GPUs that pods hold."""
        nodes = self._machines.values()
        return 1 - sum(each.free for each in nodes) / sum(each.node.gpus for each in nodes)

    @property
    def waiting(self) -> int:
        """How many jobs hold nothing."""
        return len(self._pending())

    def next_cycle(self) -> None:
        """Let a job end and two arrive, time one cycle, and carry out what it decided."""
        self.now += SECONDS_BETWEEN_CYCLES
        running = [uid for uid, each in self._jobs.items() if each.runs and not each.has_ended]
        self.end(self._jobs[self._choose.choice(running)].job.name)
        self._arrive(self._choose.choice(self._large), self.now)
        self._arrive(self._choose.choice(self._large + self._small), self.now)
        self._keep_waiting()
        self._cycle()

    def _cycle(self) -> bool:
        """Run one cycle as the world does, but with explanations, and timed."""
        began, began_processor = time.perf_counter(), time.process_time()
        snapshot = self._state.snapshot(EPOCH + self.now, MAX_ACTIONS, self._explanations)
        decision = decide(snapshot)
        self.seconds.append(time.perf_counter() - began)
        self.processor_seconds.append(time.process_time() - began_processor)
        self._state.remember(decision.refused, decision.held_for)
        for action in decision.actions:
            self._state.settle(action, self._carry_out(action))
        if not decision.complete:
            self._state.look_again(snapshot)
        return bool(decision.actions) or not decision.complete

    def _carry_out(self, action: Action) -> list[tuple[str, JsonObject]]:
        answers = super()._carry_out(action)
        if isinstance(action, LabelNode):
            return [(kind, _with_cpus(obj)) for kind, obj in answers]
        return answers

    # -- who is there ---------------------------------------------------------------------------------------------

    def _pending(self) -> list[str]:
        return [uid for uid, each in self._jobs.items() if not each.attempt]

    def _keep_waiting(self) -> None:
        """Let jobs come or go until as many wait as there should."""
        pending = self._pending()
        for _ in range(len(pending), self._waiting):
            self._arrive(self._choose.choice(self._large), self.now)
        for uid in self._choose.sample(pending, max(len(pending) - self._waiting, 0)):
            self._expire(uid)
            self._state.forget(Kind.TRAINING_JOB, uid)

    def _arrive(self, shape: Shape, now: float) -> None:
        self._take_in(self._manifest(self._asking(shape).waiting_since(now), now), shape)

    def _asking(self, shape: Shape) -> JobBuilder:
        self._count += 1
        builder = (
            job(f"job-{self._count:08d}")
            .known_as(f"uid-{self._count:08d}")
            .in_namespace(f"team-{self._choose.randrange(NAMESPACES)}")
            .replicas(shape.pods)
            .with_gpus(shape.gpus)
            .with_cpus(shape.cpus, f"{8 * shape.cpus}Gi")
            .minimizing(shape.objective)
            .slowed_by_at_most(shape.slowdown_percent)
            .of_priority(self._choose.choice(PRIORITIES), 0)
        )
        if shape.model is None:
            return builder
        return builder.selecting(**{"nvidia.com/gpu.product": shape.model})

    def _manifest(self, asking: JobBuilder, now: float) -> JsonObject:
        manifest = asking.at_version(self._next_version()).manifest()
        energy = manifest["spec"]["energy"]
        energy["profileKey"] = f"key-{self._choose.randrange(PROFILE_KEYS)}"
        if self._choose.random() < 0.3:
            energy["deadline"] = objects.moment(now + self._choose.uniform(3600, 864_000))
        return manifest

    def _take_in(self, manifest: JsonObject, shape: Shape) -> _Submitted:
        uid, name = manifest["metadata"]["uid"], manifest["metadata"]["name"]
        trace_job = TraceJob(name, "any", self.now, shape.pods * shape.gpus, 3600.0)
        submitted = self._jobs[uid] = _Submitted(trace_job, Gang(shape.pods, shape.gpus), manifest)
        self._uids[name] = uid
        self._state.observe(Kind.TRAINING_JOB, manifest)
        return submitted

    # -- who was there before -------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start gangs of mixed sizes, each on nodes of one GPU model, until as many GPUs are in use as there should."""
        for model in MODELS:
            names = [name for name, each in self._machines.items() if each.node.gpu_model == model]
            left = dict(zip(names, cycle(IN_USE), strict=False))
            open_nodes = deque(names)
            while open_nodes:
                pods, gpus = self._choose.choice(RUNNING_PODS), self._choose.choice(RUNNING_GPUS)
                gpus = min(gpus, left[open_nodes[0]])
                nodes = [name for name in islice(open_nodes, 2 * pods) if left[name] >= gpus][:pods]
                self._run(Shape(len(nodes), gpus, 10, OBJECTIVES[0], None, 4), nodes)
                for name in nodes:
                    left[name] -= gpus
                while open_nodes and not left[open_nodes[0]]:
                    open_nodes.popleft()
        for machine in self._machines.values():
            self._state.observe(Kind.NODE_POWER, machine.power(self._next_version()))

    def _run(self, shape: Shape, nodes: Sequence[str]) -> None:
        began = self._choose.uniform(-36_000.0, -60.0)
        asking = self._asking(shape).waiting_since(began).running_on(*nodes)
        manifest = self._manifest(asking, began)
        for place in manifest["status"]["placement"]:
            place |= {"gpus": shape.gpus, "gpuModel": self._machines[place["node"]].node.gpu_model}
        submitted = self._take_in(manifest, shape)
        for kind, obj in self._create(submitted, 1):
            if kind is not Kind.POD:
                self._state.observe(Kind.JOB, obj)
        for uid, node in zip(tuple(submitted.pods), nodes, strict=True):
            pod = submitted.pods[uid] = objects.running_pod(submitted.pods[uid], node, self._next_version())
            self._machines[node].take(pod, shape.gpus, self.now)
            self._state.observe(Kind.POD, pod)


def _with_cpus(node: Mapping[str, Any]) -> JsonObject:
    """Return a node that also has CPUs and memory, for which pods ask."""
    allocatable = {**node["status"]["allocatable"], "cpu": "192", "memory": "2Ti"}
    return {**node, "status": {**node["status"], "allocatable": allocatable}}
