"""The guide names every policy and every file, and its commands are ones that the command line takes."""

from __future__ import annotations

import argparse
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ballast.simulate import command
from ballast.simulate.curves import read_curves
from ballast.simulate.policies.catalogue import POLICIES
from ballast.simulate.report import plots, results
from ballast.simulate.series import read_series
from tests.unit.simulate.published import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "guide" / "simulate.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def _commands() -> list[str]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    return [line.partition(" > ")[0] for line in lines if line.startswith("ballast ")]


@pytest.mark.parametrize("line", _commands())
def test_its_commands_are_taken_as_they_stand(line: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(shlex.split(line)[1:])
    assert set(options.policies or ()) <= set(POLICIES)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", GUIDE))))
def test_its_options_exist(option: str) -> None:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    command.add_parser(subparsers)
    assert f"{option} " in subparsers.choices["simulate"].format_help().replace("\n", " ").replace("]", " ")


def test_it_has_a_row_for_each_policy_and_for_no_other() -> None:
    told = re.findall(r"^\| `([a-z-]+)` \|.*\|.*\|$", GUIDE.partition("## Policies")[2].partition("\n## ")[0], re.M)
    assert told == [*POLICIES]


def test_it_names_every_file_that_is_left() -> None:
    for name in (results.TABLE, results.JSON, results.ARMS, results.PAGE, *plots.DRAWINGS):
        assert f"`{name}`" in GUIDE


def test_its_curves_and_series_can_be_read(tmp_path: Path) -> None:
    curves, series = _blocks("csv")
    (tmp_path / "curves.csv").write_text(curves)
    (tmp_path / "series.csv").write_text(series)
    assert read_curves(tmp_path / "curves.csv").reference_model == "H100"
    assert read_series(tmp_path / "series.csv", datetime(2026, 1, 5, tzinfo=UTC)).times == (0.0, 3600.0)
