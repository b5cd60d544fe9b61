"""Builds Ballast's images: `python -m tests.cluster.images`, or `make image`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.cluster.errors import ClusterError
from tests.cluster.image_builds import build
from tests.cluster.image_engine import ENGINES
from tests.cluster.image_inputs import TARGETS
from tests.cluster.progress import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster.images",
        description="Builds Ballast's images with docker or buildah. Unchanged images are not built again.",
        epilog="$BALLAST_BASE_IMAGE names another base image (the trainer's needs g++ and Python's headers, for"
        " torch.compile), $BALLAST_IMAGE_ENGINE the engine. The trainer takes 6 GB of disk (torch with its CUDA"
        " libraries) in one layer, stored once, and up to 28 GB while that is made.",
    )
    parser.add_argument(
        "--target", action="append", choices=sorted(TARGETS), help="build only this image; may be repeated"
    )
    parser.add_argument("--engine", choices=ENGINES, help="the default is docker if it answers, else buildah")
    parser.add_argument("--print", action="store_true", help="print the references of the images, one a line")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        images = build(options.target, engine=options.engine)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    built = [image.target for image in images if image.built]
    done = f"built {', '.join(built)}" if built else "nothing to build"
    say(f"images: {done}, {time.monotonic() - started:.1f} s")
    if options.print:
        for image in images:
            print(image.reference)
    return 0


if __name__ == "__main__":
    sys.exit(main())
