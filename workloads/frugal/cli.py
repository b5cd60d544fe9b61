"""The ``frugal`` command: one module for each subcommand, torch in none of them until it is needed.

A subcommand's module offers ``add_parser(subparsers)`` and ``run(arguments) -> int``, the exit status; to import it
costs nothing, so that ``--help`` answers at once. Signal handlers are installed first: a stop
request that arrives while a training's torch loads is kept. What else a command does with signals is its own affair.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from frugal import train_command
from frugal.signals import StopSignals, exit_status

Run = Callable[[argparse.Namespace], int]

COMMANDS = (
    "frugal.techniques_command",
    "frugal.bench.command",
    "frugal.bench.table1_command",
    "frugal.search.command",
    "frugal.sweep.command",
    "frugal.curves.command",
    "frugal.costs.command",
)
"""Modules of the subcommands after ``train``, in the order of ``--help``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    signals = StopSignals()
    signals.install()
    try:
        parser, commands = build_parser()
        arguments = parser.parse_args(argv)
        if arguments.command == "train":
            return train_command.run(arguments, signals)
    finally:
        signals.restore()
    if signals.requested is not None:
        return exit_status(signals.requested)
    return _run(commands[arguments.command], arguments)


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, Run]]:
    """The command line's grammar, and what runs each subcommand after ``train``."""
    parser = argparse.ArgumentParser(prog="frugal", description="Energy-saving training workloads.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train_command.add_parser(subparsers)
    commands: dict[str, Run] = {}
    for name in COMMANDS:
        known = set(subparsers.choices)
        module = importlib.import_module(name)
        module.add_parser(subparsers)
        commands.update(dict.fromkeys(set(subparsers.choices) - known, module.run))
    return parser, commands


def _run(run: Run, arguments: argparse.Namespace) -> int:
    try:
        status = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader had enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains while it exits
        return 1
    return status
