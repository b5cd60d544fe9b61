"""Small problems as sentences: two GPU models, two kinds of jobs, numbers that can be followed by hand."""

from __future__ import annotations

from ballast.simulate.bounds.problem import Problem
from ballast.simulate.curves import Curve, CurvePoint, Curves
from ballast.simulate.engine.options import Options
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

IDLE_WATTS = 20.0
BASE_WATTS = 100.0
SWITCHING = Options(switch_off_after_seconds=2, boot_seconds=1, boot_joules=300)


def curve(kind: str, gpu_model: str, *points: tuple[float, float, float]) -> Curve:
    """Points are limit in watts, reference seconds a second, watts."""
    return Curve(kind, gpu_model, tuple(CurvePoint(*point) for point in points))


def curves(*given: Curve) -> Curves:
    return Curves("by hand", measured=False, reference_model="old", curves=given)


# 12 seconds of reference work take whole seconds everywhere: 12, 16, 24 on old GPUs, 8, 12, 24 on new ones.
CURVES = curves(
    curve("dense", "old", (100, 0.5, 90), (150, 0.75, 120), (200, 1.0, 190)),
    curve("dense", "new", (100, 0.5, 100), (200, 1.0, 150), (300, 1.5, 290)),
    curve("light", "old", (100, 0.75, 70), (150, 1.0, 80), (200, 1.0, 80)),
    curve("light", "new", (100, 1.0, 95), (200, 1.0, 95), (300, 1.0, 95)),
)


def node(name: str, gpu_model: str = "old", gpus: int = 2, base_watts: float = BASE_WATTS) -> SimNode:
    return SimNode(name, gpu_model, gpus, 100, {"old": 200, "new": 300}[gpu_model], IDLE_WATTS, base_watts)


def job(
    name: str,
    gpus: int = 1,
    seconds: float = 12,
    at: float = 0,
    kind: str = "dense",
    slowdown: float = 1000,
    deadline: float | None = None,
) -> TraceJob:
    return TraceJob(name, kind, at, gpus, seconds, slowdown, deadline)


def problem(
    jobs: list[TraceJob],
    nodes: list[SimNode],
    horizon: float,
    *,
    given: Curves = CURVES,
    slowdown: bool = True,
    deadlines: bool = False,
    options: Options | None = None,
    only_points: bool = False,
) -> Problem:
    """With ``only_points`` limits are those of the curves; else they are any within the range."""
    limits = {"old": (100.0, 150.0, 200.0), "new": (100.0, 200.0, 300.0)} if only_points else None
    return Problem(tuple(jobs), tuple(nodes), given, horizon, options or Options(), slowdown, deadlines, limits)
