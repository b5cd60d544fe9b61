"""The container's last words fit, parse, and are left only where there is a place for them."""

from __future__ import annotations

import json
from pathlib import Path

from frugal.results import TrainingResult, termination_message
from frugal.technique import Value
from frugal.termination import MESSAGE_BYTES, write_message


def _result(figures: dict[str, Value]) -> TrainingResult:
    return TrainingResult(
        outcome="completed",
        data="digits",
        model="mlp",
        seed=0,
        device="cpu",
        processes=1,
        parameters=10,
        epochs=1,
        steps=2,
        samples=3,
        seconds=1.0,
        samples_per_second=3.0,
        loss=float("inf"),
        accuracy=1 / 3,
        techniques={"toy": figures},
    )


def test_result_is_strict_json() -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    fields = json.loads(termination_message(_result({"sparsity": 0.5})), parse_constant=refuse)
    assert (fields["loss"], fields["accuracy"]) == ("inf", 0.333333)
    assert fields["techniques"] == {"toy": {"sparsity": 0.5}}
    assert "signal" not in fields


def test_too_many_figures_are_left_out() -> None:
    text = termination_message(_result({f"figure{n}": n for n in range(1000)}))
    assert len(text) <= MESSAGE_BYTES
    assert json.loads(text)["outcome"] == "completed"


def test_nothing_is_written_outside_a_container(tmp_path: Path) -> None:
    write_message("words", tmp_path / "termination-log")
    assert list(tmp_path.iterdir()) == []


def test_message_is_cut_to_what_kubernetes_shows(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.touch()
    write_message("x" * 5000, path)
    assert path.stat().st_size == MESSAGE_BYTES
