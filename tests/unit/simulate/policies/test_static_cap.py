"""The static cap: one share of the maximum for every GPU, within what its board takes."""

from __future__ import annotations

import pytest

from ballast.errors import UserError
from ballast.simulate.policies.static_cap import static_cap
from tests.unit.simulate.policies.views import cluster, job, limits, starts


def test_every_gpu_model_is_capped_at_the_share_of_its_own_maximum() -> None:
    where = cluster(v100=1, a40=1).waiting(job("a", 8), job("b", 8))
    assert sorted(limits(static_cap(0).decide(where.view)).values()) == pytest.approx([175.0, 210.0])


def test_the_cap_is_not_below_what_the_board_takes() -> None:
    where = cluster(v100=1).waiting(job("a"))
    assert limits(static_cap(0, share=0.1).decide(where.view)) == {"a": 100.0}


def test_it_packs() -> None:
    where = cluster(v100=2).running(job("there", 4), "v100-1").waiting(job("new"))
    assert starts(static_cap(0).decide(where.view)) == {"new": {"v100-1": 1}}


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UserError, match=r"share: .* give a share"):
        static_cap(0, share=share)
