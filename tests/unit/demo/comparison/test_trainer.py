"""What a trainer's last words say."""

from __future__ import annotations

import pytest

from tests.demo.comparison.trainer import PROGRAM, trained


def test_what_it_did_is_read() -> None:
    found = trained('{"model": "A40", "steps": 3, "began": 10.0, "ended": 12.5}')
    assert found is not None
    assert (found.model, found.steps, found.seconds) == ("A40", 3, 2.5)


@pytest.mark.parametrize("message", ["", "Traceback", "[]", "{}", '{"model": "A40"}'])
def test_anything_else_says_nothing(message: str) -> None:
    assert trained(message) is None


def test_the_program_compiles() -> None:
    compile(PROGRAM, "trainer", "exec")
