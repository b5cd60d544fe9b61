"""`ballast simulate` as a user types it, on files small enough for seconds."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ballast.simulate import command
from ballast.simulate.comparison import arms
from ballast.simulate.comparison.processes import Done

CLUSTER = """\
- {name: v100, count: 1, gpuModel: V100, gpus: 4, basePower: 350W}
- {name: a40, count: 1, gpuModel: A40, gpus: 4, basePower: 350W}
"""
TRACE = """\
name,kind,submitted_at,gpus,reference_seconds,deadline
a,resnet50-256,0,4,3600,
b,bert-squad-32,60,2,1800,9000
c,deepspeech2-192,120,4,2400,
d,shufflenet-1024,180,1,900,
"""
PROGRAM = """\
import argparse, sys
from ballast.simulate import command
if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="ballast")
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args()
    sys.exit(options.run(options))
"""


def files(folder: Path, *, trace: str = TRACE, cluster: str = CLUSTER) -> list[str]:
    """Write a cluster and a trace; returns the options that name them and where results go, ``folder / "out"``."""
    (folder / "cluster.yaml").write_text(cluster)
    (folder / "trace.csv").write_text(trace)
    named = {"--cluster": "cluster.yaml", "--trace": "trace.csv", "--out": "out"}
    return [part for option, name in named.items() for part in (option, str(folder / name))]


def simulate(*words: str) -> int:
    """Run the command in this process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="ballast")
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(["simulate", *words])
    status: int = options.run(options)
    return status


def program(folder: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of the command in a process of its own."""
    path = folder / "program.py"
    path.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return [sys.executable, str(path), "simulate", *words], environment


def in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Let arms run in this process, one after the other: the same figures sooner."""

    def each(
        tasks: Sequence[Any], work: Callable[..., Any], processes: int = 1
    ) -> Generator[Done[Any, Any], None, None]:
        for task in tasks:
            yield Done(task, work(task, progress=lambda share: None), 1.0)

    patch.setattr(arms, "run_each", each)


def without_drawings(patch: pytest.MonkeyPatch) -> None:
    """Leave out the page and the drawings, which take longer than all else."""
    patch.setattr("ballast.simulate.report.html.page", lambda report, banner: "")
    patch.setattr("ballast.simulate.report.plots.save", lambda comparison, folder: [])
