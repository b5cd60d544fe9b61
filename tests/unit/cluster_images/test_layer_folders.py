"""Asking a containerd where layers lie goes through a view that garbage collection may end at any moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.errors import CommandError
from tests.cluster.image_containerd import Containerd

MOUNTS = [{"Type": "bind", "Source": "/x/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs", "Options": ["ro"]}]
DIFF_ID = "sha256:" + "a" * 64


def a_containerd(monkeypatch: pytest.MonkeyPatch, *, keeps_the_view: bool) -> Containerd:
    views: list[str] = []

    def ctr(_: Containerd, *words: str) -> str:
        if words[1] == "view":
            views.append(words[3])
            return json.dumps(MOUNTS)
        if words[1] == "rm":
            raise CommandError("snapshot does not exist")
        return "KEY PARENT KIND\n" + "".join(f"{key} x View\n" for key in views if keeps_the_view)

    monkeypatch.setattr(Containerd, "_ctr", ctr)
    return Containerd(("ctr",), Path("/root-of-node"))


def test_a_view_that_garbage_collection_ended_first_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    node = a_containerd(monkeypatch, keeps_the_view=False)
    (folder,) = node.layer_folders([DIFF_ID])
    assert folder == Path("/root-of-node/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs")


def test_a_view_that_cannot_be_removed_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    node = a_containerd(monkeypatch, keeps_the_view=True)
    with pytest.raises(CommandError):
        node.layer_folders([DIFF_ID])
