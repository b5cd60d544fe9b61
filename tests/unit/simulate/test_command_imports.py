"""The command line is there without what the extra `simulate` brings: other processes' images do not have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

from ballast.simulate import command
from tests.unit.simulate.published import CHECKOUT

_PROGRAM = """
import argparse, json, sys
from ballast.simulate import command
parser = argparse.ArgumentParser()
command.add_parser(parser.add_subparsers())
parser.parse_args(["simulate", "--trace", "t.csv", "--load", "0.8", "--trace-began", "2026-01-05T00:00:00Z"])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_options_are_read_without_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "operator")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout)).isdisjoint(command._EXTRA)


def test_what_it_looks_for_is_what_the_extra_brings() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line.partition(">")[0] for line in project["optional-dependencies"]["simulate"]]
    assert sorted({"pyyaml": "yaml"}.get(name, name) for name in named) == sorted(command._EXTRA)
