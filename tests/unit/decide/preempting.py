"""Jobs that run on some GPUs and have used some joules, and one that wants their room."""

from __future__ import annotations

from ballast.api.source import Component
from ballast.decide.capacity import Capacity
from ballast.decide.preemption import Plan, find, stoppable
from ballast.decide.snapshot import Job
from ballast.decide.telemetry import Telemetry
from tests.builders import NOW, JobBuilder, NodeBuilder, job, node, pod

A = node("a").with_gpus("A100", 4)
B = node("b").with_gpus("A100", 4)
URGENT = job("urgent").with_gpus(4).valued(1000)


def running(name: str, *on: str, gpus: int = 1, joules: float | None = 0.0, saves: bool = True) -> JobBuilder:
    """Return a running job with one pod on each node, by default of priority 0."""
    made = job(name).with_gpus(gpus).replicas(len(on))
    made = (made.keeping_checkpoints() if saves else made).running_on(*on).with_job()
    made = made.with_pods(*[pod(index, made).running_on(where) for index, where in enumerate(on)])
    if joules is None:
        return made
    return made.hearing(telemetry=Telemetry(1, NOW, pods=len(on), joules={Component.GPU: joules}))


def full(*nodes: NodeBuilder) -> Capacity:
    """Return nodes all of whose GPUs are in use."""
    return Capacity(each.using(gpus=each.gpus).build() for each in nodes)


def chosen(job: Job, others: list[Job], capacity: Capacity) -> Plan | str:
    return find(job, stoppable(job, others, capacity))


def plan(of: JobBuilder, others: list[JobBuilder], capacity: Capacity) -> Plan:
    found = chosen(of.build(), [each.build() for each in others], capacity)
    assert isinstance(found, Plan), found
    return found


def victims(of: JobBuilder, others: list[JobBuilder], capacity: Capacity) -> list[str]:
    return [each.name for each in plan(of, others, capacity).victims]


def refusal(of: JobBuilder, others: list[JobBuilder], capacity: Capacity) -> str:
    found = chosen(of.build(), [each.build() for each in others], capacity)
    assert isinstance(found, str), found
    return found
