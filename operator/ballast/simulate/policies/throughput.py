"""The most work per second on GPU models of different speeds, in rounds: Gavel's policy of maximum total throughput.

Gavel computes by a linear program which share of its time each job should spend on each GPU model, and approaches these
shares in rounds of six minutes: in each, the jobs that are furthest behind their shares run; a job that keeps its GPUs
just runs on, others are stopped at a checkpoint and started elsewhere. Jobs arrive into the next round, and GPUs of a
job that ends within a round idle until its end. Between rounds nothing happens, unless nothing runs.

A checkpoint costs nothing, as in Gavel's own simulator, unless the experiment gives restarts a cost; throughputs are
profiled beforehand, for every kind on every GPU model. Both favour it. Throughput counts in reference work, of all GPUs
of a job together, so that kinds can be added up. Deviations: a job that fits into a node is not split over two; shares
are approached by what a job is owed in rounds rather than by the ratio of its share to the time it got; where the
program has several optima, the one that keeps running jobs in place and takes the oldest waiting ones is preferred.

What must hold: no round gives a GPU to two jobs, or a job two placements; all jobs of a round run at the maximum limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import Room
from ballast.simulate.policies.rounds import pack
from ballast.simulate.policies.shares import Group, best_shares
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import RunningJob, Start, Step, Stop, View, WakeUp

ROUND_SECONDS = 360.0

_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class _Entry:
    """A job that could run on a GPU model in this round, and what it is owed there, in rounds."""

    job: TraceJob
    gpu_model: str
    owed: float


class MaxThroughput:
    """Gavel with the policy of maximum total throughput."""

    name = "max-throughput"
    reference = (
        "Gavel (Narayanan et al.: Heterogeneity-Aware Cluster Scheduling Policies for Deep Learning Workloads, OSDI "
        "2020), maximum total throughput, told the throughputs"
    )
    keeps_slowdown = False

    def __init__(self, seed: int, speeds: Speeds, round_seconds: float = ROUND_SECONDS) -> None:
        """Make the arm; it leaves nothing to chance.

        Args:
            seed: As for other arms; not needed.
            speeds: What is told.
            round_seconds: How long a round is.
        """
        del seed
        self._speeds = speeds
        self._round_seconds = round_seconds
        self._round_ends = float("-inf")
        self._owed: dict[tuple[str, str], float] = {}
        self._solved: tuple[tuple[Group, ...], Mapping[tuple[Group, str], float]] | None = None

    def decide(self, view: View) -> Sequence[Step]:
        """Begin the next round if it is time."""
        if not view.running and not view.waiting:
            self._round_ends = float("-inf")
            self._owed.clear()
            return []
        if view.running and view.now < self._round_ends - _SLACK:
            return []
        self._round_ends = view.now + self._round_seconds
        return [*self._round(view), WakeUp(self._round_ends)]

    def _round(self, view: View) -> list[Step]:
        room = Room(view.nodes, {name: node.gpus for name, node in view.nodes.items()}, view.off)
        shares = self._shares(view, room)
        self._owed = {key: self._owed.get(key, 0.0) + share for key, share in shares.items()}
        chosen = self._choose(view, room)
        placed = pack(chosen, {name: job.nodes for name, job in view.running.items()}, room)
        for name, placement in placed.items():
            key = name, room.gpu_model(placement)
            if key in self._owed:
                self._owed[key] -= 1
        stays = {name for name, job in view.running.items() if placed.get(name) == dict(job.nodes)}
        steps: list[Step] = [Stop(name) for name in view.running if name not in stays]
        for name, placement in placed.items():
            if name not in stays:
                node = view.nodes[next(iter(placement))]
                steps.append(Start(name, placement, node.max_limit_watts))
        return steps

    def _shares(self, view: View, room: Room) -> dict[tuple[str, str], float]:
        """Return the share of its time that each job should spend on a GPU model, by job and GPU model; none is zero.

        Jobs that are alike get the program's shares of their group one after the other, the oldest first: that is one
        of the optima of the program with a row for each job, and the smaller program is solved much faster.
        """
        members = _alike(view)
        groups = tuple(sorted(members, key=lambda group: (members[group][0].submitted_at, group)))
        sizes = tuple(Group(g.kind, g.gpus, g.on, len(members[g])) for g in groups)
        if self._solved is None or self._solved[0] != sizes:
            self._solved = sizes, best_shares(sizes, self._speeds, room)
        shares: dict[tuple[str, str], float] = {}
        for group, size in zip(groups, sizes, strict=True):
            jobs = iter(members[group])
            job: TraceJob | None = None
            left = 0.0
            # Its own GPU model first: whoever is oldest stays.
            for model in sorted(room.models, key=lambda model: (model != group.on, model)):
                amount = self._solved[1].get((size, model), 0.0)
                while amount > _SLACK:
                    if left <= _SLACK:
                        job, left = next(jobs, None), 1.0
                    if job is None:
                        break  # The solver is exact to about a ten-millionth of a job.
                    share = min(left, amount)
                    shares[job.name, model] = share
                    left -= share
                    amount -= share
        return shares

    def _choose(self, view: View, room: Room) -> dict[str, list[TraceJob]]:
        """Return the jobs that run in this round, by GPU model: those that are owed most first, then whoever fits."""
        left = {model: sum(n.gpus for n in view.nodes.values() if n.gpu_model == model) for model in room.models}
        chosen: dict[str, list[TraceJob]] = {model: [] for model in room.models}
        taken: set[str] = set()
        jobs = {job.name: job for job in (*(r.job for r in view.running.values()), *view.waiting)}
        entries = [_Entry(jobs[name], model, owed) for (name, model), owed in self._owed.items()]
        entries.sort(key=lambda e: (-round(e.owed, 6), e.job.submitted_at, e.job.name, e.gpu_model))
        for entry in entries:
            if entry.job.name not in taken and entry.job.gpus <= left[entry.gpu_model]:
                taken.add(entry.job.name)
                chosen[entry.gpu_model].append(entry.job)
                left[entry.gpu_model] -= entry.job.gpus
        for job in jobs.values():
            if not any(left.values()):
                break
            if job.name in taken:
                continue
            fits = [model for model, gpus in left.items() if job.gpus <= gpus]
            if fits:
                model = self._speeds.ranked(job.kind, fits)[0]
                chosen[model].append(job)
                left[model] -= job.gpus
        return chosen


def _alike(view: View) -> dict[Group, list[TraceJob]]:
    members: dict[Group, list[TraceJob]] = {}
    running: list[RunningJob] = sorted(view.running.values(), key=lambda r: (r.job.submitted_at, r.job.name))
    for one in running:
        members.setdefault(Group(one.job.kind, one.job.gpus, one.gpu_model, 0), []).append(one.job)
    for job in view.waiting:
        members.setdefault(Group(job.kind, job.gpus, "", 0), []).append(job)
    return members
