"""A sweep's result as an EnergyProfile of Ballast, which its admin can share with all jobs of the same key.

Written by hand as YAML whose scalars are JSON: frugal knows nothing of Ballast but this format
(``charts/ballast/crds/energyprofiles.ballast.dev.yaml``), and tests hold it against Ballast's own types. A simulated
board says so in its labels, and its GPU model has a suffix, so that no scheduler takes it for the real one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from frugal.errors import ConfigError
from frugal.sweep.result import PointResult, SweepResult, deviation, mean

MAX_POINTS = 64  # of an EnergyProfile
MAX_MODEL = 63  # characters: it is a label's value
MEGA = 1_000_000
SUFFIX = "-simulated"
_KEY = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")


def gpu_model(result: SweepResult) -> str:
    """The model as GPU feature discovery labels nodes with it."""
    name = result.gpu_model.replace(" ", "-")
    return name[: MAX_MODEL - len(SUFFIX)] + SUFFIX if result.simulated else name[:MAX_MODEL]


def check_key(key: str) -> None:
    """Refuse what Ballast would.

    Raises:
        ConfigError: Says what a key may be.
    """
    if not _KEY.fullmatch(key):
        raise ConfigError("profile_key", key, "use up to 63 letters, digits, '-', '_' and '.', as digits-cnn-bs256")


def check(key: str, points: int, highest_clock_mhz: int | None) -> int:
    """Whether there can be a profile, told before anything is measured; returns the highest clock.

    Raises:
        ConfigError: The key is none, there are too many points, or the GPU does not tell its clocks.
    """
    check_key(key)
    if points > MAX_POINTS:
        raise ConfigError("points", points, f"an EnergyProfile holds {MAX_POINTS} at most")
    if highest_clock_mhz is None:
        raise ConfigError(
            "profile", key, "the GPU does not tell its clocks, which a profile must name: use --json only"
        )
    return highest_clock_mhz


def to_yaml(result: SweepResult, key: str) -> str:
    """The manifest.

    Args:
        result: The sweep; GPUs that do not tell their clocks have no profile.
        key: What jobs have as ``spec.energy.profileKey``.

    Raises:
        ConfigError: See `check`.
    """
    highest_clock_mhz = check(key, len(result.points), result.highest_clock_mhz)
    name = re.sub(r"[^a-z0-9]+", "-", f"{key}-{gpu_model(result)}".lower()).strip("-")
    origin = f"frugal sweep: {result.work}; joules by the {result.source}"
    lines = [
        *(["# SIMULATED: measured on a board of the simulated NVML, not on a GPU."] if result.simulated else []),
        "# An admin shares it with: kubectl apply -n ballast-system -f FILE",
        "apiVersion: ballast.dev/v1alpha1",
        "kind: EnergyProfile",
        "metadata:",
        f"  name: {json.dumps(name)}",
        f"  labels: {{frugal.ballast.dev/simulated: {json.dumps(str(result.simulated).lower())}}}",
        f"  annotations: {{frugal.ballast.dev/origin: {json.dumps(origin)}}}",
        "spec:",
        f"  profileKey: {json.dumps(key)}",
        f"  gpuModel: {json.dumps(gpu_model(result))}",
        "  points:",
        *(line for one in result.results() for line in _point(one, highest_clock_mhz, result.measured_at)),
    ]
    return "\n".join(lines) + "\n"


def _point(one: PointResult, highest_clock_mhz: int, measured_at: str) -> Iterator[str]:
    fields: dict[str, float | int | str | None] = {
        "gpus": 1,
        "powerLimitWatts": one.point.power_limit_watts,
        "maxClockHertz": (one.point.max_clock_mhz or highest_clock_mhz) * MEGA,
        "stepsPerSecond": mean(one.steps_per_second),
        "stepsPerSecondDeviation": deviation(one.steps_per_second),
        "wattsPerGpu": mean(one.watts),
        "wattsPerGpuDeviation": deviation(one.watts),
        "samples": len(one.watts),
        "measuredSeconds": one.measured_seconds,
        "measuredAt": measured_at,
    }
    mark = "-"
    for name, value in fields.items():
        if value is not None:
            yield f"  {mark} {name}: {json.dumps(float(f'{value:.9g}') if isinstance(value, float) else value)}"
            mark = " "
