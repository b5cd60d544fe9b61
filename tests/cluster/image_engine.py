"""What the images need of an engine that builds them, and the choice between docker and buildah.

Invariant: an engine is chosen because it works (docker's client answers without one), never because it is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.cluster.commands import succeeds
from tests.cluster.errors import BuildError, ClusterError
from tests.cluster.image_inputs import Target
from tests.cluster.paths import cache_dir

ENGINES = ("docker", "buildah")
_DEFAULT_BASE = re.compile(r"^ARG BASE_IMAGE=(\S+)$", re.MULTILINE)
_LAST_LINES = 25


@dataclass(frozen=True)
class Layer:
    """One layer of an image as it lies on disk.

    Attributes:
        diff_id: Digest of its uncompressed archive.
        folder: Its files in overlayfs's own form (whiteouts are 0:0 devices), never written again.
    """

    diff_id: str
    folder: Path


@dataclass(frozen=True)
class BuiltImage:
    """An image out of an engine's storage.

    Attributes:
        manifest: The manifest's exact bytes.
        config: The configuration's exact bytes.
        layers: Lowest first.
    """

    manifest: bytes
    config: bytes
    layers: tuple[Layer, ...]


class Engine(Protocol):
    """Builds images, keeps them under their references, and shows where their layers lie."""

    name: str

    def base(self, dockerfile: Path, *, compiler: bool = False) -> str:
        """The reference of a base image that is there, got or made if necessary.

        Args:
            dockerfile: Names the base.
            compiler: Whether a C++ compiler and Python's headers belong to it.
        """

    def has(self, reference: str) -> bool:
        """Whether a build is there."""

    def build(self, target: Target, *, base: str, context: Path, reference: str, log: Path, cold: bool = False) -> None:
        """Builds a target.

        Args:
            target: What to build.
            base: Reference of the base image.
            context: The folder with the Dockerfile and what it reads.
            reference: The build's name.
            log: Where its output goes.
            cold: Whether its dependencies have probably to be installed.
        """

    def open(self, reference: str) -> AbstractContextManager[BuiltImage]:
        """Shows an image; its layers are sure to stay until the context ends."""

    def remove(self, references: Collection[str]) -> None:
        """Forgets builds, and whatever only they needed."""


def choose(
    named: str | None,
    *,
    docker_works: Callable[[], bool] | None = None,
    is_root: Callable[[], bool] = lambda: os.geteuid() == 0,
) -> str:
    """Names the engine to build with: the one asked for, else a docker that answers, else buildah.

    Args:
        named: What the user asked for.
        docker_works: Whether docker has an engine to talk to.
        is_root: Whether this process may mount, which buildah needs here.

    Raises:
        ClusterError: Neither will do.
    """
    if named is not None:
        if named not in ENGINES:
            raise ClusterError(f"there is no engine {named!r}", remedy=f"Choose one of {', '.join(ENGINES)}")
        return named
    if (docker_works or _docker_works)():
        return "docker"
    if is_root():
        return "buildah"
    raise ClusterError(
        "images cannot be built: docker has no running engine, and buildah needs root here",
        remedy="Start docker, or run as root",
    )


def default_base(dockerfile: Path, *, compiler: bool = False) -> str:
    """The base that the Dockerfile names, or the same with a compiler: of Python's images, the one that is not slim."""
    found = _DEFAULT_BASE.search(dockerfile.read_text())
    if found is None:
        raise ClusterError(f"{dockerfile} has no line `ARG BASE_IMAGE=...`")
    return found.group(1).replace("-slim", "") if compiler else found.group(1)


def named_base() -> str | None:
    """The base that the user names, `$BALLAST_BASE_IMAGE`."""
    return os.environ.get("BALLAST_BASE_IMAGE") or None


def ca_bundle(environment: Mapping[str, str] | None = None) -> Path | None:
    """The certificates that somebody told this host's installers to trust; downloads in a build need them too."""
    environment = os.environ if environment is None else environment
    for variable in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        named = environment.get(variable)
        if named and Path(named).is_file():
            return Path(named)
    return None


def images_dir() -> Path:
    """Where everything about images is kept, for all checkouts."""
    return cache_dir() / "images"


def run_logged(arguments: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> None:
    """Runs a build with its output in a file.

    Raises:
        BuildError: It failed; the message has the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        ended = subprocess.run(
            [str(word) for word in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            check=False,
        )
    if ended.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        raise BuildError(
            f"the image build ended with status {ended.returncode}:\n{end}\n", remedy=f"All its output is in {log}"
        )


def _docker_works() -> bool:
    # `docker info` ends well without an engine in some versions; asking for the server's version never does.
    if shutil.which("docker") is None:
        return False
    return succeeds(["docker", "info", "--format", "{{.ServerVersion}}"], timeout_seconds=20) and succeeds(
        ["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=20
    )
