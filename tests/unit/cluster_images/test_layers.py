"""Which folder of buildah's storage holds which layer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.cluster.image_buildah import chain_ids, layer_folders


def chained(below: str, diff_id: str) -> str:
    return "sha256:" + hashlib.sha256(f"{below} {diff_id}".encode()).hexdigest()


def test_the_lowest_layer_is_its_own_chain() -> None:
    assert chain_ids(["sha256:a"]) == ["sha256:a"]


def test_a_layer_is_told_apart_by_all_that_lies_below_it() -> None:
    second = chained("sha256:a", "sha256:b")
    assert chain_ids(["sha256:a", "sha256:b", "sha256:c"]) == ["sha256:a", second, chained(second, "sha256:c")]


def test_equal_layers_on_different_bases_have_folders_of_their_own(tmp_path: Path) -> None:
    storage = a_storage(
        tmp_path,
        {"id": "one", "diff-digest": "sha256:a"},
        {"id": "two", "diff-digest": "sha256:b"},
        {"id": "on-one", "parent": "one", "diff-digest": "sha256:c"},
        {"id": "on-two", "parent": "two", "diff-digest": "sha256:c"},
    )
    folders = layer_folders(storage)
    assert folders[chained("sha256:a", "sha256:c")] == storage / "overlay" / "on-one" / "diff"
    assert folders[chained("sha256:b", "sha256:c")] == storage / "overlay" / "on-two" / "diff"


def test_the_writable_layer_of_a_container_is_no_layer_of_an_image(tmp_path: Path) -> None:
    storage = a_storage(tmp_path, {"id": "one", "diff-digest": "sha256:a"}, {"id": "container", "parent": "one"})
    assert list(layer_folders(storage)) == ["sha256:a"]


def a_storage(folder: Path, *records: dict[str, str]) -> Path:
    layers = folder / "overlay-layers" / "layers.json"
    layers.parent.mkdir()
    layers.write_text(json.dumps(records))
    return folder
