"""How subcommands tell errors: one line that names the option as it is written, and an exit status."""

from __future__ import annotations

import logging

import pytest

from frugal.errors import ConfigError, DataError, FrugalError
from frugal.subcommand import FAILED, WRONG_ARGUMENTS, listening, told


def raising(error: FrugalError) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ConfigError("batch_size", 0, "use more"), WRONG_ARGUMENTS, "frugal x: error: --batch-size 0: use more\n"),
        (
            ConfigError("pruning,sparsity", 2, "use less"),
            WRONG_ARGUMENTS,
            "frugal x: error: --with pruning,sparsity=2: use less\n",
        ),
        (DataError("no such set"), FAILED, "frugal x: error: no such set\n"),
    ],
)
def test_errors_are_one_line(error: FrugalError, status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told("x", lambda: raising(error)) == status
    assert capsys.readouterr().err == line


def test_the_status_of_what_ends_well_is_kept() -> None:
    assert told("x", lambda: 143) == 143


def test_warnings_are_shown_while_listening_and_not_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(hidden="frugal.quiet"):
        logging.getLogger("frugal.loud").warning("heard")
        logging.getLogger("frugal.quiet").warning("not heard")
    logging.getLogger("frugal.loud").warning("too late")
    assert capsys.readouterr().err == "heard\n"
