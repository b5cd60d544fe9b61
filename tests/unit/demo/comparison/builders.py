"""Arms of the comparison, built by a word."""

from __future__ import annotations

from dataclasses import replace

from tests.demo.comparison.result import Arm, Comparison, Ran
from tests.demo.comparison.trainer import Trained
from tests.demo.comparison.workloads import SUBMITTED_EVERY_SECONDS, ten_jobs


def arm(name: str = "an arm", *, joules: float = 1000.0, model: str = "V100", late_seconds: float = 0.0) -> Arm:
    """Return an arm whose jobs all ran well on one GPU model."""
    jobs = []
    for number, job in enumerate(ten_jobs()):
        came = 1000.0 + number * SUBMITTED_EVERY_SECONDS
        began = came + 2.0 + late_seconds
        done = Trained(model=model, steps=job.workload.steps, began=began, ended=began + 10.0)
        jobs.append(Ran(job=job, submitted=came, trained=done))
    limits = {"GPU-1": 250.0}
    return Arm(
        name=name, jobs=jobs, active_joules=joules, least_joules=700.0, limits_before=limits, limits_after=dict(limits)
    )


def comparison(*, plain: Arm | None = None, ballast: Arm | None = None) -> Comparison:
    """Return two arms, of which Ballast's took a fifth less."""
    return Comparison(
        plain=plain or arm("kube-scheduler alone"), ballast=ballast or arm("Ballast", joules=800.0), idle_watts=10.0
    )


def with_first(of: Arm, **changes: object) -> Arm:
    """Return an arm whose first job is another."""
    return replace(of, jobs=[replace(of.jobs[0], **changes), *of.jobs[1:]])  # type: ignore[arg-type]
