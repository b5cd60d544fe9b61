"""Building with docker.

Docker keeps its layers where no other program should look, so a build is saved and imported once into a containerd root
in the cache; from there its layers become a node's by hard links. Invariant: that root is only ever opened by a
throw-away containerd, by one process at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import image_base
from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError, CommandError
from tests.cluster.image_containerd import NAMESPACE, Containerd, throwaway
from tests.cluster.image_engine import (
    BuiltImage,
    Layer,
    ca_bundle,
    default_base,
    images_dir,
    named_base,
    run_logged,
)
from tests.cluster.image_inputs import Target
from tests.cluster.image_programs import containerd_programs
from tests.cluster.progress import say, step


class DockerEngine:
    """The docker engine that the client is configured for."""

    name = "docker"

    def __init__(self) -> None:
        if not succeeds(["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=20):
            raise ClusterError("docker has no engine to build with", remedy="Start it, or build with buildah")
        self._seed = images_dir() / "docker" / "containerd"
        self._seed.parent.mkdir(parents=True, exist_ok=True)

    def base(self, dockerfile: Path, *, compiler: bool = False) -> str:
        """The named base, else the Dockerfile's if it can be pulled, else one made from Debian packages."""
        named = named_base()
        made = f"localhost/ballast-base:{image_base.recipe(compiler=compiler)}"
        wanted = named or default_base(dockerfile, compiler=compiler)
        if self.has(wanted):
            return wanted
        if named is None and self.has(made):
            return made
        try:
            with step(f"pulling {wanted}"):
                run(["docker", "pull", "--quiet", wanted], timeout_seconds=600)
        except CommandError:
            if named is not None:
                raise
        else:
            return wanted
        say(f"{wanted} cannot be pulled here: a base from Debian packages takes its place")
        run(["docker", "import", image_base.make_archive(compiler=compiler), made], timeout_seconds=300)
        return made

    def has(self, reference: str) -> bool:
        """Whether docker has an image."""
        return succeeds(["docker", "image", "inspect", reference])

    def build(self, target: Target, *, base: str, context: Path, reference: str, log: Path, cold: bool = False) -> None:
        """Builds a target with BuildKit."""
        bundle = ca_bundle()
        secret = [f"--secret=id=ca-bundle,src={bundle}"] if bundle else []
        run_logged(
            [
                "docker",
                "build",
                "--progress=plain",
                # An attestation would make an index of the image, with a second manifest that is none.
                "--provenance=false",
                f"--build-arg=BASE_IMAGE={base}",
                f"--target={target.name}",
                f"--tag={reference}",
                f"--tag={target.image}",
                *secret,
                context,
            ],
            log=log,
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
        )

    @contextmanager
    def open(self, reference: str) -> Iterator[BuiltImage]:
        """Shows an image in the seed, which gets it from docker first if it must."""
        with self._containerd() as seed:
            if reference not in seed.images():
                with step(f"taking {reference} out of docker", estimate_seconds=60):
                    _save_into(seed, reference)
            yield read(seed, reference)

    def remove(self, references: Collection[str]) -> None:
        """Removes builds from docker and from the seed."""
        for reference in references:
            succeeds(["docker", "image", "rm", "--force", reference])
        if not self._seed.exists():
            return
        with self._containerd() as seed:
            gone = sorted(set(references) & set(seed.images()))
            if gone:
                run([*seed.command, "--namespace", NAMESPACE, "images", "rm", "--sync", *gone])

    @contextmanager
    def _containerd(self) -> Iterator[Containerd]:
        containerd, ctr = containerd_programs()
        with (self._seed.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with throwaway(self._seed, containerd=containerd, ctr=ctr) as seed:
                yield seed


def read(seed: Containerd, reference: str) -> BuiltImage:
    """Reads an image out of a containerd that has it unpacked."""
    ctr = [*seed.command, "--namespace", NAMESPACE]
    lines = run([*ctr, "images", "list", f"name=={reference}"]).splitlines()[1:]
    digest = lines[0].split()[2]
    manifest = run([*ctr, "content", "get", digest])
    config = run([*ctr, "content", "get", json.loads(manifest)["config"]["digest"]])
    diff_ids = json.loads(config)["rootfs"]["diff_ids"]
    return BuiltImage(
        manifest.encode(),
        config.encode(),
        tuple(Layer(*pair) for pair in zip(diff_ids, seed.layer_folders(diff_ids), strict=True)),
    )


def _save_into(seed: Containerd, reference: str) -> None:
    # Through a pipe: the archive has the size of the image.
    with subprocess.Popen(["docker", "save", reference], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        seed.import_stream(saving.stdout)
    if saving.returncode != 0:
        raise CommandError(f"`docker save {reference}` ended with status {saving.returncode}")
