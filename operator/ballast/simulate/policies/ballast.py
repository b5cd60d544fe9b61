"""The operator itself as an arm: its own `decide`, in a cluster that exists in memory only.

What the engine tells becomes what users, kubelets and agents would do, cycles run until nothing more is to be said at
this moment, and what came of them becomes steps. What must hold: no decision is made here. Where a gang runs is the
placement's choice (`ballast.simulate.world.world`), the power limit of its GPUs that of
`ballast.decide.points.choosing` (`ballast.simulate.policies.points`).

Slowdown is kept as far as `decide` knows: until a kind was measured on both GPU models, one table speaks for all kinds,
and a GPU model that is too slow is taken where waiting for any other would end much later. What is learned of a kind
goes into its EnergyProfiles, from which placement reads; how long a job runs on, its trainer tells while it runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import Prior
from ballast.decide.policy import Policy as Choices
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.points import Points
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import Reading, SetLimit, SimNode, Start, Step, Stop, View, WakeUp
from ballast.simulate.world.world import World

_OWN = (
    "this operator's own ballast.decide; until a kind was measured on a GPU model, one relative speed for each GPU "
    "model, as it is shipped, fitted to all of Zeus's tables"
)


NEWS_SHARE: Final = 0.05
"""By so much of itself the time that is left differs from what was said before, to be said again."""


class Ballast:
    """An arm of one run; it learns, so that another run needs another one.

    Args:
        name: See `ballast.simulate.policy.Policy`.
        reference: Likewise.
        points: Chooses power limits; None: they are left as found.
        choices: The admin's, for the operator; None for its defaults, with agents on the nodes.
        priors: By kind, what the energy model assumes in place of its own prior.
        durations: By which users say how long their jobs take (`energy.expectedDuration`); None: they do not.
    """

    keeps_slowdown = False

    def __init__(
        self,
        name: str,
        reference: str,
        points: Points | None = None,
        choices: Choices | None = None,
        priors: Mapping[str, Prior] | None = None,
        durations: Speeds | None = None,
    ) -> None:
        self.name = name
        self.reference = reference
        self._points = points
        self._choices = choices
        self._priors = priors
        self._durations = durations
        self._read: dict[str, Reading] = {}
        self._done_at: dict[str, float] = {}  # by a running job's name, as its trainer said it last
        self._slowdowns: dict[tuple[str, int, float, str], float] = {}
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
        self._report(view, world)
        if self._points is not None:
            read_at = self._points.learn(view.running, view.now, view.read)
            steps += [] if read_at is None else [WakeUp(read_at)]
            for kind, model, points in self._points.news():
                world.learn(kind, model, points)
                self._slowdowns.clear()
        if news or (self._due is not None and self._due <= view.now):
            steps += self._settle(view, world)
        if self._points is not None:
            limits = self._points.changes(view.running, view.now)
            steps += (SetLimit(name, watts) for name, watts in limits.items())
        return steps

    def _world_of(self, view: View) -> World:
        if self._world is None:
            self._world = World(view.nodes.values(), self._choices, self._priors)
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
            world.submit(job, self._expected_seconds(job))
            self._jobs[job.name] = job
        return bool(latest)

    def _report(self, view: View, world: World) -> None:
        """Let the trainers say how long they run on: with a reading, where that is not what they said before."""
        for name in self._running:
            if view.read is not None and name not in view.read:
                continue
            seen = view.running[name]
            done = seen.done - self._done.get(name, 0.0)
            if seen.reading is None or done <= 0 or self._read.get(name) is seen.reading:
                continue
            self._read[name] = seen.reading
            left = (view.now - seen.started_at) * (1 - seen.done) / done
            if abs(view.now + left - self._done_at.get(name, 0.0)) > NEWS_SHARE * left:
                self._done_at[name] = view.now + left
                world.report(name, left)

    def _expected_seconds(self, job: TraceJob) -> float | None:
        """Return how long a user says that a job takes on its fastest GPU model; None for nothing."""
        if self._durations is None:
            return None
        return min(self._durations.seconds(job, model) for model in self._durations.table[job.kind])

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
        return self._points.begin(
            job, gpu, lambda: self._slowdown_left(job, gpu.name, view), view.now, self._done.get(job.name, 0.0)
        )

    def _slowdown_left(self, job: TraceJob, model: str, view: View) -> float:
        key = job.kind, job.gpus, job.max_slowdown_percent, model
        found = self._slowdowns.get(key)
        if found is None:
            found = self._slowdowns[key] = self._world_of(view).slowdown_left_percent(job, model)
        return found

    def _forget(self, name: str) -> None:
        del self._running[name]
        self._read.pop(name, None)
        self._done_at.pop(name, None)
        if self._points is not None:
            self._points.end(name)


def ballast_placement(*, empty_nodes_go: bool = False) -> Ballast:
    """Make the arm that leaves power limits as they were found.

    Args:
        empty_nodes_go: See `ballast`.
    """
    choices = Choices(agents=True, empty_nodes_go=empty_nodes_go)
    return Ballast("ballast-placement", f"{_OWN}; power limits as found", choices=choices)


def ballast(
    priors: Mapping[str, Prior] | None = None, durations: Speeds | None = None, *, empty_nodes_go: bool = False
) -> Ballast:
    """Make the arm that also chooses power limits.

    Args:
        priors: See `ballast.simulate.policies.briefing.Briefing`.
        durations: See `Ballast`.
        empty_nodes_go: What the admin says of nodes that hold no job.
    """
    shipped = HierarchicalModel()
    models = {kind: HierarchicalModel(prior) for kind, prior in (priors or {}).items()}
    known = (
        "the energy model's prior as it is shipped, which may have been fitted to measurements of these very kinds"
        if priors is None
        else "for each kind the energy model's prior was fitted without that kind's measurements"
    )
    told = "nobody tells how long a job takes" if durations is None else "users tell how long their jobs take"
    reference = f"{_OWN}; power limits by ballast.decide.points.choosing; {known}; {told}"
    name = "ballast" if durations is None else "ballast-told-durations"
    points = Points(lambda kind: models.get(kind, shipped))
    choices = Choices(agents=True, empty_nodes_go=empty_nodes_go)
    return Ballast(name, reference, points, choices, priors, durations)


def _part(held: Mapping[str, int], job: TraceJob, nodes: Iterable[SimNode]) -> dict[str, int]:
    """Return what a job uses of the GPUs that its gang holds: all, but on one node.

    That is the node of which the gang leaves the most to others, so that it uses all of each of the rest.
    """
    spare = {node.name: node.gpus - held[node.name] for node in nodes}
    used = dict(held)
    used[max(spare, key=lambda name: spare[name])] -= sum(held.values()) - job.gpus
    return used
