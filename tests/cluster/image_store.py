"""Gets images into the containerd of real nodes while it runs.

Layers are linked, not copied (`image_containerd`), so that a node with the 6.1 GB of torch is filled in seconds and
takes no more disk. Invariant: a node's image store is whole by itself; removing builds from the cache takes nothing
from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.cluster.image_builds import Image, build
from tests.cluster.image_containerd import Containerd
from tests.cluster.progress import step


def load_into(
    ctr_command: Sequence[str | Path],
    root: Path,
    images: Sequence[str] | None = None,
    *,
    archives: Sequence[Path] = (),
) -> None:
    """Brings the present builds into a running containerd; pods that are started from then on use them.

    Args:
        ctr_command: `ctr` with what it needs to reach that containerd: `nsenter --mount ... ctr --address ...`.
        root: That containerd's root folder as this process sees it.
        images: Targets, built first if they must be; all when absent.
        archives: Archives of further images.
    """
    found = build(images)
    node = Containerd(tuple(str(word) for word in ctr_command), root)
    with step("updating the node's images", estimate_seconds=2):
        _insert(node, found)
        for archive in archives:
            node.import_archive(archive)


def _insert(node: Containerd, found: Sequence[Image]) -> None:
    for image in found:
        with image.engine.open(image.reference) as content:
            node.insert(content, image.name)
