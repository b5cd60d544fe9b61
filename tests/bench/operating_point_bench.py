"""The choice of operating points against an oracle, on workloads and GPU models that the energy model has not seen.

Each configuration that Zeus measured on V100 and A40 (recommendation left out: limits never bind it) is a job, and its
table is the truth. The energy model's prior is fitted, form and all, without the job's whole workload (dataset and
network, all batch sizes, both GPU models), and again without its whole GPU model. The oracle knows the table: it takes
the limit with the least joules whose measured slowdown is allowed. Shares are of summed joules: what all jobs together
save in an equal time at their maximum limit, over what the oracle saves.

- `oracle_share_5`, `oracle_share_10`: within 5 and 10 % slowdown, after one reading, at the maximum limit: of the limit
  with the most expected saving (`best_guess`), which is what the model knows. Beside it, in the note, what the operator
  itself would choose and keep if nothing could be tried out: no limit that it is not sure of.
- `oracle_share_5_explored`, `oracle_share_10_explored`: by the operator's own visits to other limits and its own choice
  after them, with readings of one percent noise;
- `slowdown_violations_percent`: of the jobs that have learned, those whose limit is slower in the table than allowed,
  and by how much; with `_5_guessed` and `_10_guessed` the same of the best guesses. The table is itself measured once,
  to about a percent: fractions of a point say nothing.
- `exploration_joules`: what learning costs a GPU: what it drew beyond what the limit that it ends at draws for the same
  work.

A choice that is slower than allowed does not profit from it: it counts as if the job stayed there until its allowance
of time is spent, and at the maximum limit for the rest; and never as more than the oracle saves. The notes say, too,
what is left where such choices count as nothing saved. Each figure is the worse of the two splits; the note has both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.model.known_limits import known_limits, pooled
from ballast.decide.model.prediction import Curve, Sample
from ballast.decide.points.choosing import Kind, choose
from ballast.decide.points.exploring import lost_seconds
from ballast.decide.points.wishes import Exploration, Wishes
from ballast.simulate.fitting.prior_fit import Configuration, fit, zeus_configurations
from tests.bench.measurement import Aim, Measurement
from tests.nvmlsim.curves import data_folder

BENCH = "operating-point"
SLOWDOWNS = (5, 10)
JOB_SECONDS = 36_000.0
"""How long a job runs at its maximum limit: it is what a visit has to pay for itself in."""
READINGS = 60
"""So many readings of `Exploration.reading_seconds` a job learns from: in half an hour all but a few have settled."""
NOISE = 0.01
BEYOND_WEIGHT = 1.0
"""Where 0 and only the score counted, a guess would be too slow as often as not; see docs/guide/energy-model.md."""
CLEAR_POINTS = 1.0
"""Slower than allowed by more than this is more than the table's own noise."""
RUNS = 3
"""Seeds of the readings' noise; one reading has none, and so one run."""
_NODES, _MASSES = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _MASSES / _MASSES.sum()
"""To take means over a normal distribution."""


def splits(configurations: Sequence[Configuration]) -> dict[str, list[tuple[HierarchicalModel, Configuration]]]:
    """Return each configuration with a model that was fitted without it, by what was left out."""
    found: dict[str, list[tuple[HierarchicalModel, Configuration]]] = {}
    for name in ("workload", "GPU model"):
        models = {
            key: HierarchicalModel(fit([one for one in configurations if _key(one, name) != key]))
            for key in sorted({_key(one, name) for one in configurations})
        }
        found[name] = [(models[_key(one, name)], one) for one in configurations]
    return found


def _key(configuration: Configuration, split: str) -> str:
    return configuration.workload if split == "workload" else configuration.gpu.name


@dataclass(frozen=True)
class Outcome:
    """How one job's choice compares.

    Attributes:
        saved_watts: What the choice saves of the power at the maximum limit, for the same work; see the module.
        kept_watts: The same, where choices that are slower than allowed count as nothing.
        oracle_watts: What the oracle saves.
        excess_percent: How much slower it is than allowed, in points; 0 if it is not.
        exploration_joules: What learning cost.
        visits: How many readings were spent on learning, those at the maximum limit left out.
    """

    saved_watts: float
    kept_watts: float
    oracle_watts: float
    excess_percent: float
    exploration_joules: float = 0.0
    visits: int = 0


@dataclass
class Job:
    """A configuration that runs, and what is known of it."""

    configuration: Configuration
    model: HierarchicalModel
    max_slowdown_percent: float
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        one = self.configuration
        self.slowdown = {
            limit: seconds / one.seconds[-1] for limit, seconds in zip(one.limits, one.seconds, strict=True)
        }
        self.watts = dict(zip(one.limits, one.watts, strict=True))

    def read(self, limit: float, factors: tuple[float, float] = (1.0, 1.0)) -> None:
        """Take a reading at a limit, its throughput and power off by the given factors."""
        speed, power = factors
        self.samples.append(Sample(limit, speed / self.slowdown[limit], power * self.watts[limit], NOISE, NOISE))

    def curve(self) -> Curve:
        """Return what the model makes of the readings."""
        return self.model.curve(self.configuration.gpu, tuple(self.samples))

    def outcome(self, limit: float) -> Outcome:
        """Return how a choice compares."""
        most = 1 + self.max_slowdown_percent / 100
        oracle = max(self._saved(each) for each, slowdown in self.slowdown.items() if slowdown <= most + 1e-9)
        saved, excess = self._saved(limit), self.slowdown[limit] - most
        if excess <= 1e-9:
            return Outcome(saved, saved, oracle, 0.0)
        share = (most - 1) / (self.slowdown[limit] - 1)
        return Outcome(min(saved * share, oracle), min(saved, 0.0), oracle, 100 * excess)

    def _saved(self, limit: float) -> float:
        return self.watts[self.configuration.gpu.max_limit_watts] - self.slowdown[limit] * self.watts[limit]


def best_guess(curve: Curve, limits: Sequence[float], max_slowdown_percent: float) -> float:
    """Return the limit with the most expected saving, where a job that turns out slower than allowed is accounted for.

    As in the score, such a job is expected to go back to the maximum limit when its allowance of time is spent.
    Besides, a percent of time beyond the allowance counts as badly as `BEYOND_WEIGHT` percent more joules.
    """
    allowed = max_slowdown_percent / 100

    def expected(limit: float) -> float:
        prediction = curve.at(limit)
        slowdown = np.exp(np.maximum(prediction.log_slowdown + prediction.log_slowdown_sd * _NODES, 0.0))
        saved = 1 - slowdown * math.exp(prediction.log_joules - prediction.log_slowdown)
        share = np.minimum(1.0, allowed / np.maximum(slowdown - 1, 1e-12))
        beyond = np.maximum(slowdown - 1 - allowed, 0.0)
        return float(_WEIGHTS @ (np.where(saved > 0, saved * share, saved) - BEYOND_WEIGHT * beyond))

    return max(limits, key=lambda limit: (expected(limit), limit))


def after_one_reading(
    model: HierarchicalModel, configuration: Configuration, slowdown: float, *, sure: bool = False
) -> Outcome:
    """Let a job choose after one reading at the maximum limit, without visits to others.

    Args:
        model: That has not seen it.
        configuration: The job.
        slowdown: That is allowed, in percent.
        sure: Whether as the operator does that may not try anything out.
    """
    job = Job(configuration, model, slowdown)
    job.read(configuration.gpu.max_limit_watts)
    curve = job.curve()
    if not sure:
        return job.outcome(best_guess(curve, configuration.limits, slowdown))
    wishes = Wishes(max_slowdown_percent=slowdown, exploration=None)
    return job.outcome(choose(curve, configuration.limits, job.samples, wishes).limit_watts)


def explored(
    model: HierarchicalModel, configuration: Configuration, slowdown: float, dice: np.random.Generator
) -> Outcome:
    """Let a job learn as the operator lets it, reading by reading."""
    job, wishes = Job(configuration, model, slowdown), Wishes(max_slowdown_percent=slowdown)
    top, seconds = configuration.gpu.max_limit_watts, Exploration().reading_seconds
    spent: dict[float, float] = dict.fromkeys(job.slowdown, 0.0)
    done = joules = 0.0
    visits, now = 0, top
    for _ in range(READINGS):
        curve = job.curve()
        known = known_limits(curve, configuration.limits, pooled(job.samples), wishes.trust)
        mine = replace(
            wishes,
            ran_seconds=sum(spent.values()),
            left_seconds=JOB_SECONDS - done,
            lost_seconds=lost_seconds(known, spent, wishes),
            now_watts=now,
        )
        choice = choose(curve, configuration.limits, job.samples, mine)
        now = choice.limit_watts
        visits += choice.kind is Kind.EXPLORE and now != top
        job.read(now, (math.exp(dice.normal(0, NOISE)), math.exp(dice.normal(0, NOISE))))
        spent[now] += seconds
        done += seconds / job.slowdown[now]
        joules += seconds * job.watts[now]
    beyond = joules - done * job.slowdown[now] * job.watts[now]
    return replace(job.outcome(now), exploration_joules=beyond, visits=visits)


def measure(runs: int = RUNS) -> Iterator[Measurement]:
    """Return the figures, those of one reading first."""
    jobs = splits(zeus_configurations(data_folder()))
    for slowdown in SLOWDOWNS:
        guessed = {name: [[after_one_reading(*job, slowdown) for job in of]] for name, of in jobs.items()}
        sure = {name: [[after_one_reading(*job, slowdown, sure=True) for job in of]] for name, of in jobs.items()}
        yield _share_of(guessed, f"oracle_share_{slowdown}", 0.8, more=f"; the operator, unable to try: {_told(sure)}")
        why = "one reading does not tell on which side of the allowed slowdown a limit lies"
        more = f"; the operator, unable to try: {_excess_told(sure)}"
        yield _violations_of(guessed, f"_{slowdown}_guessed", why, more)
    learned: dict[int, Runs] = {}
    for slowdown in SLOWDOWNS:
        learned[slowdown] = {
            name: [_explore_all(of, slowdown, seed) for seed in range(runs)] for name, of in jobs.items()
        }
        why = "the best limit of some jobs is nearer to the allowed slowdown than readings of one percent tell"
        yield _share_of(learned[slowdown], f"oracle_share_{slowdown}_explored", 0.97, why)
    yield _worst([_violations_of(learned[slowdown], "") for slowdown in SLOWDOWNS])
    yield _worst([_exploration(learned[slowdown]) for slowdown in SLOWDOWNS])


def _worst(figures: Sequence[Measurement]) -> Measurement:
    """Return the figure of the slowdown that has more of it, with the notes of all."""
    worst = max(figures, key=lambda figure: figure.value)
    told = [f"within {slowdown} %: {figure.note}" for slowdown, figure in zip(SLOWDOWNS, figures, strict=True)]
    return replace(worst, note="; ".join(told))


def _explore_all(jobs: Iterable[tuple[HierarchicalModel, Configuration]], slowdown: float, seed: int) -> list[Outcome]:
    return [explored(*job, slowdown, np.random.default_rng([seed, index])) for index, job in enumerate(jobs)]


Runs = Mapping[str, Sequence[Sequence[Outcome]]]


def _share_of(found: Runs, metric: str, aim: float, why: str = "", more: str = "") -> Measurement:
    shares = {name: [share(run) for run in runs] for name, runs in found.items()}
    worse = min(shares, key=lambda name: statistics.median(shares[name]))
    return Measurement(BENCH, metric, "", Aim(">=", aim), shares[worse], why, _told(found) + more)


def _told(found: Runs) -> str:
    parts = []
    for name, runs in found.items():
        counted, strict = (statistics.median(share(run, kept=kept) for run in runs) for kept in (False, True))
        parts.append(f"without the {name} {counted:.3f} ({strict:.3f} if what is too slow counts as nothing saved)")
    return ", ".join(parts)


def _violations_of(found: Runs, suffix: str, why: str = "", more: str = "") -> Measurement:
    violations = {name: [violations_percent(run) for run in runs] for name, runs in found.items()}
    worse = max(violations, key=lambda name: statistics.median(violations[name]))
    metric, aim = f"slowdown_violations_percent{suffix}", Aim("<=", 5)
    return Measurement(BENCH, metric, "%", aim, violations[worse], why, _excess_told(found) + more)


def _excess_told(found: Runs) -> str:
    parts = []
    for name, runs in found.items():
        beyond = [one.excess_percent for run in runs for one in run if one.excess_percent > 0]
        percent = statistics.median(violations_percent(run) for run in runs)
        clear = 100 * sum(each > CLEAR_POINTS for each in beyond) / sum(len(run) for run in runs)
        how = f", {statistics.median(beyond):.1f} points in the median, {max(beyond):.1f} at worst" if beyond else ""
        parts.append(f"without the {name} {percent:.1f} % of jobs ({clear:.1f} % by over {CLEAR_POINTS:g} points{how})")
    return ", ".join(parts)


def _exploration(found: Runs) -> Measurement:
    joules = {
        name: [statistics.fmean(one.exploration_joules for one in run) for run in runs] for name, runs in found.items()
    }
    worse = max(joules, key=lambda name: statistics.median(joules[name]))
    visits = statistics.fmean(one.visits for runs in found.values() for run in runs for one in run)
    # What a job saves in ten hours must be far more than what it pays to learn how.
    saved = statistics.fmean(one.saved_watts for run in found[worse] for one in run) * JOB_SECONDS
    note = f"a job's mean; {visits:.1f} visits; it then saves {saved:.0f} J in ten hours"
    return Measurement(BENCH, "exploration_joules", "J", Aim("<=", round(saved / 100)), joules[worse], note=note)


def share(run: Sequence[Outcome], *, kept: bool = False) -> float:
    """Return what was saved over what the oracle saves; with ``kept`` what is too slow counts as nothing saved."""
    saved = math.fsum(one.kept_watts if kept else one.saved_watts for one in run)
    return saved / math.fsum(one.oracle_watts for one in run)


def violations_percent(run: Sequence[Outcome]) -> float:
    """Return how many of the jobs are slower than allowed."""
    return 100 * sum(one.excess_percent > 0 for one in run) / len(run)
