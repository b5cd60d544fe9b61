"""When a gang will fit on GPUs of a model."""

from __future__ import annotations

import math

from ballast.decide.gpu_models import V100
from ballast.decide.outlook import OVERDUE_SECONDS, Outlook
from tests.builders import NOW
from tests.prospect_builders import gang, outlook

FULL = {"v": 0}


def fits_after(seen: Outlook, gpus: int, free: dict[str, int], replicas: int = 1) -> float:
    return seen.fits_at(gang(gpus, replicas=replicas), V100, free) - NOW


def test_it_is_when_enough_gpus_are_free_together() -> None:
    seen = outlook(v=((100.0, 1), (200.0, 2), (300.0, 4)))
    assert [fits_after(seen, gpus, FULL) for gpus in (1, 2, 3, 4, 7)] == [100, 200, 200, 300, 300]


def test_those_that_are_free_now_count() -> None:
    assert fits_after(outlook(v=((100.0, 1),)), 4, {"v": 3}) == 100


def test_gpus_that_are_scattered_over_nodes_take_no_pod() -> None:
    seen = outlook(v=((300.0, 2),), w=((100.0, 1),))
    assert fits_after(seen, 4, {"v": 2, "w": 2}) == 300


def test_a_gang_of_several_pods_fits_once_each_of_them_does() -> None:
    seen = outlook(v=((100.0, 8),), w=((500.0, 8),), x=((300.0, 8),))
    assert fits_after(seen, 8, {"v": 0, "w": 0, "x": 0}, replicas=2) == 300


def test_nobody_knows_when_more_will_be_free_than_anybody_gives_back() -> None:
    assert fits_after(outlook(v=((100.0, 1),)), 2, FULL) == math.inf
    assert fits_after(outlook(), 1, FULL) == math.inf


def test_those_who_wait_already_come_first() -> None:
    seen = outlook(v=((100.0, 1), (200.0, 2)))
    seen.wait_for(V100, 1)
    assert fits_after(seen, 1, FULL) == 200


def test_an_estimate_that_is_over_is_not_believed_any_more() -> None:
    assert fits_after(outlook(v=((-50.0, 1),)), 1, FULL) == OVERDUE_SECONDS


def test_a_node_is_clear_once_all_that_is_needed_of_it_is() -> None:
    seen = outlook(v=((100.0, 1), (200.0, 2)))
    assert [seen.clear_at("v", gpus, free=5) - NOW for gpus in (5, 6, 8)] == [0, 100, 200]
    assert seen.clear_at("v", 8, free=4) == math.inf
