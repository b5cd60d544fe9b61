"""Running jobs with figures, for the tests of what is told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ballast.api.conditions import Condition, ConditionType, find_condition
from ballast.api.finalreading import Training
from ballast.api.jobstatus import EnergyStatus, ProgressStatus, TrainingJobStatus
from ballast.api.source import Component
from ballast.decide.actions import Transition
from ballast.decide.life.reporting import report, wants_report
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Context, Job
from ballast.decide.telemetry import Telemetry
from tests.builders import NOW, context, job, pod

ASKED = Policy(prometheus=True, stale_seconds=60.0)
LATER = NOW + 1000.0
"""Long after the gang of `running` began to run."""


def running(replicas: int = 1, **status: Any) -> Job:
    """Return a running job, with any fields of its status."""
    builder = job("train").replicas(replicas)
    nodes = "abcd"[:replicas]
    builder = builder.running_on(*nodes).with_pods(*(pod(i, builder).running_on(n) for i, n in enumerate(nodes)))
    return builder.with_status(**status).build()


def figures(at: float = LATER, age: float = 20.0, **fields: Any) -> Telemetry:
    """Return what Prometheus tells of one pod: 201 W, 5000 J."""
    known: dict[str, Any] = {
        "attempt": 1,
        "asked_at": at,
        "pods": 1,
        "oldest_at": at - age,
        "joules": {Component.GPU: 4000.0, Component.CPU: 1000.0},
        "watts": 201.0,
    }
    return Telemetry(**{**known, **fields})


def asked(now: float = LATER, problem: str | None = None, policy: Policy = ASKED) -> Context:
    """Return a context with a Prometheus that was asked just now, and which may have a problem."""
    return replace(context(now=now, policy=policy), telemetry_problem=problem, telemetry_asked_at=now)


def after_report(of: Job, telemetry: Telemetry | None, at: Context | None = None) -> Job:
    """Return the job as it stands after what is reported of it was written, if anything is."""
    of = replace(of, telemetry=telemetry)
    at = at or asked()
    write = report(of, at)
    assert wants_report(of, at) == (write is not None)
    return of if write is None else written(of, write.status)


def written(of: Job, status: TrainingJobStatus) -> Job:
    """Return the job with another status, as the API server gives it back."""
    read_back = TrainingJobStatus.model_validate(status.to_manifest())
    return replace(of, job=of.job.model_copy(update={"status": read_back}))


def new_status(of: Job, telemetry: Telemetry | None, at: Context | None = None) -> TrainingJobStatus:
    """Return the status that is reported; there must be news."""
    of = replace(of, telemetry=telemetry)
    write = report(of, at or asked())
    assert write is not None
    assert wants_report(of, at or asked())
    assert write.transition is Transition.REPORT
    assert write.note is None
    return write.status


def is_quiet(of: Job, telemetry: Telemetry | None, at: Context | None = None) -> bool:
    """Return whether nothing is reported."""
    of = replace(of, telemetry=telemetry)
    wants = wants_report(of, at or asked())
    assert wants == (report(of, at or asked()) is not None)
    return not wants


def energy(status: TrainingJobStatus) -> EnergyStatus:
    """Return the status's energy, which must be there."""
    assert status.energy is not None
    return status.energy


def progress(status: TrainingJobStatus) -> ProgressStatus:
    """Return the status's progress, which must be there."""
    assert status.progress is not None
    return status.progress


def fresh(status: TrainingJobStatus) -> Condition:
    """Return the condition TelemetryFresh, which must be there."""
    condition = find_condition(status.conditions, ConditionType.TELEMETRY_FRESH)
    assert condition is not None
    return condition


def trained(**fields: Any) -> dict[str, Any]:
    """Return the keyword of telemetry that says how far the training is."""
    return {"training": Training(**fields)}
