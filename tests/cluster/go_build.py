"""Building programs from the Go modules that `tools/` pins.

Invariant: `go.mod` and `go.sum` are never changed by a build (`-mod=readonly`), and a build writes nothing but its
target and Go's own caches.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cluster.catalogue import Program
from tests.cluster.commands import run
from tests.cluster.errors import BuildError, CommandError
from tests.cluster.paths import TOOLS
from tests.cluster.progress import step

BUILD_TIMEOUT_SECONDS = 3600.0


def build(program: Program, system: str, arch: str, target: Path) -> str:
    """Builds a program to `target`.

    Returns:
        What it was built from.

    Raises:
        BuildError: There is no module for it, no Go toolchain, or the build failed.
    """
    package = program.go
    if package is None:
        raise BuildError(f"{program.name} is not built from source here")
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"cannot build {program.name}: no `go` on PATH", remedy="Install Go from https://go.dev/dl")
    link = ["-s", "-w"]
    for variable in package.variables:
        link += ["-X", variable.format(version=program.version)]
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", " ".join(link)]
    if package.tags:
        command.append("-tags=" + ",".join(package.tags))
    part = target.with_name(target.name + ".part")
    env = {**os.environ, "CGO_ENABLED": "0", "GOOS": system, "GOARCH": arch}
    try:
        with step(f"building {program.name} {program.version} from source", estimate_seconds=package.cold_seconds):
            run(
                [*command, "-o", part, package.package],
                cwd=TOOLS / package.module,
                env=env,
                timeout_seconds=BUILD_TIMEOUT_SECONDS,
            )
        part.rename(target)
    except CommandError as error:
        raise BuildError(f"building {program.name} failed: {error.message}") from error
    finally:
        part.unlink(missing_ok=True)
    return f"built from {package.package} in tools/{package.module}"
