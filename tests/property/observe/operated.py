"""The operator's state, decisions and executor without an event loop: every request ends when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, cast

from ballast.act.events import EventRecorder
from ballast.act.executor import Executor
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api.trainingjob import InvalidTrainingJob
from ballast.decide.actions import Action
from ballast.decide.cycle import Decision, decide
from ballast.decide.snapshot import Snapshot
from ballast.errors import BallastError
from ballast.kube import ApiRefused, KubeClient
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.parsing import resources
from tests.builders import NOW
from tests.property.observe.store import JsonObject
from tests.property.observe.world import Outcome, World

MAX_UNDER_WAY = 6

LISTED = (Kind.PRIORITY_CLASS, Kind.NODE, Kind.NODE_POWER, Kind.POD, Kind.JOB, Kind.TRAINING_JOB)
"""In the order of the operator's own lists."""


class Task:
    """Stands for an `asyncio.Task`: a write that goes on when the test lets it."""

    def __init__(self, write: Coroutine[Any, Any, None]) -> None:
        self._write = write
        self.done = False
        self.asks = ""
        """What the server is asked at the moment."""
        self._go_on(None)

    def add_done_callback(self, callback: Any) -> None:
        """Accepted and ignored: the test counts what is under way itself."""

    def answer(self, outcome: Outcome) -> None:
        """End the request that the write waits for."""
        self._go_on(outcome)

    def kill(self, outcome: Outcome) -> None:
        """End the process in the middle of the write; the request may still have reached the server."""
        if outcome is Outcome.ANSWER_LOST and not self.done:
            self._go_on(outcome)
        self._write.close()

    def _go_on(self, outcome: Outcome | None) -> None:
        try:
            self.asks = self._write.send(outcome)
        except StopIteration:
            self.done = True


class _Tasks:
    """Stands for an `asyncio.TaskGroup`."""

    def __init__(self) -> None:
        self.all: list[Task] = []

    def create_task(self, write: Coroutine[Any, Any, None]) -> Task:
        task = Task(write)
        self.all.append(task)
        return task


class Operator:
    """One process of the operator, from its first complete lists to its end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.invalid: list[InvalidTrainingJob] = []
        sidecar = ExporterSidecar("example.com/ballast-exporter:1")
        self.state = ClusterState(
            clock=self._clock, on_invalid=self.invalid.append, sidecar=resources(sidecar.requests)
        )
        self.ended: list[Action] = []
        self.submitted = 0
        self._tasks = _Tasks()
        self._decided: tuple[Snapshot, Decision] | None = None
        kube = cast("KubeClient", world)
        self._executor = Executor(
            kube,
            EventRecorder(kube),
            self._on_done,
            self._on_failed,
            cast("asyncio.TaskGroup", self._tasks),
            exporter=sidecar,
        )
        for kind in LISTED:
            self.takes_list(kind, list(world.objects[kind].values()), world.version)

    def _clock(self) -> float:
        return NOW + self._world.now

    def takes_list(self, kind: Kind, objects: list[JsonObject], version: int) -> None:
        """Take in a complete list."""
        self.state.replace_all(kind, objects, str(version))

    def hears(self, kind: Kind, type_: str, obj: JsonObject) -> None:
        """Take in a watch event, as the watch handlers do."""
        self.state.observe(kind, obj)
        if type_ == "DELETED":
            self.state.forget(kind, obj["metadata"]["uid"])

    @property
    def under_way(self) -> list[Task]:
        """The writes that wait for the server."""
        return [task for task in self._tasks.all if not task.done]

    @property
    def decides(self) -> bool:
        """Whether a cycle has begun."""
        return self._decided is not None

    def begins_cycle(self) -> None:
        """Take the snapshot and decide on it; what happens until the cycle ends, it does not know."""
        room = MAX_UNDER_WAY - len(self.under_way)
        if room > 0:  # pods are let go beside what there is room for
            snapshot = self.state.snapshot(self._clock(), room)
            decision = decide(snapshot)
            assert decide(snapshot) == decision, "the same snapshot gives the same decision"
            self._decided = snapshot, decision

    def ends_cycle(self) -> None:
        """Hand the decided actions over, as the control loop does."""
        if self._decided is None:
            return
        snapshot, decision = self._decided
        self._decided = None
        self.state.remember(decision.refused, decision.held_for)
        for action in decision.actions:
            self.submitted += 1
            self.state.assume(action)
            self._executor.submit(action)
        if not decision.complete:
            self.state.look_again(snapshot)

    def is_replaced(self) -> list[Task]:
        """Stop deciding, but for the requests that are on their way: those that no version or UID would stop."""
        late = [task for task in self.under_way if task.asks in {"job", "ungate", "delete", "release"}]
        for task in self.under_way:
            if task not in late:
                task.kill(Outcome.UNREACHED)
        return late

    def dies(self, outcomes: Iterable[Outcome]) -> None:
        """Lose everything but what reached the server."""
        for task, outcome in zip(self._tasks.all, outcomes, strict=True):
            task.kill(outcome)

    @property
    def writes(self) -> int:
        """How many writes there were so far."""
        return len(self._tasks.all)

    def _on_done(self, action: Action, answers: Iterable[tuple[str, JsonObject]]) -> None:
        self.ended.append(action)
        self.state.settle(action, answers)

    def _on_failed(self, action: Action, error: BallastError) -> None:
        self.ended.append(action)
        refused = error if isinstance(error, ApiRefused) else None
        self.state.reject(
            action,
            invalid=str(error) if refused is not None and refused.is_final else None,
            forbidden=str(error) if refused is not None and refused.status == 403 else None,
        )
