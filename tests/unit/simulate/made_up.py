"""Builders of made-up outcomes: what an arm could have come to, without running one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ballast.simulate.comparison.comparison import ArmResult, Comparison, PowerSeries
from ballast.simulate.engine.outcome import JobRow, Summary
from ballast.simulate.report.report import Check, Report, Section

KWH = 3.6e6


def row(name: str = "job-1", **changes: Any) -> JobRow:
    """A job of an hour that waited a minute."""
    made = JobRow(
        name=name,
        kind="resnet50-256",
        gpus=1,
        group="",
        submitted_at=0.0,
        started_at=60.0,
        ended_at=3660.0,
        gpu_model="V100",
        waited_seconds=60.0,
        run_seconds=3600.0,
        slowdown_percent=4.0,
        max_slowdown_percent=10.0,
        slowdown_kept=True,
        deadline=None,
        deadline_met=None,
        dynamic_joules=5e5,
        limit_changes=0,
        stops=0,
    )
    return replace(made, **changes)


def arm(policy: str, seed: int = 0, *, kwh: float = 100.0, jct_hours: float = 2.0, **changes: Any) -> ArmResult:
    """An arm that used so many kilowatt-hours, half of them dynamic."""
    summary = Summary(
        policy=policy,
        seed=seed,
        keeps_slowdown=False,
        jobs=2,
        horizon_seconds=36_000.0,
        joules=kwh * KWH,
        dynamic_joules=kwh / 2 * KWH,
        idle_joules=kwh / 4 * KWH,
        base_joules=kwh / 4 * KWH,
        boot_joules=0.0,
        mean_waited_seconds=600.0,
        median_waited_seconds=60.0,
        p95_waited_seconds=3600.0,
        mean_slowdown_percent=4.0,
        makespan_seconds=36_000.0,
        mean_jct_seconds=3600 * jct_hours,
        slowdown_violations=1,
        deadlines=0,
        deadlines_missed=0,
        limit_changes=0,
        stops=0,
        grams=None,
        cost=None,
    )
    jobs = (row("job-1"), row("job-2", waited_seconds=7200.0, slowdown_percent=40.0, slowdown_kept=False))
    power = PowerSeries(3600.0, (4000.0, 9000.0, 5000.0))
    return ArmResult(replace(summary, **changes), f"paper on {policy}", jobs, power)


def comparison(energies: Mapping[str, tuple[float, ...]], keeps: tuple[str, ...] = ()) -> Comparison:
    """Policies with the kilowatt-hours of their seeds; the first is the baseline."""
    arms = [
        arm(policy, seed, kwh=kwh, jct_hours=2 + 0.1 * place, keeps_slowdown=policy in keeps)
        for place, (policy, values) in enumerate(energies.items())
        for seed, kwh in enumerate(values)
    ]
    return Comparison.of(arms, list(energies))


def report(made: Comparison, checks: tuple[Check, ...] = ()) -> Report:
    """A report with one section."""
    facts = (("trace", "made up & <short>"), ("curves", "none"))
    return Report("Made up", facts, (Section("", made, checks),), ("A caveat.",))
