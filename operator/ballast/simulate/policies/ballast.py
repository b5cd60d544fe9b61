"""The operator itself as an arm: its own `decide`, in a cluster that exists in memory only.

What the engine tells becomes what users, kubelets and agents would do, cycles run until nothing more is to be said at
this moment, and what came of them becomes steps. What must hold: no decision is made here. Where a gang runs is the
placement's choice (`ballast.simulate.world.world`), the power limit of its GPUs that of
`ballast.decide.points.choosing` (`ballast.simulate.policies.points`).

Slowdown is kept as far as `decide` knows: the placement refuses GPU models that its table says are too slow, and a
limit is chosen within what is left of the job's own. One table speaks for all kinds of jobs, so that a kind to which
another model is the faster one is slower than it should be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.gpu_models import gpu_model
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import Prior
from ballast.decide.policy import Policy as Choices
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.points import Points
from ballast.simulate.policy import SetLimit, SimNode, Start, Step, Stop, View, WakeUp
from ballast.simulate.world.objects import Gang, promised_slowdown_percent
from ballast.simulate.world.world import World

_OWN = (
    "this operator's own ballast.decide; one relative speed for each GPU model, as it is shipped, fitted to all of "
    "Zeus's tables"
)


class Ballast:
    """An arm of one run; it learns, so that another run needs another one.

    Args:
        name: See `ballast.simulate.policy.Policy`.
        reference: Likewise.
        points: Chooses power limits; None: they are left as found.
        choices: The admin's, for the operator; None for its defaults, with agents on the nodes.
    """

    keeps_slowdown = False

    def __init__(self, name: str, reference: str, points: Points | None = None, choices: Choices | None = None) -> None:
        self.name = name
        self.reference = reference
        self._points = points
        self._choices = choices
        self._world: World | None = None
        self._looked_at = float("-inf")
        self._jobs: dict[str, TraceJob] = {}  # that were submitted and have not ended, by name
        self._running: dict[str, None] = {}  # of them, those that hold GPUs
        self._done: dict[str, float] = {}  # share of their work that jobs had done which lost their GPUs
        self._due: float | None = None

    def decide(self, view: View) -> Sequence[Step]:
        """See `ballast.simulate.policy.Policy`."""
        world = self._world_of(view)
        world.now = view.now
        # Those that are gone first: what is told of the others is theirs only.
        news = self._end(view, world)
        news |= self._submit(view, world)
        steps: list[Step] = []
        if self._points is not None:
            read_at = self._points.learn(view.running, view.now)
            steps += [] if read_at is None else [WakeUp(read_at)]
        if news or (self._due is not None and self._due <= view.now):
            steps += self._settle(view, world)
        if self._points is not None:
            limits = self._points.changes(view.running, view.now)
            steps += (SetLimit(name, watts) for name, watts in limits.items())
        return steps

    def _world_of(self, view: View) -> World:
        if self._world is None:
            self._world = World(view.nodes.values(), self._choices)
        return self._world

    def _end(self, view: View, world: World) -> bool:
        """Let the world know which jobs are done; return whether any is."""
        ended = [name for name in self._running if name not in view.running]
        for name in ended:
            world.end(name)
            self._forget(name)
            self._done.pop(name, None)
            del self._jobs[name]
        return bool(ended)

    def _submit(self, view: View, world: World) -> bool:
        """Let the world know which jobs are new; return whether any is."""
        # They stand behind all that were there before, but for jobs that wait again.
        latest = view.waiting[bisect_right(view.waiting, self._looked_at, key=lambda job: job.submitted_at) :]
        self._looked_at = view.now
        for job in latest:
            world.submit(job)
            self._jobs[job.name] = job
        return bool(latest)

    def _settle(self, view: View, world: World) -> list[Step]:
        """Let the operator decide; return what came of it, but for the power limits of jobs that go on."""
        moment = world.settle()
        steps: list[Step] = []
        for name in moment.stopped:
            self._done[name] = view.running[name].done
            self._forget(name)
            steps.append(Stop(name))
        for name, held in moment.started.items():
            job, nodes = self._jobs[name], [view.nodes[each] for each in held]
            self._running[name] = None
            steps.append(Start(name, _part(held, job, nodes), self._begin(job, nodes, view)))
        self._due = world.next_due()
        return steps if self._due is None else [*steps, WakeUp(self._due)]

    def _begin(self, job: TraceJob, nodes: Sequence[SimNode], view: View) -> float:
        """Return the power limit with which a job begins, in watts."""
        gpu = GpuRange(
            name=nodes[0].gpu_model,
            min_limit_watts=max(node.min_limit_watts for node in nodes),
            max_limit_watts=min(node.max_limit_watts for node in nodes),
            idle_watts=nodes[0].idle_watts,
        )
        if self._points is None:
            return gpu.max_limit_watts
        allowed = allowed_slowdown_percent(job, gpu.name, view.nodes.values())
        return self._points.begin(job, gpu, allowed, view.now, self._done.get(job.name, 0.0))

    def _forget(self, name: str) -> None:
        del self._running[name]
        if self._points is not None:
            self._points.end(name)


def ballast_placement() -> Ballast:
    """Make the arm that leaves power limits as they were found."""
    return Ballast("ballast-placement", f"{_OWN}; power limits as found")


def ballast(priors: Mapping[str, Prior] | None = None) -> Ballast:
    """Make the arm that also chooses power limits.

    Args:
        priors: See `ballast.simulate.policies.briefing.Briefing`.
    """
    shipped = HierarchicalModel()
    models = {kind: HierarchicalModel(prior) for kind, prior in (priors or {}).items()}
    known = (
        "the energy model's prior as it is shipped, which may have been fitted to measurements of these very kinds"
        if priors is None
        else "for each kind the energy model's prior was fitted without that kind's measurements"
    )
    reference = f"{_OWN}; power limits by ballast.decide.points.choosing; {known}"
    return Ballast("ballast", reference, Points(lambda kind: models.get(kind, shipped)))


def allowed_slowdown_percent(job: TraceJob, model: str, nodes: Iterable[SimNode]) -> float:
    """Return what a job allows its power limit to cost, against the found limit of the GPU model that it runs on.

    That is what is left of its own maximum, which counts from the fastest GPU model that could take it, by the speeds
    that the placement goes by; negative if the model alone costs more.

    Args:
        job: The job.
        model: What it runs on.
        nodes: The cluster.
    """
    nodes = tuple(nodes)
    usable = Gang.of(job, nodes).models_of(nodes)
    fastest = max(gpu_model(name).relative_speed for name in usable)
    return 100 * ((1 + promised_slowdown_percent(job) / 100) * gpu_model(model).relative_speed / fastest - 1)


def _part(held: Mapping[str, int], job: TraceJob, nodes: Iterable[SimNode]) -> dict[str, int]:
    """Return what a job uses of the GPUs that its gang holds: all, but on one node.

    That is the node of which the gang leaves the most to others, so that it uses all of each of the rest.
    """
    spare = {node.name: node.gpus - held[node.name] for node in nodes}
    used = dict(held)
    used[max(spare, key=lambda name: spare[name])] -= sum(held.values()) - job.gpus
    return used
