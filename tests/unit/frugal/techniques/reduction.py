"""What the tests of dataset reduction are made of: a run without a trainer, two processes in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from frugal.composition import Composition
from frugal.data import DataSplits
from frugal.distributed import World
from frugal.run import Run
from frugal.technique import Batch, Evaluation, Technique

from ..builders import blobs, config

T = TypeVar("T")
JUDGED = Evaluation(loss=1.0, accuracy=0.5, samples=1)


def run_of(technique: Technique, world: World | None = None, data: DataSplits | None = None, **changes: Any) -> Run:
    """A run whose data ``technique`` has prepared; no model, no loop."""
    settings, splits = config(**changes), data or blobs()
    made = Run(
        config=settings,
        world=world or World(),
        device=torch.device("cpu"),
        techniques=Composition([technique]),
        data=splits,
    )
    made.data = technique.prepare_data(made, splits)
    return made


def batch_of(run: Run, indices: Tensor, weight: float = 1.0) -> Batch:
    """The training examples ``indices``."""
    inputs, labels = run.data.train.batch(indices, run.device)
    weights = torch.full((len(indices),), weight)
    return Batch(inputs=inputs, targets=labels, labels=labels, indices=indices, weights=weights)


@dataclass(frozen=True, kw_only=True)
class Threads(World):
    """A process's place among two that are threads of this one."""

    shared: dict[int, Any] = field(default_factory=dict)
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=10))

    def _exchanged(self, value: T) -> dict[int, T]:
        self.shared[self.rank] = value
        self.meeting.wait()
        values = dict(self.shared)
        self.meeting.wait()
        return values

    def sum(self, values: Tensor) -> Tensor:
        met = self._exchanged(values.clone())
        return met[0] + met[1]

    def from_main(self, payload: bytes | None) -> bytes | None:
        return self._exchanged(payload)[0]


def in_two_processes(act: Callable[[World], T]) -> list[T]:
    """What ``act`` returns to each of two processes."""
    first = Threads(rank=0, size=2)
    worlds = [first, Threads(rank=1, size=2, shared=first.shared, meeting=first.meeting)]
    done: dict[int, T] = {}

    def work(world: World) -> None:
        try:
            done[world.rank] = act(world)
        except BaseException:
            first.meeting.abort()
            raise

    threads = [threading.Thread(target=work, args=(world,)) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [done[0], done[1]]
