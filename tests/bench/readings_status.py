"""How many status writes figures cost while 5,000 jobs run: the operator's own decisions on a simulated clock.

`status_writes_per_minute_5000_jobs`: the busiest minute of a run. Every job's pods are polled each 15 s; watts waver by
5 %, joules, steps and evaluations grow at each job's own pace, and in the middle of the run Prometheus is silent for
two minutes, so that the condition and the watts of all jobs change, and change back. No cluster is needed: a write is
answered, as an API server answers it, 50 simulated milliseconds later. Time that passes in the simulation costs
nothing; what a poll and the cycle after it cost is told in CPU time.
"""

from __future__ import annotations

import heapq
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from ballast.api.finalreading import Training
from ballast.api.source import Component
from ballast.decide.actions import Action, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.policy import Policy
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.cluster_state import ClusterState, Kind
from tests.bench.bench_cluster import say
from tests.bench.measurement import Aim, Measurement
from tests.builders import NOW, JobBuilder, job, node, pod

JOBS: Final = 5000
RUNS: Final = 3
MINUTES: Final = 12
SILENT: Final = (360.0, 480.0)
"""When Prometheus tells nothing, seconds after the beginning."""
POLL_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 0.05
DEBOUNCE_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 5.0
ROOM: Final = 256
EXPLANATIONS: Final = 16
GPUS_OF_A_NODE: Final = 8
LARGE_EVERY: Final = 10
"""Every so manyth job is a gang of `LARGE` pods; the others have one."""
LARGE: Final = 4
AIM: Final = Aim("<=", 600)


@dataclass(frozen=True)
class Figures:
    """What a run came to.

    Attributes:
        busiest_minute: the most status writes in any minute.
        writes: of the whole run.
        poll_seconds: CPU time that it took each time to take in a poll and decide.
        untold: jobs of which nothing was written.
        first_told_seconds: when the last of the others was told for the first time, seconds after the beginning.
    """

    busiest_minute: int
    writes: int
    poll_seconds: Sequence[float]
    untold: int
    first_told_seconds: float


def measure(runs: int = RUNS, jobs: int = JOBS, minutes: int = MINUTES) -> Measurement:
    """Return the figure for `make bench`."""
    done = []
    for seed in range(runs):
        found = Simulation(jobs, seed).run(60.0 * minutes)
        say(
            f"run {seed + 1} of {runs}: {found.writes} writes in {minutes} min, {found.busiest_minute} in the busiest;"
            f" {found.untold} jobs never told, the others first within {found.first_told_seconds:.0f} s;"
            f" a poll with its cycle: CPU time in the median {statistics.median(found.poll_seconds):.3f} s,"
            f" longest {max(found.poll_seconds):.3f} s"
        )
        done.append(found)
    poll_seconds = statistics.median(seconds for found in done for seconds in found.poll_seconds)
    per_minute = statistics.median(found.writes / minutes for found in done)
    return Measurement(
        "readings",
        "status_writes_per_minute_5000_jobs",
        "1/min",
        AIM,
        [found.busiest_minute for found in done],
        note=f"the busiest minute; {per_minute:.0f} on average. A poll with its cycle: {poll_seconds:.2f} CPU seconds",
    )


@dataclass(frozen=True)
class _Training:
    """What a job's pods do: constant but for noise."""

    pods: int
    began: float
    watts: float
    steps_per_second: float
    total_steps: int | None
    evaluation_steps: int
    lag: float

    def telemetry(self, now: float, dice: random.Random) -> Telemetry:
        """Return what Prometheus would tell."""
        at = now - self.lag - dice.uniform(0, 5)
        seconds = at - self.began
        step = int(seconds * self.steps_per_second)
        if self.total_steps is not None:
            step = min(step, self.total_steps)
        loss = 2 * (1 + step) ** -0.2
        left = (self.total_steps - step) / self.steps_per_second if self.total_steps is not None else None
        training = Training(
            step=step,
            total_steps=self.total_steps,
            epoch=step / 1000,
            steps_per_second=self.steps_per_second * dice.uniform(0.97, 1.03),
            seconds_left=left,
            metric=loss * dice.uniform(0.97, 1.03),
            best=loss * 0.97,
            evaluations=step // self.evaluation_steps,
            reported_at=at,
        )
        joules = self.watts * seconds
        return Telemetry(
            attempt=1,
            asked_at=now,
            pods=self.pods,
            oldest_at=at,
            joules={Component.GPU: 0.8 * joules, Component.CPU: 0.15 * joules, Component.DRAM: 0.05 * joules},
            watts=sum(self.watts / self.pods * dice.uniform(0.95, 1.05) for _ in range(self.pods)),
            training=training,
        )


class Simulation:
    """The operator's state and decisions, and as much of a world as they need.

    Args:
        jobs: how many run.
        seed: of all dice.
    """

    def __init__(self, jobs: int, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._now = NOW
        self._state = ClusterState(clock=lambda: self._now, policy=Policy(prometheus=True, stale_seconds=60.0))
        self._trainings: dict[str, _Training] = {}
        self._manifests: dict[str, dict[str, Any]] = {}
        self._answers: list[tuple[float, int, WriteStatus]] = []
        self._order = count()
        self._written_at: dict[str, list[float]] = {}
        self._writes: list[float] = []
        self._poll_seconds: list[float] = []
        self._populate(jobs)

    def run(self, seconds: float) -> Figures:
        """Let simulated time pass, and return what was written in it."""
        end, next_poll = NOW + seconds, NOW
        self._cycle()  # what is due after the first lists is no matter of figures
        self._answer(self._now + 60)
        self._now = NOW
        self._writes.clear()
        while self._now < end:
            if self._now >= next_poll:
                began = time.process_time()
                self._state.take_telemetry(self._poll())
                self._cycle()
                self._poll_seconds.append(time.process_time() - began)
                next_poll += POLL_SECONDS
            else:
                self._cycle()
            due = self._state.seconds_to_next_due()
            pause = max(IDLE_SECONDS if due is None else min(due, IDLE_SECONDS), DEBOUNCE_SECONDS)
            wake_at = min(self._now + pause, next_poll)
            if self._answers:
                wake_at = min(wake_at, self._answers[0][0] + DEBOUNCE_SECONDS)
            self._now = max(wake_at, self._now + 0.001)
            self._answer(self._now)
        return self._figures()

    def _figures(self) -> Figures:
        first = [times[0] for times in self._written_at.values() if times]
        return Figures(
            busiest_minute=busiest(self._writes, 60.0),
            writes=len(self._writes),
            poll_seconds=self._poll_seconds,
            untold=len(self._written_at) - len(first),
            first_told_seconds=max(first, default=NOW) - NOW,
        )

    def _populate(self, jobs: int) -> None:
        gpus = 0
        for number in range(jobs):
            pods = LARGE if number % LARGE_EVERY == 0 else 1
            nodes = [f"node-{(gpus + index) // GPUS_OF_A_NODE}" for index in range(pods)]
            gpus += pods
            builder = job(f"train-{number}").with_gpus(1).replicas(pods).running_on(*nodes)
            self._begin(builder, nodes)
        for number in range(-(-gpus // GPUS_OF_A_NODE)):
            made = node(f"node-{number}").with_gpus("A100", GPUS_OF_A_NODE).with_cpus(64)
            self._state.observe(Kind.NODE, made.manifest())

    def _begin(self, builder: JobBuilder, nodes: list[str]) -> None:
        dice = self._dice
        began = NOW - dice.choice((60, 600, 3600, 36_000, 360_000)) * dice.uniform(0.5, 1.5)
        attempt = builder.status.attempts[-1]
        running_at = attempt.running_at
        assert running_at is not None
        moved = running_at.fromtimestamp(began, running_at.tzinfo)
        attempt = attempt.model_copy(update={"running_at": moved, "started_at": moved})
        manifest = builder.with_status(attempts=(attempt,)).manifest()
        uid = manifest["metadata"]["uid"]
        steps_per_second = 10 ** dice.uniform(-1, 2)
        total = (NOW - began) * dice.uniform(1.2, 5) * steps_per_second
        self._trainings[uid] = _Training(
            pods=len(nodes),
            began=began,
            watts=len(nodes) * dice.uniform(60, 700),
            steps_per_second=steps_per_second,
            total_steps=max(int(total), 1) if dice.random() < 0.8 else None,
            evaluation_steps=dice.choice((10, 100, 1000)),
            lag=dice.uniform(0, 20),
        )
        self._manifests[uid] = manifest
        self._written_at[uid] = []
        self._state.observe(Kind.TRAINING_JOB, manifest)
        self._state.observe(Kind.JOB, builder.job_manifest())
        for index, name in enumerate(nodes):
            self._state.observe(Kind.POD, replace(pod(index, builder), node_name=name, phase="Running").manifest())

    def _poll(self) -> Poll:
        if SILENT[0] <= self._now - NOW < SILENT[1]:
            return Poll(self._now, problem="connection refused")
        dice = self._dice
        return Poll(self._now, {uid: each.telemetry(self._now, dice) for uid, each in self._trainings.items()})

    def _cycle(self) -> None:
        snapshot = self._state.snapshot(self._now, ROOM, EXPLANATIONS)
        decision = decide(snapshot)
        self._state.remember(decision.refused, decision.held_for)
        for action in decision.actions:
            self._submit(action)
        if not decision.complete:
            self._state.look_again(snapshot)

    def _submit(self, action: Action) -> None:
        if not isinstance(action, WriteStatus):
            raise TypeError(f"{action} in a cluster in which nothing but figures changes")
        self._state.assume(action)
        self._writes.append(self._now)
        self._written_at[action.job.metadata.uid].append(self._now)
        heapq.heappush(self._answers, (self._now + ANSWER_SECONDS, next(self._order), action))

    def _answer(self, until: float) -> None:
        while self._answers and self._answers[0][0] <= until:
            _, _, action = heapq.heappop(self._answers)
            uid = action.job.metadata.uid
            before = self._manifests[uid]
            version = str(int(before["metadata"]["resourceVersion"]) + 1)
            answer = {
                **before,
                "metadata": {**before["metadata"], "resourceVersion": version},
                "status": action.status.to_manifest(),
            }
            self._manifests[uid] = answer
            self._state.settle(action, [(Kind.TRAINING_JOB.value, answer)])


def busiest(times: Sequence[float], window: float) -> int:
    """Return the most of these times that lie within any window; they are sorted."""
    most, first = 0, 0
    for last, moment in enumerate(times):
        while times[first] <= moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    print(measure(*words).line(""))
