"""Real training counts only with an accuracy that it reports itself."""

from __future__ import annotations

import pytest

from tests.demo.checks import untrained
from tests.unit.demo.builders import REAL, gang_of, gpu_gang, last_words, pod_of, real_gang

ALONE = real_gang(replicas=1)


def test_a_trained_gang_is_well() -> None:
    assert untrained(real_gang(), gang_of(real_gang(), REAL)) == []


def test_simulated_jobs_need_no_accuracy() -> None:
    assert untrained(gpu_gang(), [pod_of(gpu_gang(), REAL, 0, last_words="")]) == []


@pytest.mark.parametrize("words", ["", "not JSON", "[]", '{"outcome": "completed"}'])
def test_no_accuracy(words: str) -> None:
    pod = pod_of(ALONE, REAL, 0, last_words=words)
    assert untrained(ALONE, [pod]) == [f"pod digits-1-0-abcde reports no accuracy (its last words: {words!r})"]


@pytest.mark.parametrize("accuracy", [0.1, 0.899, 1.01, float("nan")])
def test_an_accuracy_that_is_not_good_enough_or_not_one(accuracy: float) -> None:
    pod = pod_of(ALONE, REAL, 0, last_words=last_words(accuracy, processes=1))
    assert untrained(ALONE, [pod]) == [
        f"pod digits-1-0-abcde reached accuracy {accuracy:.3f}, at least 0.9 was wanted",
    ]


def test_a_gang_whose_pods_trained_each_for_itself() -> None:
    pods = [pod_of(real_gang(), REAL, index, last_words=last_words(processes=1)) for index in (0, 1)]
    assert untrained(real_gang(), pods) == [
        "pod digits-1-0-abcde trained with 1 processes instead of 2",
        "pod digits-1-1-abcde trained with 1 processes instead of 2",
    ]
