"""Whose the joules are: idle shared among holders, active by use, the rest nobody's; and all of them are somebody's."""

from __future__ import annotations

import pytest

from ballast.agent.metering.attribution import GpuShares, split_cpu, split_gpu
from ballast.agent.node.holders import Holder

A, B = Holder("a"), Holder("b")


def told(shares: GpuShares) -> list[float]:
    """Return active and idle joules of each holder, one after the other."""
    return [part for share in shares.holders for part in (share.active, share.idle)]


def test_a_gpu_that_nobody_holds_is_nobody_s() -> None:
    assert split_gpu(100, 1, 40, []) == GpuShares((), 100)


def test_one_holder_of_a_whole_gpu_has_all_of_it() -> None:
    shares = split_gpu(300, 2, 40, [A], [0.0], others=0.7)
    assert told(shares) == [220, 80]
    assert shares.unattributed == 0


def test_idle_is_never_more_than_was_used() -> None:
    assert told(split_gpu(30, 1, 40, [A])) == [0, 30]


def test_idle_is_split_alike_and_active_by_use() -> None:
    shares = split_gpu(340, 1, 40, [A, B], [0.6, 0.2])
    assert told(shares) == pytest.approx([225, 20, 75, 20])
    assert shares.unattributed == 0


def test_without_use_active_is_split_alike() -> None:
    assert told(split_gpu(240, 1, 40, [A, B], [0, 0])) == [100, 20, 100, 20]
    assert told(split_gpu(240, 1, 40, [A, B])) == [100, 20, 100, 20]


def test_what_others_used_is_nobody_s() -> None:
    shares = split_gpu(240, 1, 40, [A, B], [0.25, 0.25], others=0.5)
    assert told(shares) == pytest.approx([50, 20, 50, 20])
    assert shares.unattributed == pytest.approx(100)


def test_mig_shares_idle_by_slices_and_leaves_free_ones_to_nobody() -> None:
    small, large = Holder("a", "MIG-a", 1, 7), Holder("b", "MIG-b", 3, 7)
    shares = split_gpu(170, 1, 70, [small, large], [0.5, 0.5])
    assert told(shares) == pytest.approx([50, 10, 50, 30])
    assert shares.unattributed == pytest.approx(30)


def test_a_single_mig_holder_does_not_pay_for_free_slices() -> None:
    shares = split_gpu(170, 1, 70, [Holder("a", "MIG-a", 2, 7)], [1.0])
    assert told(shares) == pytest.approx([100, 20])
    assert shares.unattributed == pytest.approx(50)


def test_without_use_mig_is_split_by_slices() -> None:
    small, large = Holder("a", "MIG-a", 1, 4), Holder("b", "MIG-b", 3, 4)
    assert told(split_gpu(80, 1, 40, [small, large], [0, 0])) == pytest.approx([10, 10, 30, 30])


def test_one_pod_may_hold_two_mig_devices() -> None:
    parts = [Holder("a", "MIG-a", 2, 4), Holder("a", "MIG-b", 2, 4)]
    assert told(split_gpu(140, 1, 40, parts, [1, 0])) == pytest.approx([100, 20, 0, 20])


def test_cpu_time_decides_and_idle_stays_with_the_node() -> None:
    shares = split_cpu(100, 1, 20, [1.0, 2.0], busy_seconds=4.0)
    assert shares.active == pytest.approx([20, 40])
    assert shares.unattributed == pytest.approx(40)


def test_a_node_on_which_no_pod_ran_charges_nobody() -> None:
    shares = split_cpu(100, 1, 20, [0.0, 0.0], busy_seconds=1.0)
    assert (list(shares.active), shares.unattributed) == ([0, 0], 100)
    assert split_cpu(100, 1, 20, [], busy_seconds=0.0).unattributed == 100


def test_pods_whose_clock_runs_ahead_of_the_node_s_ran_alone() -> None:
    shares = split_cpu(100, 1, 20, [0.5, 0.5], busy_seconds=0.9)
    assert shares.active == pytest.approx([40, 40])
    assert shares.unattributed == pytest.approx(20)
