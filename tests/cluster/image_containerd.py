"""Puts images into a containerd by hard links, without packing, copying or unpacking their layers.

For every layer that containerd lacks, a snapshot is prepared, the layer's files are linked into it, and it is committed
under the layer's chain ID; then the manifest and the configuration alone are imported, and containerd finds every layer
unpacked. The layers' archives are never in its content store, as after its own `discard_unpacked_layers`.

Links are safe because the lower layers of an overlay are never written in place, neither by containers nor by
containerd; removing either side leaves the other whole. Invariant: a snapshot gets its chain ID only once all its files
are there.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError, CommandError, NotReadyError
from tests.cluster.image_buildah import PRIVATE_MOUNTS, chain_ids
from tests.cluster.image_engine import BuiltImage

NAMESPACE = "k8s.io"
_SNAPSHOTTER = "io.containerd.snapshotter.v1.overlayfs"
_UNFINISHED = "ballast-unfinished-"
_START_SECONDS = 20.0

_CONFIG = """\
version = 3
root = "{root}"
state = "{state}/state"
disabled_plugins = [
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.grpc.v1.cri",
  "io.containerd.nri.v1.nri",
  "io.containerd.podsandbox.controller.v1.podsandbox",
]
[grpc]
  address = "{state}/socket"
[ttrpc]
  address = "{state}/socket.ttrpc"
"""


@dataclass(frozen=True)
class Containerd:
    """A running containerd.

    Attributes:
        command: `ctr` with all that it needs to reach it, in whatever namespaces it lives.
        root: Its root folder as this process sees it; on one file system with the layers.
    """

    command: tuple[str, ...]
    root: Path

    def insert(self, image: BuiltImage, name: str) -> int:
        """Makes an image available under a name; returns how many layers were new."""
        present = self._snapshots()
        parent = ""
        added: list[str] = []
        chain = chain_ids([layer.diff_id for layer in image.layers])
        for layer, chain_id in zip(image.layers, chain, strict=True):
            if chain_id not in present:
                self._add_snapshot(chain_id, parent, layer.folder, leftover=_UNFINISHED + chain_id in present)
                added.append(chain_id)
            parent = chain_id
        with tempfile.TemporaryFile() as stream:
            stream.write(metadata_archive(image, name))
            stream.seek(0)
            self.import_stream(stream)
        for chain_id in added:
            # From now on the image holds its snapshots; without this they would outlive it.
            self._ctr("snapshots", "label", chain_id, "containerd.io/gc.root=")
        return len(added)

    def import_archive(self, archive: Path) -> None:
        """Imports an archive of images in the usual way."""
        with archive.open("rb") as stream:
            self.import_stream(stream)

    def import_stream(self, stream: IO[bytes]) -> None:
        """Imports an archive from a stream: containerd may not see this process's files."""
        ended = subprocess.run(
            [*self._namespaced, "images", "import", "--local", "--discard-unpacked-layers", "-"],
            stdin=stream,
            capture_output=True,
            check=False,
        )
        if ended.returncode != 0:
            raise CommandError(f"`ctr images import` failed: {ended.stderr.decode(errors='replace').strip()}")

    def layer_folders(self, diff_ids: Sequence[str]) -> list[Path]:
        """Where the layers of an unpacked image lie, lowest first."""
        key = f"ballast-look-{uuid.uuid4().hex}"
        mounts = json.loads(self._ctr("snapshots", "view", "--mounts", key, chain_ids(diff_ids)[-1]))
        try:
            self._ctr("snapshots", "rm", key)
        except CommandError:
            # Nothing holds a view: garbage collection, which starts when it likes, may have been quicker.
            if key in self._snapshots():
                raise
        return [self.root / path for path in lower_folders(mounts)]

    def images(self) -> list[str]:
        """The names of its images."""
        return self._ctr("images", "list", "--quiet").split()

    def _snapshots(self) -> set[str]:
        lines = self._ctr("snapshots", "list").splitlines()[1:]
        return {line.split()[0] for line in lines if line.strip()}

    def _add_snapshot(self, chain_id: str, parent: str, folder: Path, *, leftover: bool) -> None:
        key = _UNFINISHED + chain_id
        if leftover:
            self._ctr("snapshots", "rm", key)
        mounts = json.loads(self._ctr("snapshots", "prepare", "--mounts", key, *([parent] if parent else [])))
        target = self.root / upper_folder(mounts)
        # "/." so that the folder itself, the layer's root, gets its owner, mode and attributes too.
        run(["cp", "--archive", "--link", f"{folder}/.", target], timeout_seconds=300)
        self._ctr("snapshots", "commit", chain_id, key)

    def _ctr(self, *arguments: str) -> str:
        return run([*self._namespaced, *arguments], timeout_seconds=120)

    @property
    def _namespaced(self) -> list[str]:
        return [*self.command, "--namespace", NAMESPACE]


@contextmanager
def throwaway(root: Path, *, containerd: Path, ctr: Path) -> Iterator[Containerd]:
    """Runs a containerd on a root folder that no other one uses, for as long as the context lasts.

    It runs no containers, has its sockets in a temporary folder, and mounts in a mount namespace of its own.

    Raises:
        NotReadyError: It did not start; the usual reason is that another one runs on the same root.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ballast-containerd-") as name:
        state = Path(name)
        config = state / "config.toml"
        config.write_text(_CONFIG.format(root=root, state=state))
        log = state / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*PRIVATE_MOUNTS, str(containerd), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            command = (str(ctr), "--address", f"{state}/socket")
            _wait(process, command, root, log)
            yield Containerd(command, root)
        finally:
            process.terminate()
            process.wait()


def metadata_archive(image: BuiltImage, name: str) -> bytes:
    """An OCI archive of an image without its layers."""
    manifest_digest = hashlib.sha256(image.manifest).hexdigest()
    config_digest = hashlib.sha256(image.config).hexdigest()
    manifest = json.loads(image.manifest)
    if manifest["config"]["digest"] != f"sha256:{config_digest}":
        raise ClusterError(f"the manifest of {name} names another configuration than it has")
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": manifest["mediaType"],
                "digest": f"sha256:{manifest_digest}",
                "size": len(image.manifest),
                "annotations": {"io.containerd.image.name": name},
            }
        ],
    }
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        f"blobs/sha256/{manifest_digest}": image.manifest,
        f"blobs/sha256/{config_digest}": image.config,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def upper_folder(mounts: Sequence[dict[str, Any]]) -> Path:
    """Where a prepared snapshot is written, relative to containerd's root."""
    mount = mounts[0]
    options: list[str] = mount["Options"]
    path = next((option.removeprefix("upperdir=") for option in options if option.startswith("upperdir=")), None)
    return _below_root(path if path is not None else mount["Source"])


def lower_folders(mounts: Sequence[dict[str, Any]]) -> list[Path]:
    """The layers below a read-only snapshot, lowest first, relative to containerd's root."""
    mount = mounts[0]
    options: list[str] = mount["Options"]
    for option in options:
        if option.startswith("lowerdir="):
            return [_below_root(path) for path in reversed(option.removeprefix("lowerdir=").split(":"))]
    return [_below_root(mount["Source"])]


def _below_root(path: str) -> Path:
    # Containerd may see its root elsewhere than this process does; below the snapshotter's folder the two agree.
    _, found, rest = path.partition(f"/{_SNAPSHOTTER}/")
    if not found:
        raise ClusterError(f"containerd's snapshot lies at {path!r}, not below {_SNAPSHOTTER}")
    return Path(_SNAPSHOTTER) / rest


def _wait(process: subprocess.Popen[bytes], command: Sequence[str], root: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not succeeds([*command, "version"], timeout_seconds=5):
        if process.poll() is not None or time.monotonic() > deadline:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise NotReadyError(
                f"a containerd on {root} did not start:\n{last}\n", remedy="Is another containerd running there?"
            )
        time.sleep(0.05)
