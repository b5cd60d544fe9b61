"""What a bench ran on and with: what must be the same for its trials to be compared with one another.

The commit is kept but may change while a bench goes on (then both are kept): a fix elsewhere must not cost a night's
results. Everything else must not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.bench.plan import Plan, settings_of
from frugal.cpu import available_cpus

if TYPE_CHECKING:
    import torch

    from frugal.bench.meters import Meter
    from frugal.bench.trial import Procedure

Described = dict[str, Any]  # plain values, as JSON has them

LIBRARIES = ("numpy", "scikit-learn", "snntorch", "torchao", "torchvision", "triton")
"""What techniques, models and kernels come from, beside torch."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The header of a bench's results.

    Attributes:
        plan: Its cases; seeds may be added later.
        procedure: How inference was measured.
        hardware: Names and sizes.
        software: Versions.
        meter: What counted, and what estimated.
        commits: Of the checkout that frugal ran from, oldest first; empty if it ran from none.
    """

    plan: Described
    procedure: Described
    hardware: Described
    software: Described
    meter: Described
    commits: tuple[str, ...] = ()

    def differences(self, other: Environment) -> list[str]:
        """Names of what is not the same in ``other``, such as ``hardware.cpu``; commits do not count."""
        return [
            f"{field.name}.{key}"
            for field in dataclasses.fields(self)
            if field.name != "commits"
            for key in sorted({*getattr(self, field.name), *getattr(other, field.name)})
            if getattr(self, field.name).get(key) != getattr(other, field.name).get(key)
        ]

    def to_json_object(self) -> Described:
        """For the header file."""
        return asdict(self)

    @classmethod
    def from_json_object(cls, stored: Mapping[str, Any]) -> Environment:
        """What `to_json_object` gave."""
        return cls(**{**stored, "commits": tuple(stored["commits"])})


def describe(plan: Plan, procedure: Procedure, meter: Meter, device: torch.device) -> Environment:
    """This machine, this software, and what is to be run on them."""
    import torch

    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    commit = checkout()
    return Environment(
        plan={
            "name": plan.name,
            "target_accuracy": plan.target_accuracy,
            "cases": [
                {
                    "name": case.name,
                    "with": [*case.techniques],
                    "baseline": case.baseline,
                    "phases": [phase.value for phase in case.phases],
                    "settings": settings_of(case.config),
                }
                for case in plan.cases
            ],
        },
        procedure=asdict(procedure),
        hardware={"cpu": cpu_name(), "cores": available_cpus(), "device": device.type, "gpu": gpu},
        software={
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": platform.system(),
            **versions(LIBRARIES),
        },
        meter={"measured_by": meter.source, "estimated_by": meter.model},
        commits=() if commit is None else (commit,),
    )


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Those of ``libraries`` that are installed, and which."""
    found = {}
    for name in libraries:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as it names itself; its architecture where it does not."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def checkout(folder: Path = Path(__file__).parents[1]) -> str | None:
    """The commit of the git checkout that holds ``folder``, marked if files there differ from it; None outside one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", ".") == "":  # installed below somebody else's checkout
        return None
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return f"{commit} with local changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
