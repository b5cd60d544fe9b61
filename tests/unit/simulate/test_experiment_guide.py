"""The guide of the experiment: its example is a valid file, its commands are, and it tells of every kind."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from ballast.simulate import command
from ballast.simulate.curves import ZEUS_KINDS
from ballast.simulate.experiments.experiment import read_experiment
from tests.unit.simulate.published import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "guide" / "experiment.md").read_text(encoding="utf-8")


def test_the_example_is_an_experiment(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    path = tmp_path / "example.yaml"
    path.write_text(example)
    experiment, nodes = read_experiment(path)
    assert [table.options.switch_off_after_seconds for table in experiment.tables] == [None, 300]
    assert (experiment.tables[1].options.boot_seconds, experiment.tables[1].options.boot_joules) == (90, 40_000)
    assert len(nodes) == 4


def test_the_commands_are_taken() -> None:
    parser = argparse.ArgumentParser(prog="ballast")
    command.add_parser(parser.add_subparsers())
    lines = re.findall(r"^ballast (simulate .*)$", GUIDE, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        assert parser.parse_args(shlex.split(line, comments=True)).experiment == "philly-november-2017"


def test_every_kind_is_told_of() -> None:
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", GUIDE, re.MULTILINE)) >= set(ZEUS_KINDS)
