"""A job that is stopped keeps what it has done, waits in its old place, and may go on elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ballast.simulate.engine.options import Options
from ballast.simulate.policy import Start, Step, Stop, View, WakeUp
from tests.unit.simulate.running import SLOW, Only, job, node, ran

BOTH = [node("fast"), node("slow", gpu_model=SLOW)]


def moves(view: View) -> Sequence[Step]:
    """40 s on the fast node, then at once on the slow one."""
    match view.now:
        case 0:
            return [Start("j", {"fast": 1}, 200), WakeUp(40)]
        case 40:
            return [Stop("j"), Start("j", {"slow": 1}, 200)]
        case _:
            return []


def test_work_is_kept() -> None:
    (row,) = ran(job(seconds=100), on=BOTH, policy=Only(moves)).rows
    assert [row.run_seconds, row.ended_at, row.waited_seconds] == pytest.approx([160, 160, 0])
    assert (row.gpu_model, row.stops, row.started_at) == (SLOW, 1, 0)
    assert row.dynamic_joules == pytest.approx(40 * 160 + 120 * 110)


def test_a_restart_may_take_time() -> None:
    (row,) = ran(job(seconds=100), on=BOTH, policy=Only(moves), options=Options(restart_seconds=25)).rows
    assert [row.run_seconds, row.ended_at, row.waited_seconds] == pytest.approx([160, 185, 25])


def test_a_first_start_takes_none() -> None:
    start = Only(lambda view: [Start("j", {"fast": 1}, 200)] if view.waiting else [])
    assert ran(job(), on=BOTH, policy=start, options=Options(restart_seconds=25)).rows[0].started_at == 0


def test_it_waits_in_its_old_place() -> None:
    seen: list[list[str]] = []

    def decide(view: View) -> Sequence[Step]:
        seen.append([waiting.name for waiting in view.waiting])
        match view.now:
            case 0:
                return [Start("j", {"a": 1}, 200)]
            case 10:
                return [Stop("j"), WakeUp(20)]
            case 20:
                return [Start("k", {"a": 1}, 200), Start("j", {"a": 1}, 200)]
            case _:
                return []

    done = ran(job("j"), job("k", at=10), policy=Only(decide))
    assert seen[:3] == [["j"], ["k"], ["j", "k"]]
    assert [row.waited_seconds for row in done.rows] == [10, 10]
