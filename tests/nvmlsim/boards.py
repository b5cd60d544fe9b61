"""Datasheets of the simulated GPU models: limits, clocks, memory, and what the driver lets one do.

Numbers are those that the vendor publishes and that `nvidia-smi -q` shows for such boards. `V100` and `A40` are the
boards of the measurements in `shared/data/zeus`, with the limits that were measured; `A100` and `H100` draw and run by
a synthetic model (`curves.Synthetic`) and appear in no savings figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

GIBIBYTE = 2**30


class Curves(StrEnum):
    """Where speed and watts of a GPU model come from."""

    V100 = "v100"
    A40 = "a40"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class BoardModel:
    """One GPU model.

    Attributes:
        name: As NVML tells it.
        architecture: NVML's number of it: 5 Volta, 7 Ampere, 9 Hopper.
        clocks_mhz: The GPU clocks that it knows, ascending.
        memory_clocks_mhz: The memory clocks that it knows, ascending.
        averages_power: Its power reading is a mean over one second, not what it draws now.
        mig_slices: Compute slices into which MIG divides it; 0 without MIG.
        curves: Where its speed and watts come from.
    """

    name: str
    architecture: int
    compute_capability: tuple[int, int]
    memory_bytes: int
    min_limit_watts: float
    max_limit_watts: float
    default_limit_watts: float
    idle_watts: float
    clocks_mhz: tuple[int, ...] = field(repr=False)
    memory_clocks_mhz: tuple[int, ...] = field(repr=False)
    locks_memory_clocks: bool
    averages_power: bool
    mig_slices: int
    curves: Curves


def _steps(lowest: int, highest: int) -> tuple[int, ...]:
    """Clocks 15 MHz apart, as Ampere and later have them."""
    return tuple(range(lowest, highest + 1, 15))


def _half_steps(lowest: int, highest: int) -> tuple[int, ...]:
    """Clocks 7 or 8 MHz apart, as Volta has them."""
    count = round((highest - lowest) / 7.5)
    return tuple(lowest + 15 * i // 2 for i in range(count + 1))


V100 = BoardModel(
    name="Tesla V100-PCIE-32GB",
    architecture=5,
    compute_capability=(7, 0),
    memory_bytes=32 * GIBIBYTE,
    min_limit_watts=100.0,
    max_limit_watts=250.0,
    default_limit_watts=250.0,
    idle_watts=25.0,
    clocks_mhz=_half_steps(135, 1380),
    memory_clocks_mhz=(877,),
    locks_memory_clocks=False,
    averages_power=False,
    mig_slices=0,
    curves=Curves.V100,
)

A40 = BoardModel(
    name="NVIDIA A40",
    architecture=7,
    compute_capability=(8, 6),
    memory_bytes=45 * GIBIBYTE,
    min_limit_watts=100.0,
    max_limit_watts=300.0,
    default_limit_watts=300.0,
    idle_watts=30.0,
    clocks_mhz=_steps(210, 1740),
    memory_clocks_mhz=(405, 810, 6501, 7251),
    locks_memory_clocks=True,
    averages_power=True,
    mig_slices=0,
    curves=Curves.A40,
)

A100 = BoardModel(
    name="NVIDIA A100-SXM4-80GB",
    architecture=7,
    compute_capability=(8, 0),
    memory_bytes=80 * GIBIBYTE,
    min_limit_watts=100.0,
    max_limit_watts=400.0,
    default_limit_watts=400.0,
    idle_watts=60.0,
    clocks_mhz=_steps(210, 1410),
    memory_clocks_mhz=(1593,),
    locks_memory_clocks=True,
    averages_power=False,
    mig_slices=7,
    curves=Curves.SYNTHETIC,
)

H100 = BoardModel(
    name="NVIDIA H100 80GB HBM3",
    architecture=9,
    compute_capability=(9, 0),
    memory_bytes=80 * GIBIBYTE,
    min_limit_watts=200.0,
    max_limit_watts=700.0,
    default_limit_watts=700.0,
    idle_watts=70.0,
    clocks_mhz=_steps(345, 1980),
    memory_clocks_mhz=(1593, 2619),
    locks_memory_clocks=True,
    averages_power=True,
    mig_slices=7,
    curves=Curves.SYNTHETIC,
)

MODELS = {"v100": V100, "a40": A40, "a100": A100, "h100": H100}
"""By a short name, as on a command line."""
