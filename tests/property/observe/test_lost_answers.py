"""An answer that is lost decides nothing: what was promised stays promised until the world is seen."""

from __future__ import annotations

import pytest

from ballast.observe.cluster_state import Kind
from tests.builders import job, node
from tests.property.observe.operated import Operator
from tests.property.observe.world import Outcome, World


def two_jobs_for_one_gpu() -> tuple[World, Operator]:
    world = World([node("a").with_gpus("A100", 1)], [])
    for name in ("first", "second"):
        world.user_creates(job(name).with_gpus(1))
    return world, Operator(world)


def cycle(operator: Operator) -> None:
    operator.begins_cycle()
    operator.ends_cycle()


def everything_is_answered(operator: Operator) -> None:
    while operator.under_way:
        operator.under_way[0].answer(Outcome.DONE)


@pytest.mark.parametrize("outcome", [Outcome.ANSWER_LOST, Outcome.UNREACHED])
def test_an_admission_without_an_answer_keeps_its_promise_until_it_is_looked_up(outcome: Outcome) -> None:
    world, operator = two_jobs_for_one_gpu()
    cycle(operator)
    admission, explanation = operator.under_way
    explanation.answer(Outcome.DONE)
    admission.answer(outcome)
    # No news has arrived yet: the operator must not believe that the GPU is free.
    world.now += 100
    cycle(operator)
    everything_is_answered(operator)
    cycle(operator)
    everything_is_answered(operator)
    world.check()
    assert sum(obj["status"].get("phase") == "Placing" for obj in world.objects[Kind.TRAINING_JOB].values()) == 1


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("hears_news", [True, False])
def test_a_pod_is_ungated_once_however_its_first_patch_ends(outcome: Outcome, hears_news: bool) -> None:
    world, operator = two_jobs_for_one_gpu()
    patched = False
    for _ in range(8):
        gated = any(pod["spec"]["schedulingGates"] for pod in world.objects[Kind.POD].values())
        if hears_news or not patched:
            for event in world.log:
                operator.hears(*event)
        world.now += 100
        cycle(operator)
        if gated and operator.under_way and not patched:
            operator.under_way[0].answer(outcome)
            patched = True
        everything_is_answered(operator)
        for verb, uid in world.steps():
            if verb == "control":
                world.step(verb, uid)
        world.check()
    assert list(world.ungated.values()) == [1]
