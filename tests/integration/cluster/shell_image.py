"""A small image with a shell, for pods that look around: Debian's busybox and the C library it needs.

The dynamically linked one: a static busybox cannot look up names.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster.debian_packages import unpacked
from tests.cluster.paths import cache_dir
from tests.cluster.system_images import docker_archive

SHELL_IMAGE = "localhost/ballast-test-shell:1"

_LIBRARIES = ("libc.so.6", "libm.so.6", "libresolv.so.2")


def shell_image_archive() -> Path:
    """The image's archive, made once per cache; a container of it runs `/busybox APPLET ARGUMENTS`."""
    target = cache_dir() / "images" / "system" / "test-shell.tar"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(docker_archive(SHELL_IMAGE, ("/busybox",), _files(target.parent)))
        part.rename(target)
    return target


def _files(scratch: Path) -> dict[str, bytes]:
    files = {}
    with unpacked("busybox", scratch) as (root, _):
        files["busybox"] = (root / "bin" / "busybox").read_bytes()
    with unpacked("libc6", scratch) as (root, _):
        for library in _LIBRARIES:
            files[f"lib/{library}"] = next(root.glob(f"lib/*/{library}")).read_bytes()
        # Where programs look for the loader: /lib64 on amd64, /lib on arm64.
        for loader in root.glob("lib/*/ld-linux-*"):
            for folder in ("lib", "lib64"):
                files[f"{folder}/{loader.name}"] = loader.read_bytes()
    return files
