"""A system image is one program in an otherwise empty image, and always the same one."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from tests.cluster.system_images import docker_archive


def read(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def test_the_archive_names_the_image_and_holds_the_program() -> None:
    files = read(docker_archive("localhost/tool:1", ("/tool", "-P"), {"tool": b"program"}))
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["localhost/tool:1"]
    config = json.loads(files[manifest["Config"]])
    assert config["config"]["Entrypoint"] == ["/tool", "-P"]
    (layer,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(files[layer]).hexdigest()]
    assert read(files[layer]) == {"tool": b"program"}


def test_the_same_program_makes_the_same_archive() -> None:
    once, again = (docker_archive("localhost/tool:1", ("/tool",), {"tool": b"program"}) for _ in range(2))
    assert once == again
