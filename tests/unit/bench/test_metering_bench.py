"""The metering benchmark's figures: charges against counters, and a quantile that is a measured value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.metering_bench import conservation_error_percent, quantile


def saved(counter: float, unattributed: float, *pods: float) -> dict[str, Any]:
    return {
        "gpus": {"GPU-0": {"last": [1.0, counter, 100.0], "unattributedJoules": unattributed}},
        "pods": {
            f"pod-{number}": {
                "gpus": [["GPU-0", None, joules / 2, joules / 2, "Counter"], ["GPU-1", None, 7, 7, "Counter"]]
            }
            for number, joules in enumerate(pods)
        },
    }


def test_charges_that_are_what_the_board_counted_are_no_error() -> None:
    assert conservation_error_percent(saved(5000, 10), saved(6000, 110, 600, 300)) == pytest.approx(0)


@pytest.mark.parametrize("charged", [98, 102])
def test_what_is_charged_beside_it_is_told_in_percent(charged: float) -> None:
    assert conservation_error_percent(saved(5000, 0), saved(5100, 0, charged)) == pytest.approx(2)


def test_a_board_that_counted_nothing_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        conservation_error_percent(saved(5000, 0), saved(5000, 0))


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 51)]
    assert (quantile(0.99, values), quantile(0.5, values), quantile(1.0, values)) == (50, 25, 50)
