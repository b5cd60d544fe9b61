"""What came of a run: a row for each job, sums for each arm, and the rules without which arms cannot be compared.

All of it is made from the event log. What must hold (`check`): all arms ran the same jobs to completion on the same
cluster under the same rules, did the same work, never drew less than the idle power of what was on, and are summed up
to one horizon; what the engine counted while it ran is what its log adds up to.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ballast.errors import BallastError
from ballast.simulate.curves import Curves
from ballast.simulate.engine.events import Event, EventKind, Joules, PowerStep, integrate, intervals, power_steps
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.replay import fault
from ballast.simulate.engine.rules import models_that_hold
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode
from ballast.simulate.series import Series

JOULES_PER_KWH = 3.6e6
_ROUNDING = 1e-6
"""Relative: sums of ten thousands of floats may differ by the order in which they were added."""


class HarnessError(BallastError):
    """Arms cannot be compared: a rule of the harness is broken."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """What became of a job.

    Attributes:
        started_at: When it first began to work.
        gpu_model: On which it ended.
        waited_seconds: All the time that it did not work: in the queue, until nodes were up, between attempts.
        run_seconds: How long it worked.
        slowdown_percent: Of ``run_seconds``, against the fastest GPU model of the cluster that can hold it, at that
            model's maximum limit.
        slowdown_kept: Whether that is within its ``max_slowdown_percent``.
        deadline_met: None without a deadline.
        dynamic_joules: Above the idle power of its GPUs.
        limit_changes: While it ran.
        stops: How often it was taken off its GPUs.
    """

    name: str
    kind: str
    gpus: int
    group: str
    submitted_at: float
    started_at: float
    ended_at: float
    gpu_model: str
    waited_seconds: float
    run_seconds: float
    slowdown_percent: float
    max_slowdown_percent: float
    slowdown_kept: bool
    deadline: float | None
    deadline_met: bool | None
    dynamic_joules: float
    limit_changes: int
    stops: int


@dataclass(frozen=True, slots=True)
class Run:
    """One arm on one trace with one seed.

    Attributes:
        policy: Its name; ``reference`` and ``keeps_slowdown`` are the policy's too.
        jobs: By submission.
        events: The log.
        rows: One for each job, in the order of ``jobs``.
        horizon: When the last job ended, seconds since the trace began.
        counted: What the engine counted until then.
        carbon: Grams of CO2e per kWh; None without a series.
        price: Per kWh; likewise.
    """

    policy: str
    reference: str
    keeps_slowdown: bool
    seed: int
    jobs: tuple[TraceJob, ...]
    nodes: tuple[SimNode, ...]
    curves: Curves
    options: Options
    events: tuple[Event, ...]
    rows: tuple[JobRow, ...]
    horizon: float
    counted: Joules
    carbon: Series | None = None
    price: Series | None = None

    def joules(self, horizon: float | None = None) -> Joules:
        """Energy until ``horizon``, by integration over the log; until the last job's end where left out."""
        return integrate(self.events, self.nodes, self.horizon if horizon is None else horizon).joules

    def power(self, horizon: float | None = None) -> list[PowerStep]:
        """The cluster's power over time until ``horizon``; until the last job's end where left out."""
        return power_steps(self.events, self.nodes, self.horizon if horizon is None else horizon)

    def check(self) -> None:
        """Hold the run against its own log and its curves.

        Raises:
            HarnessError: They disagree; the message says on what.
        """
        where = f"arm {self.policy}, seed {self.seed}"
        ended = {event.job for event in self.events if event.kind is EventKind.ENDED}
        unfinished = [job.name for job in self.jobs if job.name not in ended]
        if unfinished:
            raise HarnessError(f"{where}: {len(unfinished)} jobs did not end, {unfinished[0]} among them")
        spent = integrate(self.events, self.nodes, self.horizon)
        for field in fields(Joules):
            counted, logged = getattr(self.counted, field.name), getattr(spent.joules, field.name)
            if not math.isclose(counted, logged, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
                raise HarnessError(f"{where}: counted {counted:.6g} J {field.name}, but its log has {logged:.6g} J")
        for job in self.jobs:
            due, done = job.gpus * job.reference_seconds, spent.work[job.name]
            if not math.isclose(due, done, rel_tol=_ROUNDING):
                raise HarnessError(f"{where}: job {job.name} did {done:.6g} s of work, but has {due:.6g} s")
        steps = self.power()
        for step in steps:
            if step.watts < step.floor_watts - _ROUNDING:
                raise HarnessError(
                    f"{where}: draws {step.watts:g} W at {step.at:g} s, less than the {step.floor_watts:g} W of idle"
                )
        drawn = math.fsum((end - start) * watts for start, end, watts in intervals(steps, self.horizon))
        if not math.isclose(drawn, spent.joules.total, rel_tol=_ROUNDING):
            raise HarnessError(f"{where}: its power adds up to {drawn:.6g} J, its parts to {spent.joules.total:.6g} J")
        _check_points(where, self)
        impossible = fault(self.events, self.jobs, self.nodes, self.options, self.horizon)
        if impossible is not None:
            raise HarnessError(f"{where}: {impossible}")
        if self.rows != rows_of(self.events, self.jobs, self.nodes, self.curves):
            raise HarnessError(f"{where}: its rows are not what its log says of its jobs")


def _check_points(where: str, run: Run) -> None:
    """Speed and power of every operating point must be what the curves say, and the power not below idle."""
    jobs = {job.name: job for job in run.jobs}
    idle = {node.name: node.idle_watts for node in run.nodes}
    started: dict[str, Event] = {}
    works: set[str] = set()
    for event in run.events:
        if event.kind is EventKind.STARTED:
            started[event.job] = event
            works.discard(event.job)
        elif event.kind is EventKind.RUNS or (event.kind is EventKind.LIMIT and event.job in works):
            works.add(event.job)
            begun, job = started[event.job], jobs[event.job]
            curve = run.curves.of(job.kind, begun.gpu_model)
            speed = job.gpus * curve.speed(event.limit_watts)
            watts = sum(n * max(curve.watts(event.limit_watts) - idle[node], 0.0) for node, n in begun.gpus)
            for name, logged, true in (("work", event.work_per_second, speed), ("watts", event.watts, watts)):
                if logged < 0 or not math.isclose(logged, true, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
                    raise HarnessError(
                        f"{where}: {name} of job {event.job} at {event.limit_watts:g} W is {logged:.6g}, not the "
                        f"{true:.6g} of its curve"
                    )


def fastest_seconds(job: TraceJob, nodes: Iterable[SimNode], curves: Curves) -> float:
    """How long a job would run on the fastest GPU model that can hold it, at that model's maximum limit."""
    models = models_that_hold(job.gpus, nodes).items()
    return job.reference_seconds / max(curves.of(job.kind, model).speed(limit) for model, limit in models)


def rows_of(
    events: Sequence[Event], jobs: Sequence[TraceJob], nodes: Sequence[SimNode], curves: Curves
) -> tuple[JobRow, ...]:
    """A row for each job of a log in which all of them ended."""
    spent = integrate(events, nodes, events[-1].at)
    started: dict[str, float] = {}
    ended: dict[str, float] = {}
    model: dict[str, str] = {}
    changes: dict[str, int] = {}
    stops: dict[str, int] = {}
    for event in events:
        if event.kind is EventKind.RUNS:
            started.setdefault(event.job, event.at)
        elif event.kind is EventKind.STARTED:
            model[event.job] = event.gpu_model
        elif event.kind is EventKind.LIMIT:
            changes[event.job] = changes.get(event.job, 0) + 1
        elif event.kind is EventKind.STOPPED:
            stops[event.job] = stops.get(event.job, 0) + 1
        elif event.kind is EventKind.ENDED:
            ended[event.job] = event.at
    fastest: dict[tuple[str, int], float] = {}
    rows = []
    for job in jobs:
        key = job.kind, job.gpus
        if key not in fastest:
            fastest[key] = fastest_seconds(job, nodes, curves) / job.reference_seconds
        ran, end = spent.run_seconds[job.name], ended[job.name]
        slowdown = 100 * (ran / (fastest[key] * job.reference_seconds) - 1)
        rows.append(
            JobRow(
                name=job.name,
                kind=job.kind,
                gpus=job.gpus,
                group=job.group,
                submitted_at=job.submitted_at,
                started_at=started[job.name],
                ended_at=end,
                gpu_model=model[job.name],
                waited_seconds=max(end - job.submitted_at - ran, 0.0),
                run_seconds=ran,
                slowdown_percent=slowdown,
                max_slowdown_percent=job.max_slowdown_percent,
                slowdown_kept=slowdown <= job.max_slowdown_percent + _ROUNDING * 100,
                deadline=job.deadline,
                deadline_met=None if job.deadline is None else end <= job.deadline,
                dynamic_joules=spent.dynamic_joules[job.name],
                limit_changes=changes.get(job.name, 0),
                stops=stops.get(job.name, 0),
            )
        )
    return tuple(rows)


def rows_csv(rows: Iterable[JobRow]) -> str:
    """Rows as CSV, with a header; empty where there is no value, true and false in lower case."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(JobRow)])
    for row in rows:
        writer.writerow([_cell(value) for value in asdict(row).values()])
    return out.getvalue()


def write_rows(path: Path, rows: Iterable[JobRow]) -> None:
    """Write `rows_csv` to a file."""
    path.write_text(rows_csv(rows), encoding="utf-8")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Summary:
    """An arm's sums until a horizon.

    Attributes:
        joules: All of it; the next four are its parts, see `Joules`.
        makespan_seconds: From the first submission to the last end.
        mean_jct_seconds: From a job's submission to its end.
        slowdown_violations: Jobs slower than their ``max_slowdown_percent`` allows.
        deadlines: Jobs that have one.
        grams: CO2e; None without a series.
        cost: Likewise, in the series' currency.
    """

    policy: str
    seed: int
    keeps_slowdown: bool
    jobs: int
    horizon_seconds: float
    joules: float
    dynamic_joules: float
    idle_joules: float
    base_joules: float
    boot_joules: float
    mean_waited_seconds: float
    median_waited_seconds: float
    p95_waited_seconds: float
    mean_slowdown_percent: float
    makespan_seconds: float
    mean_jct_seconds: float
    slowdown_violations: int
    deadlines: int
    deadlines_missed: int
    limit_changes: int
    stops: int
    grams: float | None
    cost: float | None


def summarize(run: Run, horizon: float) -> Summary:
    """Sum up an arm until a horizon that all arms share, see `common_horizon`.

    Raises:
        HarnessError: A job ended later.
    """
    if horizon < run.horizon:
        raise HarnessError(
            f"arm {run.policy}, seed {run.seed}: its last job ended at {run.horizon:g} s, after the horizon "
            f"{horizon:g} s: take the latest end of all arms"
        )
    spent = run.joules(horizon)
    waited = [row.waited_seconds for row in run.rows]
    count = len(run.rows)
    return Summary(
        policy=run.policy,
        seed=run.seed,
        keeps_slowdown=run.keeps_slowdown,
        jobs=count,
        horizon_seconds=horizon,
        joules=spent.total,
        dynamic_joules=spent.dynamic,
        idle_joules=spent.idle,
        base_joules=spent.base,
        boot_joules=spent.boot,
        mean_waited_seconds=math.fsum(waited) / count,
        median_waited_seconds=quantile(waited, 0.5),
        p95_waited_seconds=quantile(waited, 0.95),
        mean_slowdown_percent=math.fsum(row.slowdown_percent for row in run.rows) / count,
        makespan_seconds=run.horizon - min(row.submitted_at for row in run.rows),
        mean_jct_seconds=math.fsum(row.ended_at - row.submitted_at for row in run.rows) / count,
        slowdown_violations=sum(not row.slowdown_kept for row in run.rows),
        deadlines=sum(row.deadline is not None for row in run.rows),
        deadlines_missed=sum(row.deadline_met is False for row in run.rows),
        limit_changes=sum(row.limit_changes for row in run.rows),
        stops=sum(row.stops for row in run.rows),
        grams=_priced(run, run.carbon, horizon),
        cost=_priced(run, run.price, horizon),
    )


def _priced(run: Run, series: Series | None, horizon: float) -> float | None:
    if series is None:
        return None
    steps = intervals(run.power(horizon), horizon)
    return math.fsum(watts * series.integral(start, end) for start, end, watts in steps) / JOULES_PER_KWH


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which a share of them lies, linear between neighbours; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def common_horizon(runs: Iterable[Run]) -> float:
    """The latest end of any job in any arm: until then, idle power counts in every arm."""
    return max(run.horizon for run in runs)


def check(runs: Sequence[Run], summaries: Sequence[Summary] = ()) -> tuple[tuple[str, ...], ...]:
    """Hold arms on the same trace with the same seed against the rules of the harness.

    Arms whose power over time is the same are no fault as such, two policies may agree on an easy trace; but whoever
    reports them as different is wrong, so that they are returned.

    Args:
        runs: One for each arm.
        summaries: Of these runs, if there are any yet: they must have one horizon.

    Returns:
        Groups of arms whose power is the same at every moment.

    Raises:
        HarnessError: A rule is broken; the message names arm and rule.
    """
    for run in runs:
        run.check()
    for name in ("seed", "jobs", "nodes", "curves", "options", "carbon", "price"):
        for run in runs:
            if getattr(run, name) != getattr(runs[0], name):
                raise HarnessError(f"arms {runs[0].policy} and {run.policy} differ in {name}: run them on the same")
    horizons: Mapping[str, float] = {summary.policy: summary.horizon_seconds for summary in summaries}
    if len(set(horizons.values())) > 1:
        told = ", ".join(f"{policy} {horizon:g} s" for policy, horizon in horizons.items())
        raise HarnessError(f"arms have different horizons ({told}): take the latest end of all arms")
    same: dict[tuple[PowerStep, ...], list[str]] = {}
    for run in runs:
        same.setdefault(tuple(run.power()), []).append(run.policy)
    return tuple(tuple(names) for names in same.values() if len(names) > 1)
