"""What the operator's own power limits come to on jobs whose curves only the engine knows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from ballast.decide.points.wishes import Exploration
from ballast.simulate.curves import fitted_curves
from ballast.simulate.engine.engine import run
from ballast.simulate.engine.outcome import Run
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.briefing import Briefing
from ballast.simulate.policies.catalogue import POLICIES
from ballast.simulate.policies.speeds import Speeds
from tests.unit.simulate.policies.views import cluster

CURVES = fitted_curves()
KINDS = CURVES.kinds
JOBS = tuple(
    TraceJob(
        f"j{index:02}", KINDS[index % len(KINDS)], 60.0 * index, (1, 2, 1, 4)[index % 4], 150.0 + 613 * (index % 7)
    )
    for index in range(42)
)

MOST_PERCENT = 100 * (1.1 * (1 + Exploration().time_share) - 1) + 1
"""What jobs allow, what they may lose to visits beyond that, and what a measurement may be wrong by."""


@cache
def outcome(name: str, model: str, deadlines: bool = False) -> Run:
    """On two nodes of one GPU model, so that nothing but power limits makes a job slower."""
    nodes = tuple(cluster(**{model.lower(): 2}).view.nodes.values())
    jobs = JOBS
    if deadlines:
        # It leaves hardly any time beside that for which a job runs on these boards.
        jobs = tuple(replace(job, deadline=job.submitted_at + 1.02 * _alone(job, model)) for job in JOBS)
    policy = POLICIES[name](Briefing(0, Speeds.from_curves(CURVES)))
    done = run(jobs, nodes, CURVES, policy, seed=0)
    done.check()
    return done


def _alone(job: TraceJob, model: str) -> float:
    curve = CURVES.of(job.kind, model)
    return job.reference_seconds / curve.speed(curve.max_limit_watts)


@pytest.mark.parametrize("model", ["V100", "A40"])
def test_joules_are_saved_and_no_job_is_slower_than_is_stated(model: str) -> None:
    as_found, chosen = outcome("ballast-placement", model), outcome("ballast", model)
    assert chosen.joules().dynamic < 0.93 * as_found.joules().dynamic
    assert all(row.slowdown_percent <= MOST_PERCENT for row in chosen.rows)
    assert all(row.slowdown_percent == pytest.approx(0.0, abs=1e-6) for row in as_found.rows)


@pytest.mark.parametrize("model", ["V100", "A40"])
def test_deadlines_that_could_be_met_are(model: str) -> None:
    as_found, chosen = outcome("ballast-placement", model, True), outcome("ballast", model, True)
    met = {row.name for row in as_found.rows if row.deadline_met}
    assert met
    assert met <= {row.name for row in chosen.rows if row.deadline_met}


def test_what_one_job_learned_the_next_one_of_its_kind_begins_with() -> None:
    rows = outcome("ballast", "A40").rows
    first, last = rows[: len(KINDS)], rows[-len(KINDS) :]
    assert sum(row.limit_changes for row in last) < sum(row.limit_changes for row in first)
