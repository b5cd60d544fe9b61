"""``--with`` finds techniques by module name or by class, and parses their options by type."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from frugal import registry, techniques
from frugal.errors import TechniqueError

from .toys import Accumulation, Smoothing

HERE = "tests.unit.frugal.toys"


def test_class_with_options() -> None:
    made = registry.create(f"{HERE}:Smoothing,epsilon=0.3")
    assert isinstance(made, Smoothing)
    assert made.epsilon == 0.3
    assert registry.create(f"{HERE}:Accumulation,parts=2").options() == {"parts": 2}
    assert registry.create(f"{HERE}:Accumulation") == Accumulation()


def test_module_in_the_techniques_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two_words.py").write_text(
        "from frugal.technique import Stage, Technique\n"
        "class Words(Technique):\n    name = 'two-words'\n    stage = Stage.LOSS\n"
    )
    monkeypatch.setattr(techniques, "__path__", [str(tmp_path)])
    try:
        assert registry.available() == ["two-words"]
        assert registry.create("two-words").name == "two-words"
        with pytest.raises(TechniqueError, match="no technique of that name; available: two-words; your own: package"):
            registry.create("three-words")
    finally:
        sys.modules.pop("frugal.techniques.two_words", None)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("no_such_package:X", "No module named.*write package.module:Class"),
        (f"{HERE}:Missing", "has no attribute 'Missing'"),
        (f"{HERE}:Run", "Run is not a subclass of frugal.technique.Technique"),
        (f"{HERE}:Smoothing,alpha=1", "'alpha=1' is not an option of .*; its options: epsilon=…"),
        (f"{HERE}:Smoothing,epsilon", "'epsilon' is not an option"),
        (f"{HERE}:Smoothing,epsilon=much", "epsilon='much' is not a value of type float"),
        (f"{HERE}:Smoothing,epsilon=0.1,epsilon=0.2", "epsilon is given twice: leave one out"),
        (f"{HERE}:Accumulation,passes=3", "'passes=3' is not an option of .*; its options: parts=…"),
    ],
)
def test_mistakes_are_named(spec: str, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        registry.create(spec)
