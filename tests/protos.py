"""The Python modules of gRPC interfaces: rendered from each `.proto` beside them.

    python -m tests.protos --write   render them
    python -m tests.protos --check   fail if they are stale

Messages only (`*_pb2.py`, and its types `*_pb2.pyi`): a service of one call needs no generated code. A `.proto` that is
added anywhere under the source folders is found by itself. The first lines of a rendered file keep linters off it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"operator": "operator", "tests": "."}
"""Where interfaces are, and the import root there: what a rendered module is called depends on it."""
HEADER = """\
# Rendered by `python -m tests.protos`: edit the .proto.
# ruff: noqa
# fmt: off
# mypy: disable-error-code="type-arg"
"""


def protos() -> Iterator[tuple[Path, Path]]:
    """Yield (import root, interface) for each interface in the repository."""
    for folder, root in FOLDERS.items():
        for proto in sorted((ROOT / folder).rglob("*.proto")):
            yield ROOT / root, proto


def rendered(root: Path, proto: Path) -> dict[Path, str]:
    """Return the files that an interface renders to, and their text."""
    relative = proto.relative_to(root)
    outputs = [relative.with_name(f"{relative.stem}_pb2.{suffix}") for suffix in ("py", "pyi")]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                sys.executable, "-m", "grpc_tools.protoc",
                f"--proto_path={root}", f"--python_out={folder}", f"--pyi_out={folder}", str(relative),
            ],
            cwd=root,
            check=True,
        )  # fmt: skip
        return {root / output: HEADER + (Path(folder) / output).read_text() for output in outputs}


def all_rendered() -> dict[Path, str]:
    """Return what every interface renders to."""
    return {path: text for root, proto in protos() for path, text in rendered(root, proto).items()}


def stale() -> list[str]:
    """Return the rendered files that do not follow from their interface."""
    return [
        str(path.relative_to(ROOT))
        for path, text in all_rendered().items()
        if not path.exists() or path.read_text() != text
    ]


def main() -> int:
    """Write or check the rendered modules."""
    parser = argparse.ArgumentParser(prog="python -m tests.protos", description="Write or check *_pb2.py, *_pb2.pyi.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="render them")
    mode.add_argument("--check", action="store_true", help="fail if one is stale; write nothing")
    options = parser.parse_args()
    if options.write:
        for path, text in all_rendered().items():
            path.write_text(text)
        return 0
    found = stale()
    for name in found:
        print(f"{name} is stale: run `make protos` and commit it", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
