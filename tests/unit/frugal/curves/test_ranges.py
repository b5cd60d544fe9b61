"""Draws: functions of ranges and number, within their ranges, uniform in the logarithm."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from statistics import correlation

import pytest

from frugal.curves.ranges import load, parse
from frugal.errors import ConfigError
from tests.unit.frugal.curves.builders import SMALL, small


def test_a_draw_depends_on_its_number_alone() -> None:
    """Not on what was drawn before it."""
    one, other = small(), small()
    backwards = {index: other.draw(index) for index in reversed(range(20))}
    assert all(one.draw(index) == backwards[index] for index in range(20))
    assert len({str(draw.values) for draw in backwards.values()}) == 20


def test_a_draw_is_the_same_in_every_process() -> None:
    """Python's hashes of texts are salted: none of them is in it."""
    code = "from frugal.curves.ranges import load; print(sorted(load().draw(11).values.items()), load().digest)"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(answers) == 1


def test_another_range_of_one_parameter_leaves_the_others_values() -> None:
    before = small()
    after = parse(SMALL.replace("lr = {log_uniform = [0.001, 0.1]}", "lr = {log_uniform = [1.0, 2.0]}"))
    for index in range(10):
        changed = {name for name, value in before.draw(index).values.items() if after.draw(index).values[name] != value}
        assert changed == {"lr"}
    assert before.digest != after.digest


def test_parameters_are_drawn_independently() -> None:
    """Learning rate and width of 400 draws: their logarithms' correlation is within three standard errors of none."""
    draws = [small().draw(index) for index in range(400)]
    rates, widths = ([math.log(draw.number(name)) for draw in draws] for name in ("lr", "width"))
    assert abs(correlation(rates, widths)) < 3 / math.sqrt(399)


def test_comments_do_not_make_other_ranges() -> None:
    assert parse(SMALL + "\n# a word\n").digest == small().digest


def test_a_range_is_uniform_in_the_logarithm() -> None:
    """Each decade of the learning rate gets its share, to three standard deviations of 800 draws."""
    ranges = parse(SMALL.replace("[0.001, 0.1]", "[0.0001, 1.0]"))
    rates = [ranges.draw(index).number("lr") for index in range(800)]
    decades = Counter(math.floor(math.log10(rate)) for rate in rates)
    assert min(rates) >= 0.0001
    assert max(rates) <= 1.0
    for decade in (-4, -3, -2, -1):
        assert decades[decade] == pytest.approx(200, abs=3 * math.sqrt(800 * 0.25 * 0.75))


def test_zero_comes_as_often_as_it_is_said() -> None:
    zeros = sum(small().draw(index).number("weight_decay") == 0 for index in range(800))
    assert zeros == pytest.approx(240, abs=3 * math.sqrt(800 * 0.3 * 0.7))


def test_names_come_by_their_weights() -> None:
    ranges = load()
    counted = Counter(ranges.draw(index).text("data") for index in range(600))
    assert counted["digits"] == pytest.approx(400, abs=3 * math.sqrt(600 * 2 / 9))
    assert counted.keys() == {"digits", "fashion-mnist"}


def test_the_committed_ranges_are_those_that_were_recorded_with() -> None:
    """Changing them makes another recording: this digest then changes with it, on purpose."""
    assert load().digest == "c8f73109692377d7"


@pytest.mark.parametrize(
    "table",
    [
        *("{log_uniform = [0, 1]}", "{log_uniform = [2, 1]}", "{uniform = [1, 2]}", "{weights = {}}"),
        *("{weights = {a = 0}}", "{weights = {a = 'x'}}", "{log_uniform = ['a', 1]}", "{log_uniform = [1, inf]}", "3"),
        *("{log_uniform = [0.2, 5], integer = true}", "{log_uniform = [1, 5], zero = 2.0}"),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_refused_by_its_name(table: str) -> None:
    with pytest.raises(ConfigError, match=r"ranges\.lr"):
        parse(f"seed = 1\n[parameters]\nlr = {table}\n")
