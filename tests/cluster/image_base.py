"""A base image from Debian packages, for machines that reach a package mirror but no image registry.

Invariant: only what apt is configured for on a Debian host is used; elsewhere Debian's public mirror.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.debian_packages import ensure_host_commands
from tests.cluster.image_engine import images_dir
from tests.cluster.progress import step

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
#: torch.compile makes C++ at run time, Triton C, and both include Python.h.
COMPILER = ("g++", "libpython3-dev")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_COLD_SECONDS = 60.0


def packages(*, compiler: bool = False) -> tuple[str, ...]:
    """What the base holds."""
    return (*PACKAGES, *COMPILER) if compiler else PACKAGES


def recipe(*, compiler: bool = False) -> str:
    """What identifies the base: a digest of how it is made."""
    return hashlib.sha256(repr((SUITE, packages(compiler=compiler), _LEFT_OUT)).encode()).hexdigest()[:12]


def archive(*, compiler: bool = False) -> Path:
    """Where the base's archive is kept."""
    return images_dir() / "base" / f"{SUITE}-{recipe(compiler=compiler)}.tar"


def make_archive(*, compiler: bool = False) -> Path:
    """Makes the base's archive unless it is there; returns where it is.

    Args:
        compiler: Whether a C++ compiler and Python's headers belong to it.
    """
    target = archive(compiler=compiler)
    if target.is_file():
        return target
    ensure_host_commands({"mmdebstrap": "mmdebstrap"})
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part.tar")
    with step("making a base image from Debian packages", estimate_seconds=_COLD_SECONDS):
        run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(packages(compiler=compiler))}",
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
                SUITE,
                part,
                *apt_sources(Path("/etc/apt")),
            ],
            timeout_seconds=1200,
        )
    part.replace(target)
    current = {archive(compiler=False), archive(compiler=True)}
    for other in set(target.parent.glob("*.tar")) - current:
        other.unlink(missing_ok=True)
    return target


def apt_sources(folder: Path) -> list[Path]:
    """The files of this host's apt configuration that serve the suite; empty means the public mirror."""
    candidates = [folder / "sources.list.d" / "debian.sources", folder / "sources.list"]
    return [path for path in candidates if path.is_file() and _serves_suite(path.read_text())][:1]


def _serves_suite(text: str) -> bool:
    lines = [line.split("#", 1)[0].split() for line in text.splitlines()]
    return any(SUITE in words for words in lines if words)
