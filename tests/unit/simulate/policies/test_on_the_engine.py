"""Every arm of the catalogue on the engine: all jobs end, and the harness's rules hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256

import pytest

from ballast.simulate.curves import Curve, CurvePoint, Curves
from ballast.simulate.engine.engine import run
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import Run
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.briefing import Briefing
from ballast.simulate.policies.catalogue import POLICIES
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.series import Series
from tests.unit.simulate.policies.views import cluster

HIGHEST = {"V100": 250.0, "A40": 300.0}


def curve(kind: str, model: str, speed: float) -> Curve:
    """Half of the limits' range takes 10.5 % more time, which readings may take for 10 %; all of it takes twice."""
    highest = HIGHEST[model]
    middle = (100.0 + highest) / 2
    points = ((100.0, speed / 2), (middle, speed / 1.105), (highest, speed))
    return Curve(kind, model, tuple(CurvePoint(limit, work, limit * 0.95) for limit, work in points))


CURVES = Curves(
    "made up",
    False,
    "V100",
    (curve("a", "V100", 1.0), curve("a", "A40", 0.7), curve("b", "V100", 1.0), curve("b", "A40", 1.4)),
)
NODES = tuple(cluster(v100=2, a40=2).view.nodes.values())
SIZES = (1, 1, 2, 1, 4, 1, 8, 1, 16, 2)
JOBS = tuple(
    TraceJob(f"j{index:02}", "ab"[index % 2], 97.0 * index, SIZES[index % 10], 400.0 + 311 * (index * 7 % 13))
    for index in range(60)
)
"""More than the cluster takes at once, so that jobs wait, and gangs among them."""


def outcome(name: str, options: Options | None = None, seed: int = 1, jobs: Sequence[TraceJob] = JOBS) -> Run:
    policy = POLICIES[name](Briefing(seed, Speeds.from_curves(CURVES)))
    # Dirty for the first two hours: long enough for the carbon gate to hold jobs.
    carbon = Series((0.0, 7200.0), (400.0, 100.0))
    return run(jobs, NODES, CURVES, policy, seed=seed, options=options, carbon=carbon)


@pytest.mark.parametrize("switch_off", [None, 120.0])
@pytest.mark.parametrize("name", POLICIES)
def test_every_arm_completes_the_trace(name: str, switch_off: float | None) -> None:
    done = outcome(name, Options(switch_off_after_seconds=switch_off))
    done.check()
    assert len(done.rows) == len(JOBS)


@pytest.mark.parametrize("name", POLICIES)
def test_an_arm_does_the_same_again_for_the_same_seed(name: str) -> None:
    assert outcome(name).rows == outcome(name).rows


def digest() -> str:
    """What all arms do, in a few characters."""
    return sha256(repr([outcome(name, jobs=JOBS[:12]).events for name in POLICIES]).encode()).hexdigest()


def test_arms_do_the_same_however_strings_are_hashed() -> None:
    command = [sys.executable, "-c", f"import {__name__} as this; print(this.digest())"]
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1


def test_the_arms_differ() -> None:
    series = {name: tuple(row.ended_at for row in outcome(name).rows) for name in POLICIES}
    assert len(set(series.values())) == len(POLICIES)


def test_the_profiler_saves_joules() -> None:
    plain = sum(row.dynamic_joules for row in outcome("fifo-binpack").rows)
    limited = sum(row.dynamic_joules for row in outcome("per-job-limit").rows)
    assert limited < 0.9 * plain


@pytest.mark.parametrize("name", POLICIES)
def test_an_arm_says_whether_all_jobs_stay_within_their_slowdown(name: str) -> None:
    runs = (outcome(name, seed=seed) for seed in range(6))
    broken = any(not row.slowdown_kept for one in runs for row in one.rows)
    keeps = POLICIES[name](Briefing(0, Speeds.from_curves(CURVES))).keeps_slowdown
    assert broken is not keeps
