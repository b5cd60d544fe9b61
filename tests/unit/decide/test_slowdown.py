"""What the GPU model costs of the allowed slowdown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.decide.points.slowdown import model_cost
from ballast.decide.snapshot import Context, Job
from tests.auto_builders import auto_job, known
from tests.builders import JobBuilder, NodeBuilder, context, node

A40 = node("a").with_gpus("A40", 8)
A100 = node("b").with_gpus("A100", 8)
RATIO = 2.0 / 1.18


def cost(*nodes: NodeBuilder, of: JobBuilder | None = None) -> float:
    job: Job = replace((of or auto_job()).build(), learned=known())
    return model_cost(job, context(nodes))


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ((A40,), 1.0),
        ((A40, A100), RATIO),
        ((A40, A100.cordoned()), RATIO),
        ((A40, A100.not_ready()), RATIO),
        ((A40, A100.tainted("team", "other")), 1.0),
        ((A40, node("c").with_gpus("K80", 8)), 1.0),
        ((), 1.0),
    ],
)
def test_it_is_the_time_over_that_on_the_fastest_eligible_model(nodes: tuple[NodeBuilder, ...], found: float) -> None:
    assert cost(*nodes) == pytest.approx(found)


def test_a_model_of_which_there_are_too_few_is_none_to_compare_with() -> None:
    assert cost(A40, node("b").with_gpus("A100", 1), of=auto_job(pods=2)) == 1.0


def test_nodes_are_looked_at_once_in_a_cycle() -> None:
    at: Context = context([A40, A100])
    job = replace(auto_job().build(), learned=known())
    first = model_cost(job, at)
    assert model_cost(job, replace(at, nodes={})) == first
