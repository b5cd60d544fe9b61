"""The committed recording: enough, small enough, drawn from the committed ranges, of every course."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from frugal.curves import ranges, recording
from frugal.curves.summary import Course, course

RECORDED = Path(ranges.__file__).with_name("recorded") / "curves.jsonl.gz"

pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason="nothing is recorded here")


def test_it_holds_the_first_300_draws_or_more_of_the_committed_ranges_and_leaves_none_out() -> None:
    """Also those of Fashion-MNIST: it was made where both data sets are."""
    drawn_from, made = ranges.load(), recording.read(RECORDED)
    assert made.ranges.digest == drawn_from.digest
    assert len(made.curves) >= 300
    assert [one.draw for one in made.curves] == [drawn_from.draw(index) for index in range(len(made.curves))]


def test_it_is_small() -> None:
    assert RECORDED.stat().st_size < 5_000_000


def test_each_training_has_20_to_60_evaluations_and_costs_that_rise() -> None:
    for one in recording.read(RECORDED).curves:
        assert len(one) == one.draw.whole("evaluations")
        assert 20 <= len(one) <= 60
        for name in ("step", "seconds", "cpu_seconds", "joules"):
            assert list(one.columns[name]) == sorted(one.columns[name])
            assert one.columns[name][0] > 0


def test_trainings_of_every_course_are_in_it() -> None:
    """Rules that stop early are judged by what they do to each kind."""
    counted = Counter(map(course, recording.read(RECORDED).curves))
    assert counted.keys() == set(Course)
    assert counted[Course.PLATEAUED] + counted[Course.OVERFIT] > 100


def test_no_estimate_is_called_a_measurement() -> None:
    assert all(one.measured == one.joules_by.startswith(("nvml", "rapl")) for one in recording.read(RECORDED).curves)


def test_as_many_convolutional_networks_never_learn_as_the_guide_says() -> None:
    """Whoever judges a rule by all trainings should know."""
    courses = Counter(course(one) for one in recording.read(RECORDED).curves if one.draw.text("model") == "cnn")
    assert (courses[Course.NEVER_LEARNED], courses[Course.DIVERGED], courses.total()) == (58, 4, 145)
