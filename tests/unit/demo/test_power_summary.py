"""The part of the last page about the power of GPUs."""

from __future__ import annotations

import io

from rich.console import Console

from tests.demo import summary
from tests.demo.gpu_power import GpuPower
from tests.unit.demo.power_builders import free_use, gpu, limited_use, power_of


def _rows(power: GpuPower) -> list[str]:
    out = Console(file=io.StringIO(), width=160)
    out.print(summary.power_table(power))
    assert isinstance(out.file, io.StringIO)
    return [" ".join(line.split()) for line in out.file.getvalue().splitlines()[1:]]


def test_a_row_for_each_training() -> None:
    assert _rows(power_of()) == [
        "free V100 250 W 250 W 180 W 3.60 kJ 180.0 mJ 20 s left as it was found",
        "limited V100 250 W 150 W 126 W 2.77 kJ 138.6 mJ 22 s confirmed 0.3 s after it was asked for",
    ]


def test_what_is_not_known_is_said_so() -> None:
    unknown = limited_use(gpu=gpu("GPU-2"), joules=None, seconds=None)
    assert _rows(power_of([unknown])) == ["limited V100 250 W 250 W unknown unknown unknown never confirmed"]


def test_both_trainings_are_compared() -> None:
    compared, _ = (line.plain for line in summary.power_lines(power_of()))
    assert compared == (
        "limited against free: 30 % less power, 23 % less energy, 23 % less energy a sample, 10 % more time."
    )


def test_what_stays_the_same_is_said_so() -> None:
    compared, *_ = summary.power_lines(power_of([free_use(), limited_use(seconds=20.0)]))
    assert compared.plain.endswith("as much time.")


def test_where_the_gpu_was_hardly_used_the_limit_is_said_to_bind_nothing() -> None:
    power = power_of([free_use(joules=1000.0), limited_use(joules=1000.0)])
    _, told, _ = (line.plain for line in summary.power_lines(power))
    assert told == (
        "free drew less than the limit of limited, so that this had little to hold back: on this busy machine the"
        " trainers got too little CPU time."
    )


def test_gpus_of_two_models_are_not_compared() -> None:
    [line] = summary.power_lines(power_of([free_use(gpu=gpu("GPU-1", model="A40")), limited_use()]))
    assert "against" not in line.plain


def test_every_gpu_back_at_its_original_limit() -> None:
    *_, restored = summary.power_lines(power_of())
    assert restored.plain == (
        "✓ All 2 GPUs are back at their original power limit (250 W), read from the boards themselves"
    )


def test_a_gpu_that_is_still_limited() -> None:
    *_, restored = summary.power_lines(power_of(after={"GPU-1": 250.0, "GPU-2": 150.0}))
    assert restored.plain == ("✗ Without their original power limit: 1 of 2 GPUs, read from the boards themselves")


def test_no_gpus_are_no_success() -> None:
    *_, restored = summary.power_lines(power_of(before={}, after={}))
    assert restored.plain.startswith("✗")
