"""Finds each program: a path the user names, `PATH`, the cache, the official release, a build, a Debian package.

Invariants: the first source that works wins, and the order is the same for every program; a program on `PATH` counts
only if it says that it is a version that will do; what the cache holds was complete before it got its name, so a killed
run leaves nothing half-written behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import debian_packages, downloads, go_build
from tests.cluster.catalogue import Program
from tests.cluster.commands import run
from tests.cluster.errors import BinaryUnavailableError, ClusterError, CommandError
from tests.cluster.paths import cache_dir
from tests.cluster.platforms import architecture, operating_system
from tests.cluster.progress import say, step

_PT_INTERP = 3

#: Where distributions put programs that are not on `PATH`.
_EXTRA_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/podman", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Binary:
    """A program that was found.

    Attributes:
        name: The program's name.
        path: Where it is.
        source: Where it came from, in words.
    """

    name: str
    path: Path
    source: str


def resolve_all(programs: Iterable[Program]) -> dict[str, Path]:
    """Finds several programs; returns their paths by name."""
    programs = list(programs)
    absent = [one for one in programs if not os.environ.get(one.variable) and not cached_path(one).is_file()]
    build_minutes = sum(one.go.cold_seconds for one in absent if one.go is not None) / 60
    if build_minutes > 1:
        say(
            f"the cache lacks {', '.join(one.name for one in absent)}; what cannot be downloaded is built from source, "
            f"once, in at most about {build_minutes:.0f} min"
        )
    return {program.name: resolve(program).path for program in programs}


def resolve(program: Program) -> Binary:
    """Finds one program, getting it first where necessary.

    Raises:
        BinaryUnavailableError: No source has it; the message tells what each one said.
    """
    named = os.environ.get(program.variable)
    if named:
        return _named(program, Path(named).expanduser())
    found = on_path(program)
    if found is not None:
        return found
    target = cached_path(program)
    if not target.is_file():
        with _locked(target.with_name(target.name + ".lock")):
            if not target.is_file():
                _get(program, target)
    return Binary(program.name, target, "cache")


def cached_path(program: Program) -> Path:
    """Where the cache keeps a program, whether or not it does yet."""
    folder = f"{program.version}-{operating_system()}-{architecture()}"
    return cache_dir() / "bin" / program.name / folder / program.name


def on_path(program: Program) -> Binary | None:
    """A program on `PATH` (or in the system's own folders) that says it is a version that will do; else None."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *_EXTRA_FOLDERS])
    found = shutil.which(program.name, path=search)
    if found is None:
        return None
    if program.static and not is_static(Path(found)):
        say(f"not using {found}: it needs shared libraries and would not run alone in an image")
        return None
    if program.accepts == r".*":
        return Binary(program.name, Path(found), "PATH")
    try:
        said = run([found, *program.version_command], timeout_seconds=10)
    except CommandError as error:
        say(f"not using {found}: {error.message.splitlines()[0][:160]}")
        return None
    version = program.parse_version(said)
    if version is None or not re.fullmatch(program.accepts, version):
        say(f"not using {found}: it is version {version or 'unknown'}, wanted {program.version} or compatible")
        return None
    return Binary(program.name, Path(found), f"PATH (version {version})")


def is_static(path: Path) -> bool:
    """Tells whether a program is an ELF executable without a loader (no `PT_INTERP` program header)."""
    with path.open("rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":  # 64 bits; nothing else is supported here
            return False
        offset = struct.unpack_from("<Q", header, 32)[0]
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        table = file.read(size * count)
    return all(struct.unpack_from("<I", table, number * size)[0] != _PT_INTERP for number in range(count))


def _named(program: Program, path: Path) -> Binary:
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise BinaryUnavailableError(
            f"{program.variable}={path} is not an executable file",
            remedy=f"Correct the path, or unset {program.variable} to have {program.name} fetched",
        )
    return Binary(program.name, path.resolve(), program.variable)


def _get(program: Program, target: Path) -> None:
    system, arch = operating_system(), architecture()

    def release(path: Path) -> str:
        return downloads.download_release(program, system, arch, path)

    def build(path: Path) -> str:
        return go_build.build(program, system, arch, path)

    def package(path: Path) -> str:
        return debian_packages.unpack_program(program, path)

    sources: list[tuple[str, Callable[[Path], str]]] = []
    if program.release is not None:
        sources.append(("official release", release))
    if program.go is not None:
        sources.append(("build", build))
    if program.debian is not None:
        sources.append(("Debian package", package))
    target.parent.mkdir(parents=True, exist_ok=True)
    refusals = []
    for name, get in sources:
        try:
            origin = get(target)
        except ClusterError as error:
            refusals.append(f"{name}: {error}")
            continue
        target.with_name("origin").write_text(origin + "\n")
        return
    told = "; ".join(refusals)
    raise BinaryUnavailableError(
        f"{program.name} {program.version} cannot be had ({told})",
        remedy=f"Name one with {program.variable}=/path/to/{program.name}",
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a file lock: two checkouts that share the cache never build the same program at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"waiting for another run that gets {path.stem}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
