"""The load of the admission benchmark: creates jobs, sees them admitted, and completes them as their pods would.

One event loop does all three. What must hold: jobs are created in their order and never before their time, though
later where the API server does not keep up; a job counts as admitted when the harness's own watch shows the condition,
which is after it was persisted; completions never wait for creations.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.bench.api import Api, JsonObject
from tests.bench.arrivals import CLASS_LABEL, RUN_SECONDS, Arrival, Manifests

PATH = "/apis/ballast.dev/v1alpha1/trainingjobs"
CREATORS = 8
STALLED_SECONDS = 120.0
PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class LoadResult:
    """What came of a load.

    Attributes:
        seconds: from the first creation to the last admission.
        creation_seconds: from the first creation to the last.
    """

    jobs: int
    seconds: float
    creation_seconds: float

    @property
    def admissions_per_second(self) -> float:
        """Admitted jobs over the time from the first creation to the last admission."""
        return self.jobs / self.seconds

    @property
    def creations_per_second(self) -> float:
        """The pace at which the API server took the jobs."""
        return self.jobs / self.creation_seconds


class AdmissionLoad:
    """One run of the load.

    Args:
        api: the client.
        arrivals: what is created, in order.
        say: told of the progress now and then.
    """

    def __init__(self, api: Api, arrivals: Sequence[Arrival], say: Callable[[str], None]) -> None:
        self._api = api
        self._arrivals = arrivals
        self._say = say
        self._manifests = Manifests()
        self._created = 0
        self._admitted: set[str] = set()
        self._finished = 0
        self._done = asyncio.Event()
        self._last_admission = 0.0

    async def run(self) -> LoadResult:
        """Create every job and return when all were admitted and have ended.

        Raises:
            RuntimeError: nothing was admitted for too long, or the API server refused something.
        """
        since = await self._api.version(PATH)
        started = time.monotonic()
        self._last_admission = started
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._watch(since, tasks)),
                tasks.create_task(self._tell(started)),
            ]
            await self._create_all(started)
            creation_seconds = time.monotonic() - started
            await self._done.wait()
            for task in background:
                task.cancel()
        return LoadResult(len(self._arrivals), self._last_admission - started, creation_seconds)

    async def _create_all(self, started: float) -> None:
        queue = iter(self._arrivals)

        async def create() -> None:
            for arrival in queue:
                await asyncio.sleep(max(0.0, started + arrival.at - time.monotonic()))
                path = f"/apis/ballast.dev/v1alpha1/namespaces/{arrival.namespace}/trainingjobs"
                await self._api.create(path, self._manifests.of(arrival))
                self._created += 1

        async with asyncio.TaskGroup() as creators:
            for _ in range(CREATORS):
                creators.create_task(create())

    async def _watch(self, since: str, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        async for _, job in self._api.watch(PATH, since):
            uid = job["metadata"]["uid"]
            if uid in self._admitted or not is_admitted(job):
                continue
            self._admitted.add(uid)
            self._last_admission = time.monotonic()
            run_seconds = RUN_SECONDS[job["metadata"]["labels"][CLASS_LABEL]]
            loop.call_later(run_seconds, self._end, job, tasks)

    def _end(self, job: JsonObject, tasks: asyncio.TaskGroup) -> None:
        tasks.create_task(self._finish(job))

    async def _finish(self, job: JsonObject) -> None:
        metadata = job["metadata"]
        path = f"/apis/ballast.dev/v1alpha1/namespaces/{metadata['namespace']}/trainingjobs/{metadata['name']}/status"
        await self._api.merge(path, json.dumps({"status": finished_status(job["status"])}).encode())
        self._finished += 1
        if self._finished == len(self._arrivals):
            self._done.set()

    async def _tell(self, started: float) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            now = time.monotonic()
            admitted = len(self._admitted)
            self._say(
                f"{now - started:.0f} s: {self._created} created, {admitted} admitted "
                f"({admitted / (now - started):.1f}/s), {self._finished} finished, of {len(self._arrivals)}"
            )
            if now - self._last_admission > STALLED_SECONDS:
                raise RuntimeError(f"no job was admitted for {STALLED_SECONDS:.0f} s: {admitted} were")


def is_admitted(job: JsonObject) -> bool:
    """Return whether the condition Admitted is true."""
    conditions = (job.get("status") or {}).get("conditions", ())
    return any(condition["type"] == "Admitted" and condition["status"] == "True" for condition in conditions)


def finished_status(status: JsonObject) -> JsonObject:
    """Return what the status of an admitted job says once its training has succeeded."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {
            **condition,
            "status": "False",
            "reason": "Finished",
            "message": "the job has ended",
            "lastTransitionTime": now,
        }
        if condition["type"] == "Admitted"
        else condition
        for condition in status["conditions"]
    ]
    attempt = {**status["attempts"][-1], "finishedAt": now, "outcome": "Succeeded"}
    return {
        "phase": "Succeeded",
        "reason": "TrainingSucceeded",
        "finishedAt": now,
        "attempts": [*status["attempts"][:-1], attempt],
        "conditions": conditions,
    }
