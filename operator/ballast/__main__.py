"""The `ballast` command: each of Ballast's processes is a subcommand."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ballast.cli import explain
from ballast.simulate import command as simulate

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

S = TypeVar("S", bound="BaseSettings")

BAD_SETTINGS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code."""
    options = _parser().parse_args(argv)
    # In a container this is process 1, which ignores SIGTERM until it says otherwise; what follows takes seconds.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    command: Callable[[argparse.Namespace], int] = options.run
    return command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ballast", description="Energy-aware training on Kubernetes.")
    commands = parser.add_subparsers(dest="command", required=True)
    operator = commands.add_parser(
        "operator",
        help="run the operator",
        description="Run the operator: in a pod as its service account, elsewhere by the kubeconfig. "
        "Settings are environment variables; see --settings.",
    )
    operator.add_argument("--settings", action="store_true", help="print every setting with its default, and exit")
    operator.set_defaults(run=_operator)
    agent = commands.add_parser(
        "agent",
        help="run a node's agent, or look at the node's GPUs",
        description="Run the agent of a node: it meters GPUs and CPUs, and sets and restores operating points. "
        "Settings are environment variables; see --settings.",
    )
    instead = agent.add_mutually_exclusive_group()
    instead.add_argument("--settings", action="store_true", help="print every setting with its default, and exit")
    instead.add_argument(
        "--check", action="store_true", help="tell what the GPUs and CPUs are and can do; reads only, needs no cluster"
    )
    instead.add_argument(
        "--restore",
        action="store_true",
        help="give every GPU what it had before an agent changed it, and exit; no agent may run on the node",
    )
    agent.add_argument(
        "--seconds", type=_seconds, default=5.0, metavar="N", help="with --check: how long to compare counter and power"
    )
    agent.add_argument("--json", action="store_true", help="with --check: print one JSON object")
    agent.set_defaults(run=_agent)
    exporter = commands.add_parser(
        "exporter",
        help="run a training pod's exporter",
        description="Run the exporter of a training pod: it tells Prometheus what the pod draws and how far its "
        "training is, and leaves both as the last words of its container. On a workstation it needs no setting: it "
        "meters the GPUs that NVML shows, and takes reports at http://127.0.0.1:9447/v1/progress. Settings are "
        "environment variables; see --settings.",
    )
    exporter.add_argument("--settings", action="store_true", help="print every setting with its default, and exit")
    exporter.set_defaults(run=_exporter)
    uninstall = commands.add_parser(
        "uninstall",
        help="let go of the cluster before Ballast is removed from it",
        description="Stop the operator, wait until every agent has given its GPUs what they had, and remove what Helm "
        "does not know of. `helm uninstall` runs this by itself.",
    )
    uninstall.add_argument(
        "--timeout-seconds", type=_seconds, default=120.0, metavar="N", help="how long to wait for agents (default 120)"
    )
    uninstall.set_defaults(run=_uninstall)
    explain.add_parser(commands)
    simulate.add_parser(commands)
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from above 0 to 3600")
    return value


# Each imports what it needs, so that --help answers at once, and an image needs only what its process runs.


def _operator(options: argparse.Namespace) -> int:
    from ballast.settings import OperatorSettings

    if options.settings:
        return _print_settings(OperatorSettings)
    settings = _read_settings(OperatorSettings)
    if settings is None:
        return BAD_SETTINGS
    from ballast import logs
    from ballast.operator import run

    logs.configure(settings.log_level, settings.log_format)
    return _run_to_the_end(run(settings), "operator")


def _agent(options: argparse.Namespace) -> int:
    from ballast.agent.settings import AgentSettings

    if options.settings:
        return _print_settings(AgentSettings)
    if options.check:
        if _read_settings(AgentSettings, node_name="this") is None:
            return BAD_SETTINGS
        from ballast.agent.check.check import run_check

        return run_check(options, sys.stdout)
    settings = _read_settings(AgentSettings)
    if settings is None:
        return BAD_SETTINGS
    from ballast import logs
    from ballast.agent.agent import restore, run

    logs.configure(settings.log_level, settings.log_format)
    if options.restore:
        return restore(settings, sys.stdout)
    return _run_to_the_end(run(settings), "agent")


def _exporter(options: argparse.Namespace) -> int:
    from ballast.errors import UserError
    from ballast.exporter.settings import ExporterSettings, described

    if options.settings:
        for variable, default, description in described():
            print(f"{variable:33} {default:34} {description}")
        return 0
    try:
        settings = ExporterSettings.from_environ(os.environ)
        from ballast import logs
        from ballast.exporter.exporter import run

        logs.configure(settings.log_level, settings.log_format)
        return run(settings)
    except UserError as mistake:
        print(f"ballast: {mistake}", file=sys.stderr)
        return BAD_SETTINGS


def _uninstall(options: argparse.Namespace) -> int:
    from ballast import logs
    from ballast.kube import KubeClient
    from ballast.settings import own_namespace
    from ballast.uninstall import uninstall

    async def run() -> int:
        async with await KubeClient.connect(user_agent="ballast-uninstall") as kube:
            return await uninstall(kube, own_namespace(), options.timeout_seconds)

    logs.configure("INFO", "text")
    return _run_to_the_end(run(), "uninstalling")


def _print_settings(kind: type[BaseSettings]) -> int:
    from pydantic_core import PydanticUndefined

    prefix = kind.model_config.get("env_prefix", "")
    for name, field in kind.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "(none)" if default in (None, PydanticUndefined) else str(default)
        print(f"{prefix + name.upper():33} {shown:16} {field.description}")
    return 0


def _read_settings(kind: type[S], **given: Any) -> S | None:
    """Return the settings, or None after having said what is wrong with them.

    Args:
        kind: which process's.
        given: settings that go before the environment.
    """
    from pydantic import ValidationError

    try:
        return kind(**given)
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        for problem in error.errors():
            name = str(problem["loc"][0]).upper() if problem["loc"] else ""  # what follows is not the user's
            if problem["type"] == "missing":
                print(
                    f"ballast: {prefix}{name} is not set: {kind.model_fields[name.lower()].description}",
                    file=sys.stderr,
                )
            elif name:
                print(f"ballast: {prefix}{name}: {problem['msg']} (is {problem['input']!r})", file=sys.stderr)
            else:  # what several settings say together: the message names them
                print(f"ballast: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return None


def _run_to_the_end(process: Coroutine[Any, Any, int | None], name: str) -> int:
    """Run a process until it ends; return the exit code, having said why if it ended badly."""
    import asyncio

    from ballast.errors import NotLeading, UserError

    code = 0
    try:
        code = asyncio.run(process) or 0
    except* UserError as group:
        for mistake in _flat(group):
            print(f"ballast: {mistake}", file=sys.stderr)
        code = BAD_SETTINGS
    except* NotLeading as group:
        logging.getLogger(__name__).error(  # noqa: TRY400 - where it was noticed tells nothing
            "this process leads no longer and ends: another one goes on", extra={"error": str(_flat(group)[0])}
        )
        code = code or 1
    except* Exception as group:
        logging.getLogger(__name__).critical("a part of the %s died, so it ends", name, exc_info=group)
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
