"""The `ballast` command: `ballast operator` runs the operator."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
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
    # In a container this is process 1, which ignores SIGTERM until it says otherwise; what follows takes seconds.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # Imported here so that --help answers at once.
    from ballast.settings import OperatorSettings

    if options.settings:
        for name, field in OperatorSettings.model_fields.items():
            default = field.get_default(call_default_factory=True)
            print(f"BALLAST_{name.upper():25} {default!s:16} {field.description}")
        return 0
    return _operate()


def _operate() -> int:
    from pydantic import ValidationError

    from ballast import logs
    from ballast.errors import NotLeading, UserError
    from ballast.operator import run
    from ballast.settings import OperatorSettings

    try:
        settings = OperatorSettings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            if name:
                print(f"ballast: BALLAST_{name}: {problem['msg']} (is {problem['input']!r})", file=sys.stderr)
            else:  # what several settings say together: the message names them
                print(f"ballast: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level, settings.log_format)
    code = 0
    try:
        asyncio.run(run(settings))
    except* UserError as group:
        for mistake in _flat(group):
            print(f"ballast: {mistake}", file=sys.stderr)
        code = 2
    except* NotLeading as group:
        logging.getLogger(__name__).error(  # noqa: TRY400 - where it was noticed tells nothing
            "this process leads no longer and ends: another one goes on", extra={"error": str(_flat(group)[0])}
        )
        code = code or 1
    except* Exception as group:
        logging.getLogger(__name__).critical("a part of the operator died, so it ends", exc_info=group)
        code = code or 1
    return code


def _flat(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    """Return the errors of a group of groups."""
    errors: list[Exception] = []
    for error in group.exceptions:
        errors += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return errors


if __name__ == "__main__":
    sys.exit(main())
