"""Builds Ballast's images, or finds them built.

An image is built only if no build has the same inputs; otherwise finding it takes a second. Invariant: the reference
that `build` returns is there, and was built from exactly the files that the checkout had.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import image_engine
from tests.cluster.errors import ClusterError
from tests.cluster.image_buildah import BuildahEngine
from tests.cluster.image_docker import DockerEngine
from tests.cluster.image_engine import Engine, images_dir
from tests.cluster.image_inputs import DOCKERFILE, TARGETS, Target, digests, write_context
from tests.cluster.image_retention import Build, BuildRecord, superseded
from tests.cluster.paths import CHECKOUT
from tests.cluster.progress import say, step


@dataclass(frozen=True)
class Image:
    """An image that is there.

    Attributes:
        target: What it is.
        name: How pods ask for it.
        reference: Its name in the engine, which tells its inputs.
        engine: Who has it.
        built: Whether it had to be built just now.
    """

    target: str
    name: str
    reference: str
    engine: Engine
    built: bool


def build(targets: Sequence[str] | None = None, *, engine: str | None = None, checkout: Path = CHECKOUT) -> list[Image]:
    """Builds images, or finds them built.

    Args:
        targets: Names of targets in the Dockerfile; all when absent, none when empty.
        engine: `docker` or `buildah`; `$BALLAST_IMAGE_ENGINE` or whichever works when absent.
        checkout: The files to build from.

    Raises:
        ClusterError: No engine works, or a build failed.
    """
    wanted = [_target(name) for name in (TARGETS if targets is None else targets)]
    if not wanted:
        return []
    chosen = open_engine(engine)
    with _locked():
        return [
            _build(chosen, target, chosen.base(checkout / DOCKERFILE, compiler=target.compiler), checkout)
            for target in wanted
        ]


def open_engine(named: str | None = None) -> Engine:
    """The engine to use."""
    name = image_engine.choose(named or os.environ.get("BALLAST_IMAGE_ENGINE") or None)
    return DockerEngine() if name == "docker" else BuildahEngine()


def _target(name: str) -> Target:
    try:
        return TARGETS[name]
    except KeyError:
        raise ClusterError(f"there is no image {name!r}", remedy=f"Choose from {', '.join(TARGETS)}") from None


def _build(engine: Engine, target: Target, base: str, checkout: Path) -> Image:
    record = BuildRecord(images_dir() / "builds.json")
    # The copy is digested, not the checkout: an edit during the build must not end up under the wrong reference.
    contexts = images_dir() / "contexts"
    shutil.rmtree(contexts, ignore_errors=True)  # what a killed run left behind
    contexts.mkdir()
    with tempfile.TemporaryDirectory(dir=contexts) as folder:
        context = Path(folder)
        write_context(target, checkout, context)
        told = digests(target, base, context)
        reference = target.reference(told.content)
        missing = not engine.has(reference)
        if missing:
            cold = not any(
                (each.target, each.dependencies) == (target.name, told.dependencies) for each in record.builds()
            )
            log = images_dir() / "logs" / f"{target.name}.log"
            estimate = target.cold_seconds if cold else target.warm_seconds
            with step(f"building image {target.name}", estimate_seconds=estimate):
                engine.build(target, base=base, context=context, reference=reference, log=log, cold=cold)
    record.note(Build(engine.name, reference, target.name, told.dependencies, time.time()))
    if missing:
        _prune(engine, record)
    return Image(target.name, target.image, reference, engine, built=missing)


def _prune(engine: Engine, record: BuildRecord) -> None:
    gone = [each for each in superseded(record.builds()) if each.engine == engine.name]
    if gone:
        with step(f"removing {len(gone)} superseded images"):
            engine.remove([each.reference for each in gone])
            record.forget(gone)


@contextmanager
def _locked() -> Iterator[None]:
    images_dir().mkdir(parents=True, exist_ok=True)
    with (images_dir() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build of images to end ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
