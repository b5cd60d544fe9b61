"""What boards have in common is told, and nothing that holds of some of them only."""

from __future__ import annotations

import pytest

from ballast.api.nodestatus import GpuStatus
from ballast.decide.gpu_asks import HeldGpu
from ballast.decide.model.prediction import GpuRange
from ballast.observe.boards import LEAST_IDLE_WATTS, Boards, boards_of, in_common
from tests.builders import job, pod
from tests.power_builders import gpu, on_gpus
from tests.unit.observe.learned import MODEL, board

JOB = on_gpus(job("train").with_gpus(1).running_on("a"))
POD = pod(0, JOB).running_on("a")


def range_of(*gpus: GpuStatus) -> GpuRange | None:
    boards = in_common(gpus)
    return boards.range if boards is not None else None


def test_boards_that_are_alike() -> None:
    assert in_common([board("GPU-0", idle=30), board("GPU-1", idle=34)]) == Boards(
        MODEL, (100.0, 300.0), 1_740_000_000, 32.0
    )
    assert range_of(board("GPU-0", idle=30), board("GPU-1", idle=34)) == GpuRange(MODEL, 100.0, 300.0, 32.0)


def test_the_mean_of_boards_that_are_nearly_alike_is_one_for_many_jobs() -> None:
    assert range_of(*(board(f"GPU-{each}", idle=idle) for each, idle in enumerate((30, 30, 30, 31)))) == range_of(
        board()
    )


def test_no_boards() -> None:
    assert in_common([]) is None


def test_a_board_that_tells_no_idle_power_is_taken_for_one_like_the_others() -> None:
    assert range_of(board("GPU-0", idle=None), board("GPU-1", idle=34)) == GpuRange(MODEL, 100.0, 300.0, 34.0)
    assert range_of(board(idle=None)) is None
    assert range_of(board(idle=0)) == GpuRange(MODEL, 100.0, 300.0, LEAST_IDLE_WATTS)


@pytest.mark.parametrize(
    "others",
    [
        [board("GPU-1", found=250)],
        [board("GPU-1", model="NVIDIA-A100")],
        [board("GPU-1", found=None)],
        [gpu("GPU-1")],  # its limit cannot be set
        [board("GPU-1").model_copy(update={"mig": True})],
    ],
)
def test_there_is_no_range_of_boards_that_differ_or_cannot_be_set(others: list[GpuStatus]) -> None:
    assert range_of(board("GPU-0"), *others) is None


def test_what_differs_is_not_told_and_the_rest_is() -> None:
    found = in_common([board("GPU-0"), board("GPU-1", found=250)])
    assert found == Boards(MODEL, None, 1_740_000_000, 30.0)


def test_a_jobs_are_those_of_all_its_nodes() -> None:
    a40, another = in_common([board()]), in_common([board(found=250)])
    gang = on_gpus(job("train").with_gpus(1).replicas(2).placed_on("a", "b")).build()
    assert boards_of(gang, {"a": a40, "b": a40}.get, lambda _: {}) == a40
    assert boards_of(gang, {"a": a40}.get, lambda _: {}) is None
    assert boards_of(gang, {"a": a40, "b": another}.get, lambda _: {}) == Boards(MODEL, None, 1_740_000_000, 30.0)


def test_a_job_without_gpus_has_none() -> None:
    assert boards_of(job("train").running_on("a").build(), {"a": in_common([board()])}.get, lambda _: {}) is None


def test_where_the_boards_of_a_node_differ_those_count_that_it_holds() -> None:
    boards = {"GPU-0": board("GPU-0"), "GPU-1": board("GPU-1", found=250)}
    node = {"a": in_common(boards.values())}.get
    assert boards_of(JOB.with_pods(POD).build(), node, lambda _: boards) == in_common(boards.values())
    held = JOB.with_pods(POD).holding({POD.uid: (HeldGpu("GPU-1", 250.0),)}).build()
    assert boards_of(held, node, lambda _: boards) == in_common([boards["GPU-1"]])
