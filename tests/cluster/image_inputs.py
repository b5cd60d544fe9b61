"""What each image is made of: its targets in the Dockerfile, the files that go in, and a digest of them.

An image is known by the digest of its inputs: the same inputs give the same reference, so nothing is built twice and
two checkouts with the same code share an image. Invariant: a build sees exactly the files that were digested, because
it runs on a copy of them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.image_recipe import recipe

DOCKERFILE = "Dockerfile"
#: The code that lies over the dependencies, the same in every image.
CODE = ("pyproject.toml", "LICENSE", "operator/ballast", "workloads/frugal")
#: Installs the dependencies and builds the wheel; its versions do not show in what it installs.
BUILD_LOCK = "lock/build.txt"

_DIGEST_CHARACTERS = 16


@dataclass(frozen=True)
class Target:
    """One image.

    Attributes:
        name: Its target in the Dockerfile.
        lock: Its dependencies.
        cold_seconds: A build without any cache, downloads included, on two cores.
        warm_seconds: A build in which only code changed.
        cold_gigabytes: Free space that a cold build takes while it lasts: downloads, the installed files, and the
            layer in the making twice. What stays is a quarter of it.
        compiler: Whether its base has a C++ compiler and Python's headers.
    """

    name: str
    lock: str
    cold_seconds: float
    warm_seconds: float
    cold_gigabytes: float = 1.0
    compiler: bool = False

    @property
    def dependencies(self) -> str:
        """The stage of the Dockerfile with the large layers, over which only code is laid."""
        return f"{self.name}-dependencies"

    @property
    def image(self) -> str:
        """The name by which pods ask for it."""
        return f"localhost/ballast-{self.name}:dev"

    def reference(self, digest: str) -> str:
        """The name of the build with these inputs."""
        return f"localhost/ballast-{self.name}:{digest}"


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("operator", "lock/operator.txt", cold_seconds=40, warm_seconds=8),
        Target("agent", "lock/agent.txt", cold_seconds=40, warm_seconds=8),
        Target("exporter", "lock/exporter.txt", cold_seconds=35, warm_seconds=8),
        # Downloading 3.3 GB, installing 6.1 GB, storing them as a layer.
        # `frugal train --with compile` compiles in the pod.
        Target("trainer", "lock/trainer.txt", cold_seconds=300, warm_seconds=8, cold_gigabytes=28, compiler=True),
    )
}


@dataclass(frozen=True)
class Digests:
    """What identifies a build.

    Attributes:
        dependencies: Of the base, the recipe of the target's dependencies and the lock file: builds that share it
            share their large layers, whatever else changes in the Dockerfile.
        content: Of everything.
    """

    dependencies: str
    content: str


def digests(target: Target, base: str, checkout: Path) -> Digests:
    """Digests a target's inputs.

    Args:
        target: The image.
        base: What identifies its base image.
        checkout: Where the files are.
    """
    dockerfile = checkout / DOCKERFILE
    dependencies = _digest([base, recipe(dockerfile, target.dependencies)], checkout, [target.lock])
    return Digests(dependencies, _digest([target.name, dependencies, recipe(dockerfile, target.name)], checkout, CODE))


def write_context(target: Target, checkout: Path, folder: Path) -> None:
    """Copies what a target's build reads into an empty folder."""
    for name in (DOCKERFILE, target.lock, BUILD_LOCK, *CODE):
        for path in _files(checkout, name):
            copy = folder / path.relative_to(checkout)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def _digest(words: Iterable[str], checkout: Path, names: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for word in words:
        digest.update(f"word {word}\0".encode())
    for name in names:
        for path in _files(checkout, name):
            digest.update(f"file {path.relative_to(checkout)} {path.stat().st_mode & 0o111:o}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def _files(checkout: Path, name: str) -> Iterator[Path]:
    """The files of one input in a fixed order, without what an interpreter leaves behind."""
    path = checkout / name
    if path.is_file():
        yield path
        return
    found = [
        each
        for each in sorted(path.rglob("*"))
        if each.is_file() and "__pycache__" not in each.parts and each.suffix != ".pyc"
    ]
    if not found:
        raise ClusterError(f"{name} is not in {checkout}", remedy="The images are built from a complete checkout")
    yield from found
