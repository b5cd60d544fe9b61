"""The board follows the watch."""

from __future__ import annotations

import pytest

from tests.demo.board import Board
from tests.unit.demo.builders import A100, H100, gpu_gang, told


@pytest.fixture
def board() -> Board:
    return Board([gpu_gang(), gpu_gang(name="other")], {node.name: node for node in (A100, H100)})


def test_a_job_stands_on_the_board_before_anything_is_told(board: Board) -> None:
    assert board.counts() == {"Pending": 2}


def test_a_change_of_phase_is_told_once(board: Board) -> None:
    event = told("Queued", reason="WaitingForCapacity", message="needs 8 GPUs")
    change = board.see(event)
    assert change is not None
    assert (change.before, change.job.phase) == ("Pending", "Queued")
    assert board.see(event) is None


def test_jobs_of_others_are_left_out(board: Board) -> None:
    assert board.see(told("Queued", name="stranger")) is None
    assert board.counts() == {"Pending": 2}


def test_errors_and_deletions_in_the_watch_are_left_out(board: Board) -> None:
    assert board.see({"type": "ERROR", "object": {"code": 410}}) is None
    assert board.see({**told("Failed"), "type": "DELETED"}) is None
    assert board.counts() == {"Pending": 2}


def test_who_waited_and_who_was_not_told_why(board: Board) -> None:
    board.see(told("Queued", reason="WaitingForCapacity", message="needs 8 GPUs"))
    board.see(told("Queued", name="other"))
    assert (board.waited, board.unexplained) == ({"gang", "other"}, {"other"})


def test_gpus_in_use_by_model(board: Board) -> None:
    board.see(told("Running", node="a100-1"))
    assert board.gpus_in_use() == {"A100": (8, 8), "H100": (0, 8)}


def test_a_nodes_gpus_count_once_when_a_status_is_late(board: Board) -> None:
    board.see(told("Running", node="a100-1"))
    board.see(told("Placing", name="other", node="a100-1"))
    assert board.gpus_in_use()["A100"] == (8, 8)


def test_all_have_ended(board: Board) -> None:
    board.see(told("Succeeded"))
    assert not board.done
    board.see(told("Failed", name="other"))
    assert board.done


def test_waiting_is_hopeless_when_only_impossible_jobs_are_left(board: Board) -> None:
    board.see(told("Queued", reason="ClusterTooSmall", message="needs 99 GPUs"))
    assert not board.hopeless
    board.see(told("Succeeded", name="other"))
    assert board.hopeless
    board.see(told("Queued", reason="WaitingForCapacity", message="needs 8 GPUs"))
    assert not board.hopeless
