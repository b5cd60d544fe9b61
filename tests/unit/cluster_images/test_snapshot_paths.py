"""Snapshots lie where containerd says, but below its root as this process sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.image_containerd import lower_folders, upper_folder

SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
HERE = Path("io.containerd.snapshotter.v1.overlayfs/snapshots")


def test_the_first_layer_is_written_where_it_is_bound_from() -> None:
    mounts = [{"Type": "bind", "Source": f"{SNAPSHOTS}/1/fs", "Options": ["rw", "rbind"]}]
    assert upper_folder(mounts) == HERE / "1/fs"


def test_a_further_layer_is_written_in_the_upper_folder() -> None:
    options = [f"workdir={SNAPSHOTS}/2/work", f"upperdir={SNAPSHOTS}/2/fs", f"lowerdir={SNAPSHOTS}/1/fs", "index=off"]
    assert upper_folder([{"Type": "overlay", "Source": "overlay", "Options": options}]) == HERE / "2/fs"


def test_the_layers_of_an_image_are_told_lowest_first() -> None:
    options = ["index=off", f"lowerdir={SNAPSHOTS}/3/fs:{SNAPSHOTS}/2/fs:{SNAPSHOTS}/1/fs"]
    mounts = [{"Type": "overlay", "Source": "overlay", "Options": options}]
    assert lower_folders(mounts) == [HERE / "1/fs", HERE / "2/fs", HERE / "3/fs"]


def test_an_image_of_one_layer_is_bound() -> None:
    mounts = [{"Type": "bind", "Source": f"{SNAPSHOTS}/1/fs", "Options": ["ro", "rbind"]}]
    assert lower_folders(mounts) == [HERE / "1/fs"]


def test_another_snapshotter_is_refused() -> None:
    with pytest.raises(ClusterError, match="overlayfs"):
        upper_folder([{"Type": "bind", "Source": "/var/lib/containerd/native/1", "Options": []}])
