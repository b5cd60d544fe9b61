"""What tests of the energy model ask of curves."""

from __future__ import annotations

import numpy as np

from ballast.decide.energy_model import HierarchicalModel, WorkloadCurve
from ballast.decide.model.prediction import GpuRange, Prediction, Sample
from tests.curve_builders import MadeUpCurve

MODEL = HierarchicalModel()
UNSEEN = GpuRange("never seen", 150.0, 450.0, 40.0)


def after(truth: MadeUpCurve, *limits: float, error: float = 0.003, speed: float = 100.0) -> WorkloadCurve:
    """Return the model's curve after one exact reading of a made-up workload at each limit."""
    samples = tuple(truth.measured(limit, error=error, speed=speed) for limit in limits)
    return MODEL.curve(truth.gpu, samples)


def everywhere(curve: WorkloadCurve, steps: int = 40) -> list[Prediction]:
    """Return predictions over the whole range, by ascending limit."""
    return [curve.at(float(limit)) for limit in limits_of(curve.gpu, steps)]


def limits_of(gpu: GpuRange, steps: int = 40) -> list[float]:
    """Return limits over the whole range, ascending; the last is exactly the found one."""
    inner = np.linspace(gpu.min_limit_watts, gpu.max_limit_watts, steps + 1)[:-1]
    return [*inner.tolist(), gpu.max_limit_watts]


def same(one: WorkloadCurve, other: WorkloadCurve, rel: float = 1e-9) -> bool:
    """Whether two curves predict the same everywhere."""
    return all(
        np.allclose(_figures(a), _figures(b), rtol=rel, atol=rel)
        for a, b in zip(everywhere(one), everywhere(other), strict=True)
    )


def _figures(prediction: Prediction) -> list[float]:
    return [
        prediction.log_slowdown,
        prediction.log_slowdown_sd,
        prediction.watts,
        prediction.log_watts_sd,
        prediction.log_joules,
    ]


def reading(limit: float, slowdown: float = 1.0, watts: float = 200.0, error: float = 0.01) -> Sample:
    """Return a reading at a limit by its slowdown."""
    return Sample(limit, 100.0 / slowdown, watts, error, error)
