"""The discrete-event engine: jobs, nodes and curves in, what a policy makes of them out.

Moments are taken from a heap, one after the other. Whatever happens at the same moment happens before the policy is
asked, once: when jobs arrive or end, when a reading became available, when nodes are up or a job works again, and when
it asked to be woken. Only what changed is computed anew: a moment costs the same however many jobs wait or run, and the
view that a policy gets is live, not a copy (`ballast.simulate.engine.live`).

What must hold: a policy's steps are checked before they are taken, so that no arm can use a GPU twice, a power limit
that the board would refuse, or a job that is not there. Jobs that arrive together, and nodes among themselves, come in
an order drawn by the seed: who takes the first of equals has its ties broken by the seed. One seed gives one run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from types import MappingProxyType

from ballast.errors import BallastError
from ballast.simulate.curves import Curves
from ballast.simulate.engine.agenda import Agenda, What
from ballast.simulate.engine.events import Event, EventKind, Joules
from ballast.simulate.engine.live import JobState, Queue, RunningJobs
from ballast.simulate.engine.nodes import Nodes
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import Run, rows_of
from ballast.simulate.engine.rules import check_inputs, why_not_so_many_watts, why_not_there
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import Policy, SetLimit, SimNode, Start, Step, Stop, View, WakeUp
from ballast.simulate.series import Series

__all__ = ["Options", "PolicyError", "Run", "run"]

_ALONE = 100_000
"""So often may a policy only wake itself up while jobs wait, none runs and none will come: with hourly wake-ups, that
is eleven years."""


class PolicyError(BallastError):
    """A policy took a step that the cluster would refuse, or none where only it could go on."""


def run(
    jobs: Sequence[TraceJob],
    nodes: Sequence[SimNode],
    curves: Curves,
    policy: Policy,
    *,
    seed: int,
    options: Options | None = None,
    carbon: Series | None = None,
    price: Series | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run all jobs to their end under a policy.

    A job on n GPUs does n times the work of one GPU and draws n times its watts; its work is its ``reference_seconds``
    on each of its GPUs. A job that no node can hold takes whole nodes of one GPU model.

    Args:
        jobs: In any order.
        nodes: All on when the trace begins.
        curves: What decides; the policy never sees them.
        policy: A fresh one: what it learned in another run would be an advantage.
        seed: Breaks ties and draws the readings' noise.
        options: Rules of the cluster; `Options()` where left out.
        carbon: Grams of CO2e per kWh.
        price: Per kWh.
        progress: Called with the number of jobs that are done and that of all, whenever one is done.

    Raises:
        UserError: Jobs, nodes and curves do not fit together.
        PolicyError: The policy took an impossible step, or leaves jobs waiting for ever.
    """
    return _Engine(jobs, nodes, curves, policy, seed, options or Options(), carbon, price, progress).run()


class _Engine:
    def __init__(
        self,
        jobs: Sequence[TraceJob],
        nodes: Sequence[SimNode],
        curves: Curves,
        policy: Policy,
        seed: int,
        options: Options,
        carbon: Series | None,
        price: Series | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        check_inputs(jobs, nodes, curves)
        self._random = Random(f"ties of {seed}")  # noqa: S311  # a simulation's dice, no secret
        ordered = sorted(jobs, key=lambda job: job.name)
        ordered = sorted(self._random.sample(ordered, len(ordered)), key=lambda job: job.submitted_at)
        shuffled = sorted(nodes, key=lambda node: node.name)
        shuffled = self._random.sample(shuffled, len(shuffled))
        self._jobs = {
            job.name: JobState(job, rank, job.reference_seconds * job.gpus, Random(f"{seed} {job.name}"))  # noqa: S311
            for rank, job in enumerate(ordered)
        }
        self._given = (tuple(ordered), tuple(nodes), curves)
        self._policy, self._seed, self._options = policy, seed, options
        self._carbon, self._price, self._progress = carbon, price, progress
        self._now = 0.0
        self._agenda = Agenda(self._random)
        self._log: list[Event] = []
        self._queue = Queue()
        self._running: dict[str, JobState] = {}
        self._nodes = Nodes(shuffled, options, self._agenda, self._log)
        self._view_of_running = RunningJobs(self._running, lambda: self._now)
        self._points: dict[tuple[str, str, float], tuple[float, float]] = {}
        self._wake_ups: set[float] = set()
        self._reads_all = False
        self._read_since: set[str] = set()
        self._to_arrive, self._done, self._alone = len(ordered), 0, 0

    def run(self) -> Run:
        for state in self._jobs.values():
            self._agenda.plan(state.job.submitted_at, What.ARRIVES, state.job.name)
        while self._done < len(self._jobs):
            if not self._agenda:
                raise self._error(f"nothing runs and nothing will happen, yet {self._someone()} waits: start it")
            if self._happens() and self._done < len(self._jobs):
                self._ask()
        horizon = self._now
        counted = self._count()
        self._drain()
        jobs, nodes, curves = self._given
        return Run(
            policy=self._policy.name,
            reference=self._policy.reference,
            keeps_slowdown=self._policy.keeps_slowdown,
            seed=self._seed,
            jobs=jobs,
            nodes=nodes,
            curves=curves,
            options=self._options,
            events=tuple(self._log),
            rows=rows_of(self._log, jobs, nodes, curves),
            horizon=horizon,
            counted=counted,
            carbon=self._carbon,
            price=self._price,
        )

    # What happens

    def _happens(self) -> bool:
        """Let everything happen that the next moment brings; return whether the policy is to be asked."""
        self._now = self._agenda.next_at()
        ask = False
        for moment in self._agenda.due(self._now):
            match moment.what:
                case What.NODE_UP:
                    self._nodes.comes_up(moment.who, self._now)
                    ask = True
                case What.WORKS | What.ENDS | What.READING:
                    state = self._jobs[moment.who]
                    if state.version == moment.version:
                        self._comes_to(moment.what, state)
                        ask = True
                case What.ARRIVES:
                    self._arrives(self._jobs[moment.who])
                    ask = True
                case What.ALL_READINGS:
                    ask |= self._read_all()
                case What.WAKE_UP:
                    self._wake_ups.discard(moment.at)
                    ask = True
                case What.NODE_EMPTY:
                    self._nodes.switch_off(moment.who, moment.version, self._now)
        return ask

    def _comes_to(self, what: What, state: JobState) -> None:
        if what is What.WORKS:
            self._works(state)
        elif what is What.ENDS:
            self._ends(state)
        else:
            self._read(state)

    def _arrives(self, state: JobState) -> None:
        self._to_arrive -= 1
        state.submitted = True
        self._queue.add(state.rank, state.job)
        self._log.append(Event(self._now, EventKind.SUBMITTED, job=state.job.name))

    def _works(self, state: JobState) -> None:
        state.works = True
        self._set_point(state, EventKind.RUNS)
        if self._options.reading_every_seconds is not None and not self._reads_all:
            self._plan_reading_all(self._options.reading_every_seconds)

    def _set_point(self, state: JobState, why: EventKind) -> None:
        """Work at the job's operating point from now on."""
        state.settle(self._now)
        job = state.job
        speed, watts = self._point(job.kind, state.gpu_model, state.limit_watts)
        state.work_per_second = job.gpus * speed
        # A curve below the idle power would have a busy GPU draw less than a free one.
        idle = ((count, self._nodes.view[name].idle_watts) for name, count in state.nodes.items())
        state.watts = sum(count * max(watts - idle_watts, 0.0) for count, idle_watts in idle)
        state.reading, state.read_at = None, self._now
        state.changed()
        left = max(state.work - state.done, 0.0) / state.work_per_second
        self._agenda.plan(self._now + left, What.ENDS, job.name, state.version)
        if self._options.reading_seconds < left:
            self._agenda.plan(self._now + self._options.reading_seconds, What.READING, job.name, state.version)
        self._log_point(state, why)

    def _log_point(self, state: JobState, why: EventKind) -> None:
        limit, watts, work = state.limit_watts, state.watts, state.work_per_second
        self._log.append(
            Event(self._now, why, job=state.job.name, limit_watts=limit, watts=watts, work_per_second=work)
        )

    def _point(self, kind: str, gpu_model: str, limit_watts: float) -> tuple[float, float]:
        key = kind, gpu_model, limit_watts
        found = self._points.get(key)
        if found is None:
            curve = self._given[2].of(kind, gpu_model)
            found = self._points[key] = curve.speed(limit_watts), curve.watts(limit_watts)
        return found

    def _ends(self, state: JobState) -> None:
        self._log.append(Event(self._now, EventKind.ENDED, job=state.job.name))
        self._release(state)
        state.ended = True
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, len(self._jobs))

    def _release(self, state: JobState) -> None:
        state.rest(self._now)
        del self._running[state.job.name]
        self._nodes.give_back(state.nodes, self._now)
        state.nodes = MappingProxyType({})

    def _read(self, state: JobState) -> None:
        speed, watts = self._point(state.job.kind, state.gpu_model, state.limit_watts)
        floor = max(self._nodes.view[name].idle_watts for name in state.nodes)
        state.read(self._now, speed, max(watts, floor), self._options.readings_noise)
        self._read_since.add(state.job.name)

    def _plan_reading_all(self, every: float) -> None:
        self._reads_all = True
        self._agenda.plan((math.floor(self._now / every) + 1) * every, What.ALL_READINGS)

    def _read_all(self) -> bool:
        """Read every job that has been read at this operating point before; return whether there was one."""
        self._reads_all = False
        read = False
        for state in self._running.values():
            if state.reading is not None and self._now - state.read_at >= self._options.reading_seconds:
                self._read(state)
                read = True
        if self._running and self._options.reading_every_seconds is not None:
            self._plan_reading_all(self._options.reading_every_seconds)
        return read

    # The policy

    def _ask(self) -> None:
        view = View(
            now=self._now,
            waiting=self._queue.view,
            running=self._view_of_running,
            nodes=self._nodes.view,
            free=self._nodes.free,
            off=self._nodes.off,
            grams_per_kwh=None if self._carbon is None else self._carbon(self._now),
            price_per_kwh=None if self._price is None else self._price(self._now),
            read=frozenset(self._read_since),
        )
        self._read_since.clear()
        for step in tuple(self._policy.decide(view)):
            self._take(step)
        self._alone = 0 if self._running or self._to_arrive else self._alone + 1
        if self._alone > _ALONE:
            raise self._error(f"woke itself up {_ALONE} times while only {self._someone()} and others wait: start it")

    def _take(self, step: Step) -> None:
        match step:
            case Start():
                self._start(step)
            case SetLimit():
                self._set_limit(step)
            case Stop():
                state = self._running_job(step)
                self._log.append(Event(self._now, EventKind.STOPPED, job=step.job))
                self._release(state)
                self._queue.add(state.rank, state.job)
            case WakeUp():
                if not (math.isfinite(step.at) and step.at > self._now):
                    raise self._error(f"{step}: must be later than now")
                if step.at not in self._wake_ups:
                    self._wake_ups.add(step.at)
                    self._agenda.plan(step.at, What.WAKE_UP)
            case _:
                raise self._error(f"{step!r} is no step: take Start, SetLimit, Stop or WakeUp")

    def _start(self, step: Start) -> None:
        state = self._jobs.get(step.job)
        if state is None or not state.submitted:
            raise self._error(f"{step}: there is no such job")
        if step.job in self._running:
            raise self._error(f"{step}: the job runs already")
        if state.ended:
            raise self._error(f"{step}: the job has ended")
        self._refuse(step, why_not_there(state.job, step.nodes, self._nodes.view, self._nodes.free))
        nodes = [self._nodes.view[name] for name in step.nodes]
        self._refuse(step, why_not_so_many_watts(step.limit_watts, nodes))
        ready = self._nodes.take(step.nodes, self._now)
        state.begins_at = ready + (self._options.restart_seconds if state.attempts else 0.0)
        state.attempts += 1
        state.gpu_model, state.limit_watts = nodes[0].gpu_model, step.limit_watts
        state.nodes = MappingProxyType(dict(step.nodes))
        state.settle(self._now)
        state.changed()
        self._queue.remove(state.rank)
        self._running[step.job] = state
        gpus = tuple(step.nodes.items())
        started = Event(self._now, EventKind.STARTED, step.job, "", gpus, state.gpu_model, step.limit_watts)
        self._log.append(started)
        if state.begins_at == self._now:
            self._works(state)
        else:
            self._agenda.plan(state.begins_at, What.WORKS, step.job, state.version)

    def _set_limit(self, step: SetLimit) -> None:
        state = self._running_job(step)
        self._refuse(step, why_not_so_many_watts(step.limit_watts, [self._nodes.view[name] for name in state.nodes]))
        if step.limit_watts == state.limit_watts:
            return
        state.settle(self._now)
        state.limit_watts = step.limit_watts
        if state.works:
            self._set_point(state, EventKind.LIMIT)
        else:
            state.seen = None
            self._log_point(state, EventKind.LIMIT)

    def _running_job(self, step: SetLimit | Stop) -> JobState:
        state = self._running.get(step.job)
        if state is None:
            raise self._error(f"{step}: no such job runs")
        return state

    def _refuse(self, step: Step, because: str | None) -> None:
        if because is not None:
            raise self._error(f"{step}: {because}")

    def _error(self, message: str) -> PolicyError:
        return PolicyError(f"policy {self._policy.name}, {self._now:g} s after the trace began: {message}")

    def _someone(self) -> str:
        job = self._queue.view[0]
        return f"job {job.name} ({job.gpus} GPUs, submitted at {job.submitted_at:g} s)"

    # The end

    def _count(self) -> Joules:
        """What was counted while it ran: independent of the log, which must say the same."""
        dynamic = sum(state.dynamic_joules for state in self._jobs.values())
        return replace(self._nodes.joules(self._now), dynamic=dynamic)

    def _drain(self) -> None:
        """Let nodes do what they will do when no job is left: horizons may lie later."""
        while self._agenda:
            self._now = self._agenda.next_at()
            for moment in self._agenda.due(self._now):
                if moment.what is What.NODE_UP:
                    self._nodes.comes_up(moment.who, self._now)
                elif moment.what is What.NODE_EMPTY:
                    self._nodes.switch_off(moment.who, moment.version, self._now)
