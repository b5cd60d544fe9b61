"""Builds the simulated `libnvidia-ml.so.1`, once per change of its sources.

It aims at an old glibc, so that one build loads into any image. Invariant: a finished library is never changed and
never half there: the file appears under the digest of its sources by a rename, so two checkouts, or ten processes at
once, agree.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cluster.paths import cache_dir
from tests.cluster.progress import step

SONAME = "libnvidia-ml.so.1"
_FOLDER = Path(__file__).resolve().parent / "library"
_SOURCES = tuple(sorted(_FOLDER.glob("*.[ch]")))
_FLAGS = (
    "-shared", "-fPIC", "-std=gnu11", "-O2", "-s", "-pthread", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
    f"-Wl,-soname,{SONAME}",
)  # fmt: skip


class BuildFailed(Exception):
    """The library could not be compiled; the message holds what the compiler said."""


def target(machine: str | None = None) -> str:
    """Return what to compile for: this machine's processor and glibc 2.28.

    Raises:
        BuildFailed: There is no such target.
    """
    machine = machine or platform.machine()
    architecture = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(
        machine.lower()
    )
    if architecture is None:
        raise BuildFailed(f"the simulated NVML is built for x86_64 and aarch64 only, and this is {machine}")
    return f"{architecture}-linux-gnu.2.28"


def library(machine: str | None = None) -> Path:
    """Return the path of the library, in a folder that holds nothing else; it is compiled at the first call.

    Raises:
        BuildFailed: It does not compile.
    """
    digest = hashlib.sha256()
    for part in (target(machine), *_FLAGS, *(f"{source.name}\n{source.read_text()}" for source in _SOURCES)):
        digest.update(part.encode() + b"\0")
    folder = cache_dir() / "nvmlsim" / digest.hexdigest()[:16]
    built = folder / SONAME
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder.parent / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not built.exists():
                _compile(target(machine), built)
    return built


def _compile(goal: str, built: Path) -> None:
    caches = {f"ZIG_{kind}_CACHE_DIR": str(cache_dir() / "zig") for kind in ("GLOBAL", "LOCAL")}
    with (
        step("building the simulated NVML", estimate_seconds=5),
        tempfile.TemporaryDirectory(dir=built.parent.parent) as work,
    ):
        part = Path(work) / SONAME
        command = [sys.executable, "-m", "ziglang", "cc", "-target", goal, *_FLAGS, "-o", str(part)]
        command += [str(source) for source in _SOURCES if source.suffix == ".c"]
        done = subprocess.run(command, env={**os.environ, **caches}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildFailed(f"compiling the simulated NVML failed:\n{done.stderr.strip()}")
        part.chmod(0o755)
        part.rename(built)
