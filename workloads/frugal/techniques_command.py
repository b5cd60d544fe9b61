"""``frugal techniques``: what there is, and what each technique's options are."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from frugal.errors import TechniqueError

if TYPE_CHECKING:
    from frugal.technique import Technique


def add_parser(subparsers: Any) -> None:
    """Add ``techniques`` to the command line."""
    parser = subparsers.add_parser(
        "techniques",
        help="list techniques and their options",
        description="List the techniques that --with knows: stage, options with their defaults, and what each does.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="only this one, or your own package.module:Class")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from frugal import registry

    try:
        names = registry.available() if arguments.name is None else [arguments.name]
        found = [(name, registry.find(name)) for name in names]
    except TechniqueError as error:
        sys.stderr.write(f"frugal techniques: error: {error}\n")
        return 1
    sys.stdout.write("\n".join(described(name, technique) for name, technique in found))
    return 0


def described(name: str, technique: type[Technique]) -> str:
    """A few lines on one technique: name, stage, what it does, options with defaults."""
    from frugal import registry

    summary = (technique.__doc__ or "").strip().partition("\n")[0]
    lines = [f"{name}  ({technique.stage.name.lower()})", f"    {summary}"]
    lines += [
        f"    {option}={'' if default is None else default}" for option, default in registry.options(technique).items()
    ]
    return "".join(f"{line}\n" for line in lines)
