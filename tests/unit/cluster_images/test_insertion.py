"""Only the layers that a containerd lacks are linked into it, and an unfinished one is done again."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from tests.cluster.image_buildah import chain_ids
from tests.cluster.image_containerd import Containerd
from tests.cluster.image_engine import BuiltImage
from tests.unit.cluster_images.builders import an_image

#: Answers like `ctr` and writes down what it was asked; the snapshots it has are files in a folder.
FAKE_CTR = """\
#!{python} -IS
import json, os, sys
from pathlib import Path
root = Path({root!r})
words = sys.argv[3:]
with (root / "asked").open("a") as asked:
    asked.write(json.dumps(words) + "\\n")
have = root / "have"
if words[:2] == ["snapshots", "list"]:
    print("KEY PARENT KIND")
    for key in sorted(os.listdir(have)):
        print(key, "Committed")
elif words[:2] == ["snapshots", "prepare"]:
    target = root / "io.containerd.snapshotter.v1.overlayfs" / "snapshots" / str(len(os.listdir(have))) / "fs"
    target.mkdir(parents=True)
    (have / words[3]).touch()
    seen = str(target).replace(str(root), "/var/lib/containerd")
    print(json.dumps([dict(Type="bind", Source=seen, Options=["rw", "rbind"])]))
elif words[:2] == ["snapshots", "commit"]:
    (have / words[3]).rename(have / words[2])
elif words[:2] == ["snapshots", "rm"]:
    (have / words[2]).unlink()
elif words[:2] == ["images", "import"]:
    (root / "imported").write_bytes(sys.stdin.buffer.read())
"""


@pytest.fixture
def node(tmp_path: Path) -> Containerd:
    """A containerd whose `ctr` is the fake."""
    root = tmp_path / "node"
    (root / "have").mkdir(parents=True)
    ctr = tmp_path / "ctr"
    ctr.write_text(FAKE_CTR.format(python=sys.executable, root=str(root)))
    ctr.chmod(0o755)
    return Containerd((str(ctr),), root)


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    """An image of three layers with one file each."""
    layers = []
    for name in "abc":
        folder = tmp_path / f"layer-{name}"
        folder.mkdir()
        (folder / name).write_text(name)
        layers.append((f"sha256:{name}", folder))
    return an_image(*layers)


def asked(node: Containerd, verb: str) -> list[list[str]]:
    """The fake's questions about snapshots with this verb."""
    lines = [json.loads(line) for line in (node.root / "asked").read_text().splitlines()]
    return [line[2:] for line in lines if line[:2] == ["snapshots", verb]]


def test_an_empty_node_gets_every_layer_on_top_of_the_one_below(node: Containerd, image: BuiltImage) -> None:
    assert node.insert(image, "localhost/some:dev") == 3
    first, second, third = chain_ids(["sha256:a", "sha256:b", "sha256:c"])
    assert [words[1:] for words in asked(node, "prepare")] == [
        [f"ballast-unfinished-{first}"],
        [f"ballast-unfinished-{second}", first],
        [f"ballast-unfinished-{third}", second],
    ]


def test_layers_that_are_there_are_left_alone(node: Containerd, image: BuiltImage) -> None:
    for chain_id in chain_ids(["sha256:a", "sha256:b"]):
        (node.root / "have" / chain_id).touch()
    assert node.insert(image, "localhost/some:dev") == 1
    [committed] = asked(node, "commit")
    assert committed[0] == chain_ids(["sha256:a", "sha256:b", "sha256:c"])[2]


def test_a_layer_that_a_killed_run_left_unfinished_is_done_again(node: Containerd, image: BuiltImage) -> None:
    unfinished = "ballast-unfinished-sha256:a"
    (node.root / "have" / unfinished).touch()
    node.insert(image, "localhost/some:dev")
    assert asked(node, "rm") == [[unfinished]]
    assert not (node.root / "have" / unfinished).exists()


def test_files_are_linked_not_copied(node: Containerd, image: BuiltImage) -> None:
    node.insert(image, "localhost/some:dev")
    [linked] = node.root.glob("io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/a")
    assert linked.samefile(image.layers[0].folder / "a")


def test_the_root_of_a_layer_keeps_its_mode(node: Containerd, image: BuiltImage) -> None:
    image.layers[0].folder.chmod(0o751)
    node.insert(image, "localhost/some:dev")
    [linked] = node.root.glob("io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/a")
    assert stat.S_IMODE(linked.parent.stat().st_mode) == 0o751


def test_snapshots_live_no_longer_than_their_image(node: Containerd, image: BuiltImage) -> None:
    node.insert(image, "localhost/some:dev")
    assert [words[1] for words in asked(node, "label")] == ["containerd.io/gc.root="] * 3
