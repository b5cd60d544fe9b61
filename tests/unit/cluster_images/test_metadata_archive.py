"""The archive that is imported once the layers are there: everything about an image but its layers."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.image_containerd import metadata_archive
from tests.unit.cluster_images.builders import an_image

IMAGE = an_image(("sha256:a", Path("/nowhere")))


def files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        contents = {member.name: opened.extractfile(member) for member in opened.getmembers()}
        return {name: content.read() for name, content in contents.items() if content is not None}


def test_it_holds_the_manifest_and_the_configuration_under_their_digests() -> None:
    blobs = {name: content for name, content in files(metadata_archive(IMAGE, "n")).items() if "blobs" in name}
    assert sorted(blobs.values()) == sorted([IMAGE.manifest, IMAGE.config])
    assert all(name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}" for name, content in blobs.items())


def test_its_index_gives_the_manifest_the_name_that_pods_use() -> None:
    index = json.loads(files(metadata_archive(IMAGE, "localhost/ballast-operator:dev"))["index.json"])
    [manifest] = index["manifests"]
    assert manifest["annotations"] == {"io.containerd.image.name": "localhost/ballast-operator:dev"}
    assert manifest["digest"] == "sha256:" + hashlib.sha256(IMAGE.manifest).hexdigest()
    assert manifest["size"] == len(IMAGE.manifest)


def test_a_manifest_of_another_configuration_is_refused() -> None:
    with pytest.raises(ClusterError, match="names another configuration"):
        metadata_archive(replace(IMAGE, config=b"{}"), "localhost/ballast-operator:dev")
