"""``frugal estimate``: calls estimates by their name, shows gaps with their reason, and knows a spiking result."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

from frugal.costs import command
from frugal.costs.catalogue import TECHNOLOGIES

SPIKING = {
    "time_steps": 4,
    "synaptic_operations_per_example": 3000.0,
    "neuron_updates_per_example": 768,
    "first_layer_macs": 2048,
    "dense_macs": 10496,
}
RESULT: dict[str, Any] = {"model": "mlp", "data": "digits", "parameters": 10692, "techniques": {"spiking": SPIKING}}


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="frugal")
    command.add_parser(parser.add_subparsers(dest="command"))
    return command.run(parser.parse_args(["estimate", *arguments]))


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(RESULT) + "\n")
    return path


def estimates(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    assert run(*arguments, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "estimate"
    return {(row["technology"], row["case"]): row for row in told["estimates"]}


def test_joules_of_a_dense_model_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    rows = estimates(capsys, "--model", "mlp", "--shape", "1x4x4", "--classes", "4", "--batch", "2")
    macs = 16 * 128 + 128 * 64 + 64 * 4
    weights = macs + 128 + 64 + 4
    row = rows["45nm", "mlp fp32"]
    assert row["by_operation"] == pytest.approx({"mac-fp32": macs * 4.6e-12})
    assert row["by_byte"] == pytest.approx({"dram": weights * 4 / 2 * 162.5e-12})
    assert row["estimated_joules"] == pytest.approx(sum(row["by_operation"].values()) + sum(row["by_byte"].values()))
    assert {technology for technology, _ in rows} == TECHNOLOGIES.keys()


def test_weights_can_be_free_or_read_for_each_operation(capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", "mlp", "--shape", "1x4x4", "--classes", "4", "--precision", "int8", "--technology", "45nm")
    assert estimates(capsys, *model, "--weights", "free")["45nm", "mlp int8"]["by_byte"] == {}
    row = estimates(capsys, *model, "--weights", "sram")["45nm", "mlp int8"]
    assert row["by_byte"] == pytest.approx({"sram": (16 * 128 + 128 * 64 + 64 * 4) * 12.5e-12})


def test_a_technology_without_a_figure_gets_no_number_but_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", "mlp", "--shape", "1x4x4", "--technology", "loihi")
    row = estimates(capsys, *model)["loihi", "mlp fp32"]
    assert row["estimated_joules"] is None
    assert "'loihi' has no figure for the operation 'mac-fp32'" in row["reason"]
    assert run(*model) == 0
    table = capsys.readouterr().out
    assert re.search(r"^loihi +-$", table, re.MULTILINE)
    assert "'loihi' has no figure for the operation 'mac-fp32'" in table


def test_a_spiking_result_stands_beside_its_dense_twin(capsys: pytest.CaptureFixture[str], result: Path) -> None:
    rows = estimates(capsys, "--result", str(result), "--weights", "free")
    assert rows["45nm", "mlp fp32"]["estimated_joules"] == pytest.approx(10496 * 4.6e-12)
    assert rows["45nm", "spiking fp32"]["estimated_joules"] == pytest.approx(
        (2048 * 4.6 + 3000 * 0.9 + 768 * 5.5) * 1e-12
    )
    assert rows["loihi", "spiking fp32"]["estimated_joules"] is None  # the first layer multiplies
    coded = RESULT | {"techniques": {"spiking": SPIKING | {"first_layer_macs": 0}}}
    result.write_text(json.dumps(coded))
    rows = estimates(capsys, "--result", str(result))
    assert rows["loihi", "spiking fp32"]["estimated_joules"] == pytest.approx((3000 * 23.6 + 768 * 81) * 1e-12)


def test_a_pruned_result_stands_beside_what_it_was(capsys: pytest.CaptureFixture[str], result: Path) -> None:
    figures = {"flops_before": 200, "flops_after": 50, "parameters_before": 100, "parameters_after": 25}
    result.write_text(json.dumps(RESULT | {"techniques": {"pruning": figures, "mixup": {}}}))
    assert run("--result", str(result), "--technology", "45nm", "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == "not reflected in the estimates: mixup\n"
    before, after = json.loads(captured.out)["estimates"]
    assert after["estimated_joules"] == pytest.approx(before["estimated_joules"] / 4)
    assert after["by_operation"] == pytest.approx({"mac-fp32": 25 * 4.6e-12})


def test_the_table_says_that_nothing_is_measured_and_what_is_saved(
    capsys: pytest.CaptureFixture[str], result: Path
) -> None:
    assert run("--result", str(result), "--weights", "free", "--technology", "45nm", "--sources") == 0
    table = capsys.readouterr().out
    assert table.startswith("energy of one inference, estimated from published figures; nothing here is measured\n")
    spiking, dense = 2048 * 4.6 + 3000 * 0.9 + 768 * 5.5, 10496 * 4.6
    assert f"{100 * (1 - spiking / dense):.1f} %" in table
    assert "mac-fp32: 4.6 pJ; Horowitz, Computing's energy problem" in table
    assert TECHNOLOGIES["45nm"].remarks in table


@pytest.mark.parametrize("given", [("--model", "cnn"), ("--data", "digits"), ("--shape", "1x4x4"), ("--classes", "10")])
def test_what_a_result_says_itself_is_refused_beside_it(
    capsys: pytest.CaptureFixture[str], result: Path, given: tuple[str, str]
) -> None:
    """Also where it is what the default would be: it would be ignored."""
    assert run("--result", str(result), *given) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    option, value = given
    remedy = f"--result has its own: leave out {option}, or leave out --result"
    assert captured.err == f"frugal estimate: error: {option} {value}: {remedy}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--shape", "28x28"), 2, "--shape 28x28: write channels, height and width: 3x32x32"),
        (("--shape", "1x0x4"), 2, "--shape 1x0x4"),
        (("--shape", "1x4x4", "--classes", "0"), 2, "--classes 0"),
        (("--batch", "0"), 2, "--batch 0: use a whole number of at least 1"),
        (("--model", "vgg19", "--shape", "1x4x4"), 2, "--model vgg19: use one of"),
        (("--result", "/nowhere.json"), 2, "--result /nowhere.json: not the result of frugal train"),
        (("--data", "fashion-mnist", "--data-dir", "/nowhere"), 1, "not found: install"),
    ],
)
def test_mistakes_end_in_one_line_that_helps(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    assert run(*arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("frugal estimate: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
