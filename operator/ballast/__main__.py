"""The `ballast` command: `ballast operator` runs the operator."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code."""
    parser = argparse.ArgumentParser(prog="ballast", description="Energy-aware training on Kubernetes.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "operator",
        help="run the operator",
        description="Run the operator: in a pod as its service account, elsewhere by the kubeconfig. "
        "Settings are environment variables; see --settings.",
    ).add_argument("--settings", action="store_true", help="print every setting with its default, and exit")
    options = parser.parse_args(argv)
    # Imported here so that --help answers at once.
    from ballast.settings import OperatorSettings

    if options.settings:
        for name, field in OperatorSettings.model_fields.items():
            print(f"BALLAST_{name.upper():24} {field.default!s:10} {field.description}")
        return 0
    return _operate()


def _operate() -> int:
    from pydantic import ValidationError

    from ballast import logs
    from ballast.errors import UserError
    from ballast.operator import run
    from ballast.settings import OperatorSettings

    try:
        settings = OperatorSettings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            print(f"ballast: BALLAST_{name}: {problem['msg']} (is {problem['input']!r})", file=sys.stderr)
        return 2
    logs.configure(settings.log_level, settings.log_format)
    code = 0
    try:
        asyncio.run(run(settings))
    except* UserError as group:
        for mistake in group.exceptions:
            print(f"ballast: {mistake}", file=sys.stderr)
        code = 2
    return code


if __name__ == "__main__":
    sys.exit(main())
