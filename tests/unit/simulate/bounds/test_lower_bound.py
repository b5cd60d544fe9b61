"""The relaxation's bound where it can be told by hand, and what it lets go of."""

from __future__ import annotations

import pytest

from ballast.errors import UserError
from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.relaxation import lower_bound
from tests.unit.simulate.bounds.instances import BASE_WATTS, IDLE_WATTS, SWITCHING, job, node, problem


def test_with_room_enough_it_is_the_optimum() -> None:
    jobs = [job("a"), job("b", slowdown=20, at=5), job("c", kind="light", gpus=2)]
    at_ease = problem(jobs, [node("o"), node("n", "new", gpus=4)], horizon=500)
    assert lower_bound(at_ease).joules == pytest.approx(optimum(at_ease).joules, rel=1e-9)


def test_all_nodes_idle_for_all_the_time_is_in_it() -> None:
    one, more = (problem([job("a")], [node(name) for name in names], 100) for names in ("x", "xyz"))
    assert lower_bound(more).joules - lower_bound(one).joules == pytest.approx(
        2 * 100 * (BASE_WATTS + 2 * IDLE_WATTS), rel=1e-9
    )


def test_not_all_jobs_can_have_the_best_gpus() -> None:
    """Four jobs would take 48 s of the one new GPU at its best; the horizon leaves it 30 s."""
    jobs = [job(name) for name in "abcd"]
    short = problem(jobs, [node("o", gpus=4), node("n", "new", gpus=1)], horizon=30)
    found = lower_bound(short)
    assert found.gpu_seconds["new"] == pytest.approx(30)
    # 30 s x 130 W do 30 s of the work; the rest of 18 s takes 24 s x 100 W on old GPUs
    assert found.dynamic_joules == pytest.approx(30 * 130 + 24 * 100)


def test_late_jobs_compete_for_the_time_that_is_left() -> None:
    """All come 10 s before the horizon: time before that is of no use to them, whatever the sum over all says."""
    jobs_at = [[job("a", seconds=8, at=at), job("b", seconds=8, at=at)] for at in (0, 83.9)]
    early, late = (problem(jobs, [node("n", gpus=1)], horizon=100) for jobs in jobs_at)
    assert lower_bound(late).dynamic_joules > lower_bound(early).dynamic_joules * 1.1


def test_deadlines_count_if_they_must_be_kept() -> None:
    jobs = [job("a", deadline=12), job("b", deadline=12), job("c")]
    kept, ignored = (lower_bound(problem(jobs, [node("n")], 100, deadlines=keep)) for keep in (True, False))
    assert kept.dynamic_joules == pytest.approx(2 * 12 * 170 + 16 * 100)
    assert ignored.dynamic_joules == pytest.approx(3 * 16 * 100)


def test_with_switching_gpus_that_are_held_are_on_and_no_others() -> None:
    found = lower_bound(problem([job("a", gpus=2)], [node("n")], 1000, options=SWITCHING))
    # with its share of standby 150 W take 16 s x 2 x (120 + 100 / 2), less than the 12 s x 2 x (190 + 50) at 200 W
    assert found.joules == pytest.approx(16 * 2 * (120 + BASE_WATTS / 2))


def test_with_switching_every_node_is_on_for_a_while_at_the_beginning() -> None:
    nodes = [node("n"), node("m", "new", gpus=1)]
    one, two = (lower_bound(problem([job("a", slowdown=0)], nodes[:n], 99, options=SWITCHING)) for n in (1, 2))
    assert one.joules == pytest.approx(12 * (190 + BASE_WATTS / 2))
    # the new GPU alone is fast enough, and the old node is on for 2 s with nothing to do
    assert two.joules == pytest.approx(8 * (290 + BASE_WATTS) + 2 * (BASE_WATTS + 2 * IDLE_WATTS))


@pytest.mark.parametrize("moments", [1, 2, 3, 7])
def test_fewer_moments_give_a_lower_bound(moments: int) -> None:
    jobs = [job(f"j{number}", seconds=8, at=10 * number) for number in range(10)]
    tight = problem(jobs, [node("n", gpus=1)], horizon=101)
    assert lower_bound(tight, moments=moments).joules <= lower_bound(tight).joules * (1 + 1e-9)


def test_what_is_left_of_the_time_is_never_rounded_down() -> None:
    for horizon in (13.3, 14.1, 15.9):
        late = problem([job("a")], [node("n")], horizon, slowdown=False)
        found, best = lower_bound(late).joules, optimum(late).joules
        assert best * 0.99 < found <= best * (1 + 1e-9)


def test_a_thousand_jobs_are_no_more_work_than_their_kinds() -> None:
    jobs = [job(f"j{number}", gpus=1 + number % 2, seconds=8 + number % 7, at=number % 50) for number in range(1000)]
    nodes = [node(f"o{number}", gpus=8) for number in range(10)]
    found = lower_bound(problem(jobs, [*nodes, node("n", "new", gpus=8)], horizon=3000))
    # the new GPUs at 200 W have room for all
    alone = sum(each.gpus * each.reference_seconds for each in jobs) * 130
    assert found.dynamic_joules == pytest.approx(alone)


def test_what_cannot_end_is_refused() -> None:
    jobs = [job(name, gpus=2) for name in "abcd"]
    with pytest.raises(UserError, match=r"4 jobs cannot end by the horizon of 40 s.*give a later horizon"):
        lower_bound(problem(jobs, [node("n")], horizon=40))
