"""How far a cycle's placements are from the best ones: small random instances, each solved exactly by HiGHS.

An instance is one cycle: at most eight gangs wait, at most six nodes of two or three GPU models have some GPUs free.
Both sides count alike, by `Costs`: joules of each gang that is placed, by its GPU model, and what it costs to let one
wait. What must hold: the optimum is over everything that a cycle may do (each gang waits, or has all its pods on nodes
of one GPU model that it may use), so that no placement costs less.

What a placement costs is what `ballast.decide.weighing` makes small: joules above idle and the worth of the time, by
the table of GPU models, as nothing was measured. Waiting is dearer than any placement of the same gang. The engine also
goes by the order of the queue, which the optimum does not: to the optimum it is the same whether the first or the last
gang waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import GpuModel
from ballast.decide.node import Node
from ballast.decide.outlook import Outlook
from ballast.decide.resources import GPU
from ballast.decide.snapshot import Snapshot
from ballast.decide.weighing import work_of
from ballast.simulate.bounds.program import Program
from tests.bench.figures import gap_percent
from tests.builders import JobBuilder, NodeBuilder, job, node, snapshot

INSTANCES: Final = 200
MODELS: Final = ("H100", "A100", "A40", "V100", "P100")
NODE_GPUS: Final = (2, 4, 8)
SIZES: Final = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (2, 2), (2, 4), (3, 1), (3, 2), (4, 1), (4, 2))
"""(pods, GPUs of each) of gangs; those of one instance are distinct."""
SLOWDOWNS: Final = (0, 10, 50, 100, 300)
WAITING_IN_PLACEMENTS: Final = 2.0
"""What waiting costs, in the dearest placement of the same gang."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What one cycle has before it.

    Attributes:
        gangs: by the name of the job, in the order of the queue.
        given: the same as `decide` gets it.
    """

    nodes: tuple[Node, ...]
    gangs: dict[str, GangRequest]
    given: Snapshot


class Costs(Protocol):
    """What both sides are judged by, in joules, or what the engine counts in joules."""

    def placed(self, gang: GangRequest, model: GpuModel, nodes: Sequence[Node]) -> float | None:
        """Return what the gang costs on nodes of a GPU model; None where it may not run."""
        ...

    def waiting(self, gang: GangRequest, nodes: Sequence[Node]) -> float:
        """Return what it costs that the gang waits."""
        ...


class EngineCosts:
    """What the engine makes small, for work of which nobody said how much it is; waiting is dearer than any of it."""

    def __init__(self) -> None:
        self._outlook = Outlook()

    def placed(self, gang: GangRequest, model: GpuModel, nodes: Sequence[Node]) -> float | None:
        """See `Costs`; models that are too slow for the gang, or too small when empty, are not for it."""
        usable = [each for each in _models(nodes) if _holds(gang, each, nodes)]
        if model not in usable:
            return None
        seen = {each.gpu_model: each for each in self._outlook.prospects(gang, dict.fromkeys(usable))}[model]
        if seen.is_too_slow(gang.max_slowdown_percent):
            return None
        work, _ = work_of(gang, self._outlook)
        worth = self._outlook.policy.seconds_worth_watts
        return gang.gpus * work * (seen.joules_per_work + worth * seen.slowdown)

    def waiting(self, gang: GangRequest, nodes: Sequence[Node]) -> float:
        """See `Costs`."""
        costs = [cost for model in _models(nodes) if (cost := self.placed(gang, model, nodes)) is not None]
        return WAITING_IN_PLACEMENTS * max(costs, default=0.0)


def instances(count: int, seed: int) -> Iterator[Instance]:
    """Yield so many random instances; the same for the same seed."""
    choose = Random(seed)  # noqa: S311 - reproducible instances, no secret
    for _ in range(count):
        models = choose.sample(MODELS, choose.choice((2, 3)))
        sizes = choose.sample(SIZES, choose.randint(2, 8))
        nodes = [_node(f"node-{n}", choose.choice(models), choose) for n in range(choose.randint(2, 6))]
        jobs = [_job(f"job-{n}", size, n, choose) for n, size in enumerate(sizes)]
        yield instance(nodes, jobs)


def _node(name: str, model: str, choose: Random) -> NodeBuilder:
    gpus = choose.choice(NODE_GPUS)
    return node(name).with_gpus(model, gpus).with_cpus(512, 4096).using(gpus=choose.choice((0, 0, gpus // 2)))


def _job(name: str, size: tuple[int, int], place: int, choose: Random) -> JobBuilder:
    pods, gpus = size
    asking = job(name).replicas(pods).with_gpus(gpus).slowed_by_at_most(choose.choice(SLOWDOWNS))
    return asking.waiting_since(place - 60.0)


def instance(nodes: Sequence[NodeBuilder], jobs: Sequence[JobBuilder]) -> Instance:
    """Return the instance of these nodes and waiting jobs."""
    gangs = {each.name: each.gang() for each in jobs}
    return Instance(tuple(each.build() for each in nodes), gangs, snapshot(nodes, waiting=jobs))


def decided(given: Instance) -> dict[str, GpuModel]:
    """Return on which GPU model `decide` places which job; the others wait.

    Raises:
        ValueError: it placed a gang on several models, or more than there is room for.
    """
    by_name = {each.name: each for each in given.nodes}
    taken: Counter[str] = Counter()
    placed: dict[str, GpuModel] = {}
    for action in decide(given.given).actions:
        if isinstance(action, WriteStatus) and action.transition is Transition.ADMIT:
            name = action.job.metadata.name
            nodes = [by_name[place.node] for place in action.status.placement]
            models = {each.gpu_model for each in nodes if each.gpu_model is not None}
            taken.update({each.name: 0 for each in nodes})
            for each in nodes:
                taken[each.name] += given.gangs[name].gpus_per_pod
            if len(models) != 1 or len(nodes) != given.gangs[name].replicas:
                raise ValueError(f"{name} is on {len(nodes)} nodes of {len(models)} GPU models")
            placed[name] = models.pop()
    full = [name for name, gpus in taken.items() if gpus > by_name[name].free[GPU]]
    if full:
        raise ValueError(f"more GPUs than there are free were given of {', '.join(full)}")
    return placed


def cost_of(given: Instance, placed: dict[str, GpuModel], costs: Costs) -> float:
    """Return what placements cost, with what waiting costs of all other jobs.

    Raises:
        ValueError: a job is where it may not run.
    """
    total = 0.0
    for name, gang in given.gangs.items():
        model = placed.get(name)
        cost = costs.waiting(gang, given.nodes) if model is None else costs.placed(gang, model, given.nodes)
        if cost is None:
            raise ValueError(f"{name} was placed where the costs do not allow it")
        total += cost
    return total


def least_cost(given: Instance, costs: Costs) -> float:
    """Return the least that any placements cost: proven by HiGHS."""
    program = Program()
    constant = 0.0
    room: dict[str, list[tuple[int, float]]] = {each.name: [] for each in given.nodes}
    for gang in given.gangs.values():
        waits = costs.waiting(gang, given.nodes)
        constant += waits
        choices = []
        for model in _models(given.nodes):
            cost = costs.placed(gang, model, given.nodes)
            if cost is None:
                continue
            chosen = program.choice(cost - waits)
            choices.append((chosen, 1.0))
            pods = [(chosen, -float(gang.replicas))]
            for each in given.nodes:
                if each.gpu_model == model:
                    number = program.variable(0.0, float(gang.replicas))
                    program.whole[number] = 1
                    pods.append((number, 1.0))
                    room[each.name].append((number, float(gang.gpus_per_pod)))
            program.row(pods, 0.0, 0.0)
        if choices:
            program.row(choices, high=1.0)
    for each in given.nodes:
        if room[each.name]:
            program.row(room[each.name], high=float(each.free[GPU]))
    if not program.costs:
        return constant
    solution = program.solve()
    if solution is None or not solution.proven:
        raise ValueError("HiGHS did not solve a small instance: there is always the solution that all wait")
    return constant + solution.cost


def gap(given: Instance, costs: Costs) -> float:
    """Return by how much what `decide` does is above the optimum, in percent."""
    return gap_percent(cost_of(given, decided(given), costs), least_cost(given, costs))


def _models(nodes: Sequence[Node]) -> list[GpuModel]:
    return list(dict.fromkeys(each.gpu_model for each in nodes if each.gpu_model is not None))


def _holds(gang: GangRequest, model: GpuModel, nodes: Sequence[Node]) -> bool:
    room = (each.allocatable[GPU] // gang.gpus_per_pod for each in nodes if each.gpu_model == model)
    return sum(room) >= gang.replicas
