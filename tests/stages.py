"""`make test`: every stage in order, whether or not one before it failed, and the minutes of each.

The programs and images of the embedded cluster are a stage of their own, so that building them is not counted as
testing. Clusters have names of their own: one that a person looks at is left alone. The exit code is 0 only if every
stage passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.paths import cluster_name

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Stage:
    """A named list of commands; the first that fails ends the stage."""

    name: str
    commands: tuple[tuple[str, ...], ...]


STAGES = (
    Stage("lint", (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("lint-imports", "--no-logo"))),
    Stage("type", (("mypy",),)),
    Stage(
        "verify",
        (
            ("python", "-m", "ballast.api.crds", "--check", "charts/ballast/crds"),
            ("python", "-m", "tests.protos", "--check"),
            ("python", "-m", "tests.locks", "--check"),
        ),
    ),
    Stage("fast", (("pytest", "-q", "tests/unit", "tests/property"),)),
    Stage("build", (("python", "-m", "tests.cluster", "prepare"), ("python", "-m", "tests.cluster.images"))),
    Stage("integration", (("pytest", "tests/integration"),)),
    Stage("e2e", (("pytest", "tests/e2e"),)),
    Stage("demo", (("python", "-m", "tests.demo", "--down"),)),
)


def run(stage: Stage) -> bool:
    """Run a stage; its output goes straight through."""
    environment = {**os.environ, "BALLAST_CLUSTER": f"{cluster_name()[:30].rstrip('-')}-all"}
    for program, *arguments in stage.commands:
        print(f"[{stage.name}] {program} {' '.join(arguments)}", flush=True)
        if subprocess.run([BIN / program, *arguments], cwd=ROOT, env=environment, check=False).returncode:
            return False
    return True


def main() -> int:
    """Run all stages and print what they took."""
    results: list[tuple[str, float, bool]] = []
    for stage in STAGES:
        started = time.monotonic()
        passed = run(stage)
        results.append((stage.name, (time.monotonic() - started) / 60, passed))
    print("\nstage         minutes  result")
    for name, minutes, passed in results:
        print(f"{name:12}  {minutes:7.1f}  {'passed' if passed else 'FAILED'}")
    print(f"{'all':12}  {sum(minutes for _, minutes, _ in results):7.1f}", flush=True)
    return 0 if all(passed for _, _, passed in results) else 1


if __name__ == "__main__":
    sys.exit(main())
