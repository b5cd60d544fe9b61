"""The two images that a node needs before it can run anybody's pod: the pod's first process, and DNS.

Each is one static program in an otherwise empty image, written as a Docker archive by this module, so that no engine
and no registry is needed. Invariant: the same program always makes the same archive, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.binaries import resolve
from tests.cluster.catalogue import COREDNS_VERSION, PROGRAMS
from tests.cluster.paths import cache_dir
from tests.cluster.platforms import architecture

PAUSE_IMAGE = f"localhost/ballast-pause:{PROGRAMS['catatonit'].version}"
COREDNS_IMAGE = f"localhost/ballast-coredns:{COREDNS_VERSION}"


@dataclass(frozen=True)
class _SystemImage:
    reference: str
    program: str
    entrypoint: tuple[str, ...]


_IMAGES = (
    _SystemImage(PAUSE_IMAGE, "catatonit", ("/catatonit", "-P")),
    _SystemImage(COREDNS_IMAGE, "coredns", ("/coredns",)),
)


def system_image_archives() -> list[Path]:
    """The archives of the system images, written first where the cache does not have them."""
    return [_archive(image) for image in _IMAGES]


def _archive(image: _SystemImage) -> Path:
    program = resolve(PROGRAMS[image.program]).path.read_bytes()
    digest = hashlib.sha256(program + repr(image).encode()).hexdigest()[:12]
    target = cache_dir() / "images" / "system" / f"{image.program}-{digest}.tar"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(docker_archive(image.reference, image.entrypoint, {image.program: program}))
        part.rename(target)
    return target


def docker_archive(reference: str, entrypoint: tuple[str, ...], programs: Mapping[str, bytes]) -> bytes:
    """An image of a few programs, as `docker load` and `ctr images import` read it.

    Args:
        reference: The image's name and tag.
        entrypoint: What a container of it runs.
        programs: Content of each file, by its path without a leading slash; all are executable.
    """
    layer = _tar({path: (content, 0o755) for path, content in programs.items()})
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "created": "1970-01-01T00:00:00Z",
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": f"files: {' '.join(programs)}"}],
        },
        sort_keys=True,
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": [f"{layer_digest}.tar"]}]
    return _tar(
        {
            config_name: (config, 0o644),
            f"{layer_digest}.tar": (layer, 0o644),
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
        }
    )


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
