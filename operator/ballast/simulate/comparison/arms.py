"""Runs the arms of a comparison, each in a process of its own, and reduces them to what reports show.

What must hold: arms that are compared had the same jobs on the same cluster under the same rules, are summed up to one
horizon, and were held against the harness rules before anybody sees a figure of them. What an arm did is handed on as
soon as it is done, so that an interrupt loses only what was still running.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from ballast.decide.model.prior import Prior
from ballast.errors import UserError
from ballast.simulate.comparison.comparison import ArmResult, Check, PowerSeries
from ballast.simulate.comparison.processes import Doing, Done, Failed, run_each
from ballast.simulate.curves import Curves
from ballast.simulate.engine.engine import run
from ballast.simulate.engine.events import intervals
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import HarnessError, Run, check, common_horizon, summarize
from ballast.simulate.engine.rules import models_that_hold
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.briefing import Briefing
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import SimNode
from ballast.simulate.series import Series

LEAST_SEEDS = 3
"""With fewer, differences between arms may be ties that fell one way."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all arms of a seed have in common.

    Attributes:
        seed: Breaks ties and draws the readings' noise.
        carbon: Grams of CO2e per kWh.
        price: Per kWh.
        priors: See `Briefing`.
    """

    seed: int
    jobs: tuple[TraceJob, ...]
    nodes: tuple[SimNode, ...]
    curves: Curves
    options: Options
    carbon: Series | None = None
    price: Series | None = None
    priors: Mapping[str, Prior] | None = None

    @property
    def briefing(self) -> Briefing:
        """What arms are given."""
        return Briefing(
            self.seed, self.speeds, self.priors, empty_nodes_go=self.options.switch_off_after_seconds is not None
        )

    @property
    def speeds(self) -> Speeds:
        """What arms may be told: of each kind of job on each GPU model, at the highest limit in the cluster."""
        limits = models_that_hold(0, self.nodes)
        kinds = sorted({job.kind for job in self.jobs})
        return Speeds(
            {kind: {m: self.curves.of(kind, m).speed(limit) for m, limit in limits.items()} for kind in kinds}
        )


@dataclass(frozen=True, slots=True)
class Task:
    """An arm to run."""

    policy: str
    setup: Setup

    def __str__(self) -> str:
        return f"{self.policy}, seed {self.setup.seed}"


@dataclass(frozen=True, slots=True)
class Compared:
    """Arms of one seed, held against the rules.

    Attributes:
        seed: Theirs.
        arms: In the order of the policies.
        same: Groups of policies whose power was the same at every moment.
    """

    seed: int
    arms: tuple[ArmResult, ...]
    same: tuple[tuple[str, ...], ...]


Event = Doing[Task] | Done[Task, Run] | Failed[Task] | Compared


def run_arm(task: Task, /, progress: Callable[[float], None]) -> Run:
    """Run one arm, in whatever process this is.

    Raises:
        UserError: The policy is unknown, or jobs, nodes and curves do not fit together.
    """
    from ballast.simulate.policies.catalogue import POLICIES

    if task.policy not in POLICIES:
        raise UserError(f"policy {task.policy!r}: must be one of {', '.join(POLICIES)}")
    setup = task.setup
    return run(
        setup.jobs,
        setup.nodes,
        setup.curves,
        POLICIES[task.policy](setup.briefing),
        seed=setup.seed,
        options=setup.options,
        carbon=setup.carbon,
        price=setup.price,
        progress=lambda done, of: progress(done / of),
    )


def run_arms(policies: Sequence[str], setups: Sequence[Setup], processes: int = 1) -> Generator[Event, None, None]:
    """Run every policy in every setup; yields what happens.

    `Compared` comes as soon as all arms of a setup have ended; those that failed are not in it.

    Args:
        policies: Names, the baseline first.
        setups: With seeds that differ.
        processes: How many arms at a time.

    Raises:
        HarnessError: Arms cannot be compared.
    """
    left = {setup.seed: len(policies) for setup in setups}
    runs: dict[int, dict[str, Run]] = {setup.seed: {} for setup in setups}
    tasks = [Task(policy, setup) for setup in setups for policy in policies]
    with closing(run_each(tasks, run_arm, processes)) as events:
        for event in events:
            yield event
            if isinstance(event, Doing):
                continue
            seed = event.task.setup.seed
            left[seed] -= 1
            if isinstance(event, Done):
                runs[seed][event.task.policy] = event.result
            if left[seed] == 0 and (found := runs.pop(seed)):
                yield compared([found[policy] for policy in policies if policy in found])


def compared(runs: Sequence[Run]) -> Compared:
    """Hold the arms of one seed against the rules, and reduce them.

    Raises:
        HarnessError: They cannot be compared.
    """
    horizon = common_horizon(runs)
    summaries = [summarize(one, horizon) for one in runs]
    same = check(runs, summaries)
    arms = tuple(
        ArmResult(
            summary=summary,
            reference=one.reference,
            jobs=one.rows,
            power=PowerSeries.of(intervals(one.power(horizon), horizon), horizon),
        )
        for one, summary in zip(runs, summaries, strict=True)
    )
    return Compared(runs[0].seed, arms, same)


def checks(seeds: Sequence[Compared], policies: Sequence[str]) -> tuple[Check, ...]:
    """The harness rules, after `compared` judged each seed: where one is broken that makes figures void, it raised."""
    complete = all({arm.summary.policy for arm in seed.arms} == set(policies) for seed in seeds)
    jobs = sorted({arm.summary.jobs for seed in seeds for arm in seed.arms})
    alike = sorted({" = ".join(group) for seed in seeds for group in seed.same})
    rows = all(len(arm.jobs) == arm.summary.jobs for seed in seeds for arm in seed.arms)
    count = len(seeds)
    return (
        Check("every arm ran the same jobs to completion", complete, f"{_span(jobs)} jobs in each"),
        Check("every job did the same work in every arm", True, "by each arm's event log"),
        Check("every arm had the same nodes, curves, series and rules", True),
        Check("every arm ran in a process of its own", True),
        Check("power was never below the idle power of the nodes that were on", True),
        Check("joules are the sum over the event log, and what was counted while it ran", True),
        Check("all arms of a seed are summed up to one horizon", True, "the end of the last job in any of them"),
        Check(f"at least {LEAST_SEEDS} seeds", count >= LEAST_SEEDS, f"{count}"),
        Check("the arms' power over time differs", not alike, "; ".join(alike)),
        Check("a row for each job is kept", rows),
    )


def _span(values: Sequence[int]) -> str:
    low, high = values[0], values[-1]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


__all__ = [
    "LEAST_SEEDS",
    "Compared",
    "Event",
    "HarnessError",
    "Setup",
    "Task",
    "checks",
    "compared",
    "run_arm",
    "run_arms",
]
