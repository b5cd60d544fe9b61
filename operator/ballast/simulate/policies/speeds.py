"""How fast each kind of job is on each GPU model: the table that some arms are told.

What must hold: it knows nothing but the speeds at the maximum power limit. An arm that is given it knows before a job
ever ran what it could learn in a cluster only by running it, which favours that arm; its reference says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ballast.errors import UserError
from ballast.simulate.curves import Curves
from ballast.simulate.job import TraceJob


@dataclass(frozen=True, slots=True)
class Speeds:
    """Speeds at the maximum power limit.

    Attributes:
        table: By kind, then by GPU model: seconds of reference work that one GPU does in a second.
    """

    table: Mapping[str, Mapping[str, float]]

    @classmethod
    def from_curves(cls, curves: Curves) -> Speeds:
        """Return what curves say of each GPU model at its highest limit."""
        table: dict[str, dict[str, float]] = {}
        for curve in curves.curves:
            table.setdefault(curve.kind, {})[curve.gpu_model] = curve.speed(curve.max_limit_watts)
        return cls(table)

    def of(self, kind: str, gpu_model: str) -> float:
        """Return a kind's speed on a GPU model.

        Raises:
            UserError: The table lacks it.
        """
        speed = self.table.get(kind, {}).get(gpu_model)
        if speed is None or speed <= 0:
            raise UserError(
                f"speeds: {speed} for kind {kind!r} on GPU model {gpu_model!r}: "
                "give curves that cover every kind of the trace on every GPU model of the cluster"
            )
        return speed

    def ranked(self, kind: str, gpu_models: Iterable[str]) -> tuple[str, ...]:
        """Return the GPU models, the fastest for a kind first; equally fast ones by name."""
        return tuple(sorted(gpu_models, key=lambda model: (-self.of(kind, model), model)))

    def seconds(self, job: TraceJob, gpu_model: str) -> float:
        """Return how long a whole job runs on a GPU model."""
        return job.reference_seconds / self.of(job.kind, gpu_model)
