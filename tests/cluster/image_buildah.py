"""Building with buildah, in a storage of the project's own and a mount namespace of each command's own.

Nothing is written to the host's container storage, and no mount outlives a command, even one that was killed. The
layers of an image are read where they lie in that storage (overlay driver): they become a node's by hard links, because
packing, copying and unpacking 6.1 GB takes minutes.

Invariant: one command at a time writes the storage, under a lock; layers stay while somebody holds that lock shared.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster import image_base
from tests.cluster.commands import run, succeeds
from tests.cluster.debian_packages import ensure_host_commands
from tests.cluster.errors import CommandError
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
from tests.cluster.progress import say, step

#: Ends a command when its parent dies, and takes its mounts along.
PRIVATE_MOUNTS = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private")
#: The Dockerfile's cache mount, as buildah names its folder.
_DOWNLOADS = Path("buildah-cache") / "ballast-uv"
_PULL_SECONDS = 180.0


class BuildahEngine:
    """The project's own buildah storage."""

    name = "buildah"

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or images_dir() / "buildah"
        self._storage = self._folder / "storage"
        self._temporary = self._folder / "tmp"
        ensure_host_commands({"buildah": "buildah", "unshare": "util-linux", "setpriv": "util-linux"})
        self._temporary.mkdir(parents=True, exist_ok=True)

    def base(self, dockerfile: Path, *, compiler: bool = False) -> str:
        """The named base, else the Dockerfile's if it can be pulled, else one made from Debian packages."""
        named = named_base()
        if named is not None:
            if not self.has(named):
                self._pull(named)
            return named
        made = f"localhost/ballast-base:{image_base.recipe(compiler=compiler)}"
        wanted = default_base(dockerfile, compiler=compiler)
        for reference in (wanted, made):
            if self.has(reference):
                return reference
        try:
            self._pull(wanted)
        except CommandError:
            say(f"{wanted} cannot be pulled here: a base from Debian packages takes its place")
        else:
            return wanted
        self._import_base(made, image_base.make_archive(compiler=compiler))
        return made

    def has(self, reference: str) -> bool:
        """Whether an image is in the storage."""
        if not (self._storage / "overlay-images" / "images.json").is_file():
            return False
        with (
            self._locked(fcntl.LOCK_SH),
            self._command("inspect", "--type", "image", "--format", "{{.FromImageID}}", reference) as command,
        ):
            return succeeds(command)

    def build(self, target: Target, *, base: str, context: Path, reference: str, log: Path, cold: bool = False) -> None:
        """Builds a target; what a killed build left behind goes first."""
        with self._locked(fcntl.LOCK_EX):
            self._clean_up()
            if cold:
                self._warn_if_full(target)
                self._lend_downloads()
            bundle = ca_bundle()
            options = [f"--secret=id=ca-bundle,src={bundle}"] if bundle else []
            with self._command(
                "build",
                "--layers",
                "--isolation=chroot",
                "--pull-never",
                f"--build-arg=BASE_IMAGE={base}",
                f"--target={target.name}",
                f"--tag={reference}",
                f"--tag={target.image}",
                *options,
                context,
            ) as command:
                run_logged(command, log=log, env=self._environment())
            # The layers are the cache from here on; the downloads would only take their size again.
            shutil.rmtree(self._temporary / _DOWNLOADS, ignore_errors=True)

    @contextmanager
    def open(self, reference: str) -> Iterator[BuiltImage]:
        """Shows an image where it lies."""
        with self._locked(fcntl.LOCK_SH):
            with self._command("inspect", "--type", "image", reference) as command:
                told = json.loads(run(command))
            config = told["Config"].encode()
            folders = layer_folders(self._storage)
            diff_ids = json.loads(config)["rootfs"]["diff_ids"]
            layers = tuple(
                Layer(diff_id, folders[chain_id])
                for diff_id, chain_id in zip(diff_ids, chain_ids(diff_ids), strict=True)
            )
            yield BuiltImage(told["Manifest"].encode(), config, layers)

    def save(self, reference: str, archive: Path) -> None:
        """Writes an image into an archive that `docker load` and `ctr images import` read."""
        with (
            self._locked(fcntl.LOCK_SH),
            self._command("push", "--quiet", reference, f"docker-archive:{archive}:{reference}") as command,
        ):
            run(command, env=self._environment(), timeout_seconds=600)

    def remove(self, references: Collection[str]) -> None:
        """Removes builds and every layer that no other image has."""
        with self._locked(fcntl.LOCK_EX):
            with self._command("images", "--quiet", "--no-trunc", "--filter=dangling=true") as command:
                # Newest first. The newest holds the installers' stage, from which the next build starts.
                stages = run(command).split()[1:]
            for name in (*references, *stages):
                with self._command("rmi", "--force", name) as command:
                    succeeds(command)

    def _pull(self, reference: str) -> None:
        with (
            self._locked(fcntl.LOCK_EX),
            step(f"pulling {reference}"),
            self._command("pull", "--quiet", reference) as command,
        ):
            run(command, env=self._environment(), timeout_seconds=_PULL_SECONDS)

    def _import_base(self, reference: str, archive: Path) -> None:
        with self._locked(fcntl.LOCK_EX), step("storing the base image", estimate_seconds=5):
            self._clean_up()
            with self._command("from", "scratch") as command:
                container = run(command, env=self._environment()).strip()
            with self._command("add", "--quiet", container, archive, "/") as command:
                run(command, env=self._environment(), timeout_seconds=300)
            with self._command("commit", "--quiet", "--rm", container, reference) as command:
                run(command, env=self._environment(), timeout_seconds=300)

    def _clean_up(self) -> None:
        for path in self._temporary.iterdir():
            if path.name != _DOWNLOADS.parts[0]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        containers = self._storage / "overlay-containers" / "containers.json"
        if containers.is_file() and json.loads(containers.read_text() or "[]"):
            with self._command("rm", "--all") as command:
                run(command)

    def _warn_if_full(self, target: Target) -> None:
        free = shutil.disk_usage(self._folder).free / 1e9
        if free < target.cold_gigabytes:
            say(
                f"image {target.name} takes up to {target.cold_gigabytes:.0f} GB while it is built; {free:.0f} GB are"
                f" free at {self._folder} ($BALLAST_CACHE names another place)"
            )

    def _lend_downloads(self) -> None:
        """Lets a build see what uv has downloaded for the development environment: hard links, no second copy."""
        target = self._temporary / _DOWNLOADS
        source = Path(os.environ.get("UV_CACHE_DIR") or _xdg_cache() / "uv")
        if target.exists() or not source.is_dir() or source.stat().st_dev != self._folder.stat().st_dev:
            return
        part = target.with_name("lent.part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        # A file that uv replaces meanwhile is missed, and downloaded again.
        succeeds(["cp", "--archive", "--link", source, part], timeout_seconds=120)
        if part.is_dir():
            part.replace(target)

    @contextmanager
    def _command(self, *arguments: str | Path) -> Iterator[list[str | Path]]:
        """A buildah command with volatile state of its own: what a killed command counted as mounted counts no more."""
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._temporary) as volatile:
            yield [
                *PRIVATE_MOUNTS,
                "buildah",
                f"--root={self._storage}",
                f"--runroot={volatile}",
                "--storage-driver=overlay",
                *arguments,
            ]

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "TMPDIR": str(self._temporary), "BUILDAH_ISOLATION": "chroot"}

    @contextmanager
    def _locked(self, operation: int) -> Iterator[None]:
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another build of images to end ...")
                fcntl.flock(file, operation)
            yield


def chain_ids(diff_ids: Collection[str]) -> list[str]:
    """The identity of each layer together with all below it (OCI image specification, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        if chain:
            chain.append("sha256:" + hashlib.sha256(f"{chain[-1]} {diff_id}".encode()).hexdigest())
        else:
            chain.append(diff_id)
    return chain


def layer_folders(storage: Path) -> dict[str, Path]:
    """Where each layer's files lie in a storage of the overlay driver, by chain ID."""
    records: dict[str, dict[str, Any]] = {
        record["id"]: record for record in json.loads((storage / "overlay-layers" / "layers.json").read_text())
    }
    folders: dict[str, Path] = {}
    for identity in records:
        diff_ids = _diff_ids(identity, records)
        if diff_ids is not None:
            folders[chain_ids(diff_ids)[-1]] = storage / "overlay" / identity / "diff"
    return folders


def _diff_ids(identity: str, records: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    """A layer's diff IDs, lowest first; None for a container's writable layer, which has none yet."""
    diff_ids: list[str] = []
    while identity:
        record = records[identity]
        if "diff-digest" not in record:
            return None
        diff_ids.append(record["diff-digest"])
        identity = record.get("parent", "")
    return diff_ids[::-1]


def _xdg_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
