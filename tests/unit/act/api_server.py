"""Stands for `KubeClient`: records requests and answers or raises what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ballast.act.events import EventRecorder
from ballast.act.executor import Executor
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.decide.actions import Action
from ballast.errors import BallastError

JsonObject = dict[str, Any]


@dataclass
class ApiServer:
    """What it was asked, and what it answers: the next of `answers`, or an empty object once there are none."""

    answers: list[JsonObject | BallastError] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def apply(self, path: str, body: Any, *, force: bool = True) -> JsonObject:
        return await self._answer("apply", path, body)

    async def merge(self, path: str, body: Any) -> JsonObject:
        return await self._answer("merge", path, body)

    async def json_patch(self, path: str, operations: Any) -> JsonObject:
        return await self._answer("patch", path, operations)

    async def create(self, path: str, body: Any) -> JsonObject:
        return await self._answer("create", path, body)

    async def delete(
        self, path: str, uid: str, version: str | None = None, propagation: str = "Foreground"
    ) -> JsonObject:
        return await self._answer("delete", path, (uid, version, propagation))

    async def list_events(self, namespace: str, involved_uid: str, reason: str) -> JsonObject:
        return await self._answer("events", namespace, (involved_uid, reason))

    async def get(self, path: str) -> JsonObject:
        return await self._answer("get", path, None)

    async def _answer(self, verb: str, path: str, body: Any) -> JsonObject:
        self.requests.append((verb, path, body))
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, BallastError):
            raise answer
        return answer


@dataclass
class Outcomes:
    """What the executor reported, and to whom."""

    done: list[tuple[Action, list[tuple[str, JsonObject]]]] = field(default_factory=list)
    failed: list[tuple[Action, BallastError]] = field(default_factory=list)
    told: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def events(self) -> EventRecorder:
        def record(job: Any, attempt: int, note: Any) -> None:
            self.told.append((job.metadata.name, attempt, note.reason))

        return SimpleNamespace(record=record)  # type: ignore[return-value]


async def execute(server: ApiServer, *actions: Action, exporter: ExporterSidecar | None = None) -> Outcomes:
    """Execute actions to their end."""
    outcomes = Outcomes()

    def on_done(action: Action, answers: Iterable[tuple[str, JsonObject]]) -> None:
        outcomes.done.append((action, list(answers)))

    def on_failed(action: Action, error: BallastError) -> None:
        outcomes.failed.append((action, error))

    async with asyncio.TaskGroup() as tasks:
        executor = Executor(server, outcomes.events, on_done, on_failed, tasks, exporter=exporter)  # type: ignore[arg-type]
        for action in actions:
            executor.submit(action)
    return outcomes
