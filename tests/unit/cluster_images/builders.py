"""Builders for what images are made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.cluster.image_engine import BuiltImage, Layer
from tests.cluster.image_inputs import Target

TARGET = Target("operator", "lock/operator.txt", cold_seconds=1, warm_seconds=1)

DOCKERFILE = """\
ARG BASE_IMAGE=example.com/base:1
FROM ${BASE_IMAGE} AS runtime
FROM runtime AS code
RUN make the code
FROM runtime AS operator-dependencies
RUN install what the operator needs
FROM runtime AS trainer-dependencies
RUN install what the trainer needs
FROM operator-dependencies AS operator
COPY --from=code /code /opt
FROM trainer-dependencies AS trainer
COPY --from=code /code /opt
"""


def a_checkout(folder: Path) -> Path:
    """A checkout that has every input of an image."""
    for name in (
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "lock/build.txt",
        "lock/operator.txt",
        "lock/trainer.txt",
        "operator/ballast/__init__.py",
        "operator/ballast/decide/cycle.py",
        "workloads/frugal/__init__.py",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the content of {name}\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def an_image(*layers: tuple[str, Path]) -> BuiltImage:
    """An image whose layers have these diff IDs and folders."""
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in layers]}}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": "sha256:" + hashlib.sha256(config).hexdigest(), "size": len(config)},
            "layers": [{"digest": diff_id} for diff_id, _ in layers],
        }
    ).encode()
    return BuiltImage(manifest, config, tuple(Layer(diff_id, folder) for diff_id, folder in layers))
