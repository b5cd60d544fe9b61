"""Where the published traces lie, and clusters and curves to read them for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.simulate.curves import Curve, CurvePoint, Curves
from ballast.simulate.inputs.trace_formats import EXPERIMENT_KINDS
from ballast.simulate.policy import SimNode

CHECKOUT = Path(__file__).resolve().parents[3]
DATA = CHECKOUT.parent / "shared" / "data"
PHILLY = DATA / "philly"
GAVEL = DATA / "gavel"

needs_philly = pytest.mark.skipif(not PHILLY.is_dir(), reason=f"Philly's trace is not in {PHILLY}")
needs_gavel = pytest.mark.skipif(not GAVEL.is_dir(), reason=f"Gavel's traces are not in {GAVEL}")


def v100(name: str, gpus: int = 8) -> SimNode:
    return SimNode(name, "V100", gpus, 100, 250, 33, 350)


def a40(name: str, gpus: int = 8) -> SimNode:
    return SimNode(name, "A40", gpus, 100, 300, 30, 350)


def eight_nodes() -> tuple[SimNode, ...]:
    """Four of each model, 64 GPUs together."""
    return tuple(v100(f"v100-{i}") for i in range(4)) + tuple(a40(f"a40-{i}") for i in range(4))


def level(kinds: tuple[str, ...] = EXPERIMENT_KINDS, a40_speed: float = 2.0) -> Curves:
    """Every kind runs so much faster on an A40 than on a V100, at half the speed at the lowest limit of either."""
    speeds = {"V100": (250.0, 1.0), "A40": (300.0, a40_speed)}
    curves = tuple(
        Curve(kind, model, (CurvePoint(100.0, speed / 2, 90.0), CurvePoint(limit, speed, 200.0)))
        for kind in kinds
        for model, (limit, speed) in speeds.items()
    )
    return Curves("made up for tests", False, "V100", curves)
