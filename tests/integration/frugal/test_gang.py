"""Two processes train as one: same steps, same gradients, same end, also when interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.frugal.builders import blobs, config, newest, same, train, weights
from tests.unit.frugal.toys import NoDropout

from .gang import EXAMPLES, INTERRUPTED_AFTER
from .processes import TORCHRUN, environment, free_port, gang_member, started


@dataclass(frozen=True)
class Gang:
    """What the processes left behind."""

    directory: Path
    results: list[dict[str, dict[str, Any]]]  # by rank


@pytest.fixture(scope="module")
def gang(tmp_path_factory: pytest.TempPathFactory, bytecode: Path) -> Gang:
    directory = tmp_path_factory.mktemp("gang")
    command = (*TORCHRUN, "-m", "tests.integration.frugal.gang", str(directory))
    member = gang_member(nodes=1, node=0, processes=2, port=free_port())
    with started(command, environment(bytecode, member)) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    return Gang(directory, [json.loads((directory / f"rank-{rank}.json").read_text()) for rank in (0, 1)])


def test_both_report_the_same(gang: Gang) -> None:
    assert gang.results[0] == gang.results[1]


def test_signal_to_one_stops_both_after_the_same_step(gang: Gang) -> None:
    for results in gang.results:
        assert results["broken"]["outcome"] == "interrupted"
        assert (results["broken"]["steps"], results["broken"]["exit_status"]) == (INTERRUPTED_AFTER, 143)


def test_resumed_ends_as_the_uninterrupted_bit_for_bit(gang: Gang) -> None:
    assert gang.results[0]["resumed"]["resumed_from_step"] == INTERRUPTED_AFTER
    whole, broken = newest(gang.directory / "whole"), newest(gang.directory / "broken")
    for state in (whole, broken):
        state["position"].pop("seconds")
    assert len(whole["streams"]) == 2
    assert not same(whole["streams"][0], whole["streams"][1])
    assert same(whole, broken)


def test_gradients_are_those_of_one_process(gang: Gang, tmp_path: Path) -> None:
    alone = train(config(tmp_path), [NoDropout()], data=blobs(train=EXAMPLES))
    together = gang.results[0]["plain"]
    assert (together["steps"], together["samples"]) == (alone.steps, alone.samples) == (21, 3 * EXAMPLES)
    assert together["val_accuracy"] == alone.val_accuracy
    assert together["val_loss"] == pytest.approx(alone.val_loss, rel=1e-4)
    assert together["loss"] == pytest.approx(alone.loss, rel=1e-4)
    for name, weight in weights(tmp_path).items():
        torch.testing.assert_close(weight, weights(gang.directory / "plain")[name], rtol=1e-3, atol=1e-5)


def test_one_process_may_end_the_run_for_all(gang: Gang) -> None:
    first, second = (results["early"] for results in gang.results)
    assert first["steps"] == second["steps"] == 5
    assert first["outcome"] == second["outcome"] == "completed"
    assert first["stop_reason"] == "the second process has seen enough"


def test_a_compiled_gang_learns_what_one_that_is_not_compiled_does(gang: Gang) -> None:
    plain, compiled = (weights(gang.directory / name) for name in ("plain", "compiled"))
    assert gang.results[0]["compiled"]["steps"] == gang.results[0]["plain"]["steps"]
    assert plain.keys() == compiled.keys()
    for name, weight in plain.items():
        torch.testing.assert_close(compiled[name], weight, rtol=1e-3, atol=1e-5)
