"""A gang is whole only if each of its pods was there, succeeded, and ran while the others did."""

from __future__ import annotations

from tests.demo.checks import incomplete_gang
from tests.unit.demo.builders import A100, gang_of, gpu_gang, pod_of

GANG = gpu_gang()


def test_a_whole_gang_is_well() -> None:
    assert incomplete_gang(GANG, gang_of(GANG, A100)) == []


def test_a_missing_pod() -> None:
    assert incomplete_gang(GANG, [pod_of(GANG, A100, 0)]) == ["should have pods 0 to 1, one each, and has [0]"]


def test_no_pods_at_all() -> None:
    assert incomplete_gang(GANG, []) == ["should have pods 0 to 1, one each, and has none"]


def test_a_pod_that_was_made_twice() -> None:
    pods = [pod_of(GANG, A100, 0), pod_of(GANG, A100, 1), pod_of(GANG, A100, 1)]
    assert incomplete_gang(GANG, pods) == ["should have pods 0 to 1, one each, and has [0, 1, 1]"]


def test_a_failed_pod() -> None:
    pods = [pod_of(GANG, A100, 0), pod_of(GANG, A100, 1, phase="Failed")]
    assert incomplete_gang(GANG, pods) == ["pod gang-1-1-abcde is Failed"]


def test_pods_that_ran_one_after_the_other() -> None:
    pods = [pod_of(GANG, A100, 0), pod_of(GANG, A100, 1, started_at=135.0, finished_at=150.0)]
    assert incomplete_gang(GANG, pods) == ["its pods never ran together: one started 5 s after another's end"]


def test_a_pod_without_times() -> None:
    pods = [pod_of(GANG, A100, 0), pod_of(GANG, A100, 1, started_at=None)]
    assert incomplete_gang(GANG, pods) == ["has pods that do not say when they ran"]
