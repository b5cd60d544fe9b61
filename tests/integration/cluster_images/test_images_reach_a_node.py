"""An image that buildah built gets into a containerd by hard links, before and while that runs, and through an archive.

With the real buildah and the real containerd, on an image of two files: no base, no download, no package. Nothing
outside the test's own folder is written.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import image_docker
from tests.cluster.image_buildah import BuildahEngine, chain_ids
from tests.cluster.image_containerd import Containerd, throwaway
from tests.cluster.image_inputs import Target
from tests.cluster.image_programs import containerd_programs
from tests.cluster.platforms import why_no_real_node

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(why_no_real_node() is not None, reason=why_no_real_node() or ""),
]

TINY = Target("tiny", "lock/tiny.txt", cold_seconds=1, warm_seconds=1)
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS tiny
COPY below /data
COPY above /data
USER 65532:65532
"""


@pytest.fixture
def engine(tmp_path: Path) -> BuildahEngine:
    """A buildah storage of this test's own."""
    return BuildahEngine(tmp_path / "buildah")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Containerd]:
    """A containerd with nothing in it."""
    containerd, ctr = containerd_programs()
    with throwaway(tmp_path / "node", containerd=containerd, ctr=ctr) as running:
        yield running


def build(engine: BuildahEngine, folder: Path, tag: str, *, above: str) -> str:
    """Builds the tiny image; returns its reference."""
    context = folder / f"context-{tag}"
    for name, content in {"below/lower": "the same in all", "above/upper": above}.items():
        path = context / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
        os.utime(path, (0, 0))
    (context / "Dockerfile").write_text(DOCKERFILE)
    reference = f"localhost/tiny:{tag}"
    engine.build(TINY, base="scratch", context=context, reference=reference, log=folder / f"{tag}.log")
    return reference


def test_a_node_gets_the_layers_that_it_lacks_and_shares_their_files(
    engine: BuildahEngine, node: Containerd, tmp_path: Path
) -> None:
    first = build(engine, tmp_path, "first", above="1")
    with engine.open(first) as image:
        assert node.insert(image, "localhost/tiny:dev") == 2
        diff_ids = [layer.diff_id for layer in image.layers]
        for ours, theirs in zip(image.layers, node.layer_folders(diff_ids), strict=True):
            [path] = [path for path in ours.folder.rglob("*") if path.is_file()]
            assert path.samefile(theirs / path.relative_to(ours.folder))
        assert node.insert(image, "localhost/tiny:dev") == 0

    second = build(engine, tmp_path, "second", above="2")
    with engine.open(second) as image:
        assert node.insert(image, "localhost/tiny:dev") == 1
    assert node.images() == ["localhost/tiny:dev"]


def test_a_node_keeps_its_images_when_the_builds_are_removed(
    engine: BuildahEngine, node: Containerd, tmp_path: Path
) -> None:
    reference = build(engine, tmp_path, "only", above="1")
    with engine.open(reference) as image:
        node.insert(image, "localhost/tiny:dev")
        diff_ids = [layer.diff_id for layer in image.layers]
    engine.remove([reference, TINY.image])
    assert not engine.has(reference)
    assert (node.layer_folders(diff_ids)[1] / "data/upper").read_text() == "1"


def test_an_image_that_is_removed_from_a_node_takes_its_layers_along(
    engine: BuildahEngine, node: Containerd, tmp_path: Path
) -> None:
    with engine.open(build(engine, tmp_path, "only", above="1")) as image:
        node.insert(image, "localhost/tiny:dev")
        chain = chain_ids([layer.diff_id for layer in image.layers])
    ctr = [*node.command, "--namespace", "k8s.io"]
    snapshots = subprocess.run([*ctr, "snapshots", "list"], check=True, capture_output=True, text=True).stdout
    assert all(chain_id in snapshots for chain_id in chain)
    subprocess.run([*ctr, "images", "rm", "--sync", "localhost/tiny:dev"], check=True, capture_output=True)
    snapshots = subprocess.run([*ctr, "snapshots", "list"], check=True, capture_output=True, text=True).stdout
    assert not any(chain_id in snapshots for chain_id in chain)


def test_an_image_that_came_as_an_archive_can_be_handed_on_by_links(
    engine: BuildahEngine, node: Containerd, tmp_path: Path
) -> None:
    """As with docker, whose `save` writes what this archive stands for."""
    reference = build(engine, tmp_path, "saved", above="1")
    archive = tmp_path / "saved.tar"
    engine.save(reference, archive)
    containerd, ctr = containerd_programs()
    with throwaway(tmp_path / "seed", containerd=containerd, ctr=ctr) as seed:
        seed.import_archive(archive)
        image = image_docker.read(seed, reference)
        assert node.insert(image, "localhost/tiny:dev") == 2
    assert (node.layer_folders([layer.diff_id for layer in image.layers])[1] / "data/upper").read_text() == "1"


def test_nothing_stays_mounted(engine: BuildahEngine, node: Containerd, tmp_path: Path) -> None:
    with engine.open(build(engine, tmp_path, "only", above="1")) as image:
        node.insert(image, "localhost/tiny:dev")
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
