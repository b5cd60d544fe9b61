"""Runs one arm: submits the ten jobs as their time comes, waits for their pods' ends, and reads the boards.

Invariant: an arm begins and ends with boards that nobody uses, and is over when every trainer has ended or its time is
up; what is told of a job is its pod's own termination message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime

from tests.demo.comparison.boards import Boards
from tests.demo.comparison.result import Arm, Comparison, Ran
from tests.demo.comparison.trainer import Trained, trained
from tests.demo.comparison.workloads import (
    SUBMITTED_EVERY_SECONDS,
    ComparedJob,
    plain_job,
    ten_jobs,
    training_job,
)
from tests.demo.kubectl import JsonObject, Kubectl
from tests.demo.objects import JOB_LABEL
from tests.nvmlsim.preferred import preferred

PLAIN = "kube-scheduler alone"
BALLAST = "Ballast"
POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 240.0
RESTORED_SECONDS = 20.0
SETTLED_SECONDS = 1.0
"""After the last pod's end, until power has fallen to idle and the counters say so."""

Manifest = Callable[[ComparedJob, str], JsonObject]


def compare(kubectl: Kubectl, boards: Boards, namespace: str, say: Callable[[str], None]) -> Comparison:
    """Run both arms, one after the other, in a namespace that is made anew.

    Args:
        kubectl: the cluster, with the operator and with agents on the boards' nodes.
        boards: as they are found now; both arms begin so.
        namespace: of the jobs.
        say: tells people how far it is.
    """
    kubectl.run("delete", "namespace", namespace, "--ignore-not-found")
    kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    kubectl.apply(boards.profiles(namespace, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    with ExitStack() as meanwhile:
        for node in boards.nodes.values():
            meanwhile.enter_context(preferred(node))
        plain = _arm(PLAIN, plain_job, kubectl, boards, namespace)
        say(_told(plain))
        kubectl.run("delete", "jobs", "--all", "-n", namespace, "--cascade=foreground")
        ballast = _arm(BALLAST, training_job, kubectl, boards, namespace)
        say(_told(ballast))
    return Comparison(plain=plain, ballast=ballast, idle_watts=boards.idle_watts)


def _told(arm: Arm) -> str:
    ended = sum(job.trained is not None for job in arm.jobs)
    return f"{arm.name}: {ended} of {len(arm.jobs)} jobs ended well, {arm.active_joules / 1000:.1f} kJ above idle"


def _arm(name: str, manifest: Manifest, kubectl: Kubectl, boards: Boards, namespace: str) -> Arm:
    limits, before = boards.limits(), boards.counters()
    jobs = ten_jobs()
    submitted: list[float] = []
    ended: dict[str, Trained | str] = {}
    began = time.monotonic()
    while len(ended) < len(jobs) and time.monotonic() - began < TIMEOUT_SECONDS:
        if len(submitted) < len(jobs) and time.monotonic() - began >= len(submitted) * SUBMITTED_EVERY_SECONDS:
            kubectl.apply([manifest(jobs[len(submitted)], namespace)])
            submitted.append(time.time())
            continue
        time.sleep(POLL_SECONDS / 2)
        if len(submitted) == len(jobs):
            time.sleep(POLL_SECONDS / 2)
            ended = _ended(kubectl.items("pods", "-n", namespace))
    time.sleep(SETTLED_SECONDS)
    after = boards.counters()
    ran = [_ran(job, at, ended.get(job.name, "has not ended")) for job, at in zip(jobs, submitted, strict=True)]
    return Arm(
        name=name,
        jobs=ran,
        least_joules=sum(boards.least_joules(each.job.workload, each.trained.model) for each in ran if each.trained),
        active_joules=(after.joules - before.joules) - (after.idle_joules - before.idle_joules),
        limits_before=limits,
        limits_after=_limits_when_restored(boards, limits),
    )


def _ran(job: ComparedJob, submitted: float, ended: Trained | str) -> Ran:
    if isinstance(ended, Trained):
        return Ran(job=job, submitted=submitted, trained=ended)
    return Ran(job=job, submitted=submitted, problem=ended)


def _ended(pods: Iterable[JsonObject]) -> dict[str, Trained | str]:
    """What the pods that have ended have to say, by the name of their job of either kind."""
    found: dict[str, Trained | str] = {}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        name = labels.get(JOB_LABEL) or labels.get("batch.kubernetes.io/job-name", "")
        for container in pod["status"].get("containerStatuses") or ():
            ending = (container.get("state") or {}).get("terminated")
            if container["name"] == "trainer" and ending is not None:
                message, code = ending.get("message", ""), ending["exitCode"]
                well = trained(message) if code == 0 else None
                found[name] = well or f"ended with exit code {code}: {message[-300:] or 'no message'}"
    return found


def _limits_when_restored(boards: Boards, limits: dict[str, float]) -> dict[str, float]:
    """The boards' limits once Ballast has put back what was found, or as they are when that takes long."""
    deadline = time.monotonic() + RESTORED_SECONDS
    while (now := boards.limits()) != limits and time.monotonic() < deadline:
        time.sleep(0.2)
    return now
