"""The lock files: which versions, by hash, each image and the development environment install.

    python -m tests.locks            bring them up to date with pyproject.toml; versions stay where they can
    python -m tests.locks --upgrade  take the newest versions
    python -m tests.locks --check    fail if they are stale

One file a purpose, in the requirements format that every installer reads. `dev` holds everything and constrains the
others, so that what is tested is what the images hold.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "lock"
UV = Path(sys.executable).with_name("uv")

# What uv resolves for each file.
TARGETS: dict[str, list[str]] = {
    "dev": ["pyproject.toml", "--all-extras", "--group", "dev"],
    "build": ["--group", "pyproject.toml:build", "-c", "lock/dev.txt"],
    "operator": ["pyproject.toml", "--extra", "operator", "-c", "lock/dev.txt"],
    "agent": ["pyproject.toml", "--extra", "agent", "-c", "lock/dev.txt"],
    "exporter": ["pyproject.toml", "--extra", "exporter", "-c", "lock/dev.txt"],
    "trainer": ["pyproject.toml", "--extra", "trainer", "-c", "lock/dev.txt"],
}


def compile_lock(target: str, output: Path, upgrade: bool) -> None:
    """Resolve one lock file into `output`, which may hold the present pins."""
    subprocess.run(
        [
            UV, "pip", "compile", "--quiet", "--system-certs", *TARGETS[target],
            "--universal", "--generate-hashes", "--python-version", "3.11",
            "--custom-compile-command", "make lock", "--output-file", output,
            *(["--upgrade"] if upgrade else []),
        ],
        cwd=ROOT,
        check=True,
    )  # fmt: skip


def stale() -> list[str]:
    """Return the lock files that do not follow from pyproject.toml."""
    found: list[str] = []
    for target in TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            current, fresh = LOCK / f"{target}.txt", Path(folder) / f"{target}.txt"
            shutil.copy(current, fresh)
            compile_lock(target, fresh, upgrade=False)
            if fresh.read_bytes() != current.read_bytes():
                found.append(f"lock/{target}.txt")
    return found


def main() -> int:
    """Write or check the lock files."""
    parser = argparse.ArgumentParser(prog="python -m tests.locks", description="Write or check lock/*.txt.")
    parser.add_argument("--check", action="store_true", help="fail if a lock file is stale; write nothing")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    options = parser.parse_args()
    if options.check:
        found = stale()
        for name in found:
            print(f"{name} is stale: run `make lock` and commit it", file=sys.stderr)
        return 1 if found else 0
    for target in TARGETS:
        print(f"lock/{target}.txt", file=sys.stderr)
        compile_lock(target, LOCK / f"{target}.txt", options.upgrade)
    return 0


if __name__ == "__main__":
    sys.exit(main())
