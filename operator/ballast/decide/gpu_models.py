"""What Ballast assumes of a GPU model before it has measured anything on it.

One small table of fitted or published figures, each with its source and its spread. It ranks GPU models by
predicted joules per unit of work; it never states a saving. Figures are for training at the board's default
power limit. `relative_speed` is the throughput of one GPU against one V100 on the same work.

Sources:
    zeus: power and epoch times measured for the Zeus paper (NSDI 2023): 55 V100 and 40 A40 configurations at
        the maximum limit, recommendation workloads left out. Training power is a median 75 % of the limit on
        V100 (quartiles 65 % and 89 %) and 77 % on A40 (61 % and 88 %). A40 over V100: geometric mean 1.18
        over 36 common configurations, quartiles 0.93 and 1.70.
    gavel: isolated single-GPU throughputs of Gavel (OSDI 2020), 52 job configurations. P100 over V100:
        quartiles 0.65 and 1.11, median 0.81; K80 over V100: quartiles 0.16 and 0.48, median 0.25.
    mlperf: published MLPerf Training results on like systems. H100 over A100: 1.4 (3D-UNet), 1.8 (ResNet-50),
        2.0 (DLRM) in v3.0, geometric mean 1.7. A100 over V100: about 2.0 across v0.7's benchmarks. Their
        training power is *assumed* to be 76 % of the limit, the mean of what zeus measured.
    idle: vendor and operator reports for an idle board without a CUDA context; spread about 30 %.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuModel:
    """The prior for one GPU model.

    Attributes:
        name: the short name that conditions, events and status use.
        idle_watts: one idle board.
        max_watts: the default power limit of one board.
        training_watts: typical draw of one board that trains at its default limit.
        relative_speed: throughput of one GPU; a V100 is 1.
        relative_speed_spread: half the quartile distance, as a share of `relative_speed`.
        source: where the figures come from, a key of this module's docstring.
    """

    name: str
    idle_watts: float
    max_watts: float
    training_watts: float
    relative_speed: float
    relative_speed_spread: float
    source: str

    @property
    def joules_per_work(self) -> float:
        """Predicted joules of one GPU for the work that one V100 does in a second."""
        return self.training_watts / self.relative_speed


K80 = GpuModel("K80", 25, 150, 115, 0.25, 0.64, "gavel; power assumed as mlperf")
P100 = GpuModel("P100", 28, 250, 190, 0.81, 0.28, "gavel; power assumed as mlperf")
V100 = GpuModel("V100", 38, 250, 188, 1.0, 0.0, "zeus")
A40 = GpuModel("A40", 32, 300, 232, 1.18, 0.33, "zeus")
A100 = GpuModel("A100", 52, 400, 304, 2.0, 0.25, "mlperf")
H100 = GpuModel("H100", 70, 700, 532, 3.4, 0.18, "mlperf")

KNOWN_MODELS: tuple[GpuModel, ...] = (K80, P100, V100, A40, A100, H100)

# Without measurements an unlisted GPU must neither attract jobs nor be refused: it counts as a V100 that
# draws its whole limit, so that every listed modern model is tried first.
UNLISTED_WATTS = 300.0


def gpu_model(product: str) -> GpuModel:
    """Return the prior for a GPU feature discovery product label.

    Args:
        product: the value of `nvidia.com/gpu.product`, for example "NVIDIA-A100-SXM4-80GB" or
            "Tesla-V100-SXM2-16GB".

    Returns:
        The listed model, or a cautious stand-in named after the product if the table does not list it.
    """
    words = product.upper().replace("_", "-").split("-")
    for model in KNOWN_MODELS:
        if model.name in words:
            return model
    return GpuModel(product, 50, UNLISTED_WATTS, UNLISTED_WATTS, 1.0, 1.0, "unlisted: assumed")
