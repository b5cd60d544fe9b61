"""Whatever the curve: limits stay in range and slowdown within what is allowed; learning ends, and pays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ballast.api.jobenergy import Objective
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.prediction import GpuRange, Sample
from ballast.decide.points.choosing import Kind, choose
from ballast.decide.points.exploring import STEEPEST
from ballast.decide.points.wishes import Exploration, Wishes
from tests.curve_builders import A40, V100, MadeUpCurve
from tests.curve_learning import LearningJob

BOARDS = st.sampled_from([A40, V100, GpuRange("H100", 200.0, 700.0, 70.0), GpuRange("T4", 60.0, 70.0, 10.0)])
OBJECTIVES = st.sampled_from(list(Objective))


@st.composite
def curves(draw: st.DrawFn) -> MadeUpCurve:
    """Draw a workload that may or may not be bound by its limit, and a model that is off by up to a deviation."""
    gpu = draw(BOARDS)
    draws = draw(st.floats(0.5, 1.1)) * gpu.max_limit_watts
    exponent = draw(st.floats(0.0, 1.2))
    # Below a limit work falls with this power of it at most, and with less than a power more where it has bumps.
    floor = draw(st.floats(0.1, 0.9)) * (1 - exponent / (STEEPEST - 1.1)) * min(gpu.min_limit_watts, draws)
    bumps = draw(st.sampled_from([0.0, 0.0, 0.01, 0.05]))
    seed = draw(st.integers(0, 9))
    return MadeUpCurve(
        gpu,
        draws=draws,
        floor=floor,
        exponent=exponent,
        doubt=draw(st.floats(0.0, 1.0)),
        wrong_by=draw(st.floats(-1.0, 1.0)),
        wobble=lambda limit: _bump(limit, seed, bumps) if limit < gpu.max_limit_watts else 0.0,
    )


def _bump(limit: float, seed: int, size: float) -> float:
    return size * (1 + math.sin(17 * seed + 1.7 * limit)) / 2


@st.composite
def wishes(draw: st.DrawFn) -> Wishes:
    return Wishes(
        objective=draw(OBJECTIVES),
        max_slowdown_percent=draw(st.floats(-5.0, 60.0)),
        deadline_slowdown_percent=draw(st.none() | st.floats(-50.0, 100.0)),
        ran_seconds=draw(st.floats(0.0, 1e5)),
        left_seconds=draw(st.none() | st.floats(0.0, 1e5)),
        lost_seconds=draw(st.sampled_from([0.0, 100.0])),
        now_watts=draw(st.none() | st.floats(60.0, 700.0)),
        exploration=draw(st.sampled_from([None, Exploration()])),
    )


def samples(draw: st.DrawFn, curve: MadeUpCurve) -> list[Sample]:
    limits = st.sampled_from(candidate_limits(curve.gpu))
    errors = st.sampled_from([0.001, 0.01, 0.03])
    measured = st.builds(lambda limit, error: curve.measured(limit, error=error), limits, errors)
    return draw(st.lists(measured, max_size=6))


def _slowdown_allowed(wish: Wishes) -> float:
    allowed = [wish.max_slowdown_percent]
    if wish.deadline_slowdown_percent is not None:
        allowed.append(wish.deadline_slowdown_percent)
    if wish.objective is Objective.MINIMIZE_TIME:
        allowed.append(wish.caution.same_time_percent)
    return min(allowed)


@given(st.data(), curves(), wishes())
def test_a_limit_is_in_range_and_as_slow_as_allowed(data: st.DataObject, curve: MadeUpCurve, wish: Wishes) -> None:
    seen = data.draw(st.composite(lambda draw: samples(draw, curve))())
    limits = candidate_limits(curve.gpu)
    choice = choose(curve.after(seen), limits, seen, wish)
    assert choice.limit_watts in limits
    assert choice.message
    if choice.limit_watts == curve.gpu.max_limit_watts:
        return
    allowed = _slowdown_allowed(wish)
    if choice.kind is Kind.EXPLORE:
        assert wish.may_explore
        return
    deviations = 0.0 if choice.measured else wish.caution.deviations
    assert choice.prediction.slowdown_bound_percent(deviations) <= allowed + 1e-6
    # The model errs by no more than a deviation, so what it is sure of is true.
    if choice.kind is Kind.CHOSEN and not choice.measured:
        assert curve.true_slowdown_percent(choice.limit_watts) <= allowed + 1e-6


@given(st.data(), curves(), wishes())
def test_nothing_that_is_allowed_is_better_than_what_is_chosen(
    data: st.DataObject, curve: MadeUpCurve, wish: Wishes
) -> None:
    seen = [curve.measured(), *data.draw(st.composite(lambda draw: samples(draw, curve))())]
    wish = replace(wish, exploration=None, now_watts=None)
    limits = candidate_limits(curve.gpu)
    choice = choose(curve.after(seen), limits, seen, wish)
    if choice.kind is Kind.EXPLORE:
        return
    weight = 1 if wish.objective is Objective.BALANCED else 0
    unseen = set(limits) - {sample.limit_watts for sample in seen}
    for limit in unseen:
        other = curve.after(seen).at(limit)
        if other.slowdown_bound_percent(wish.caution.deviations) <= _slowdown_allowed(wish):
            score = choice.prediction.log_joules + weight * choice.prediction.log_slowdown
            assert score <= other.log_joules + weight * other.log_slowdown + 1e-9


@given(st.data(), curves(), wishes())
def test_the_same_is_chosen_from_the_same_in_any_order(data: st.DataObject, curve: MadeUpCurve, wish: Wishes) -> None:
    seen = data.draw(st.composite(lambda draw: samples(draw, curve))())
    limits = candidate_limits(curve.gpu)
    known = curve.after(seen)
    choice = choose(known, limits, seen, wish)
    other = choose(known, data.draw(st.permutations(limits)), data.draw(st.permutations(seen)), wish)
    assert choice == other


@settings(max_examples=40)
@given(curves(), st.floats(0.0, 40.0), st.sampled_from([300.0, 1500.0, 6000.0]), st.sampled_from([0.0, 0.01]))
def test_a_job_that_learns_is_not_slower_than_its_maximum_by_more_than_the_stated_share(
    curve: MadeUpCurve, percent: float, seconds: float, noise: float
) -> None:
    job = LearningJob(curve, seconds, noise=noise, wishes=Wishes(max_slowdown_percent=percent)).run()
    share = Exploration().time_share
    # A measurement may be off by its noise, in both of the ratio's readings; noise of 3 deviations was not drawn.
    noise_percent = 100 * 3 * 2**0.5 * noise
    assert job.slowdown_percent <= (100 + percent) / (1 - share) - 100 + noise_percent + 1e-6


@st.composite
def beliefs(draw: st.DrawFn) -> MadeUpCurve:
    """Draw what a model makes of a workload: anything, with any doubt or none."""
    believed = draw(curves())
    return replace(believed, wrong_by=draw(st.floats(-20.0, 20.0)))


def believing(curve: MadeUpCurve, belief: MadeUpCurve) -> MadeUpCurve:
    """Return what the model believes of a workload, on its GPU."""
    return replace(belief, gpu=curve.gpu, draws=curve.draws, floor=curve.floor)


@settings(max_examples=40)
@given(curves(), beliefs(), st.floats(0.0, 40.0), st.sampled_from([300.0, 1500.0, 6000.0]))
def test_visits_cost_no_more_than_the_stated_share_whatever_the_model_believes(
    curve: MadeUpCurve, belief: MadeUpCurve, percent: float, seconds: float
) -> None:
    wish = Wishes(max_slowdown_percent=percent)
    job = LearningJob(curve, seconds, noise=0.0, wishes=wish, model=believing(curve, belief)).run()
    assert job.lost_seconds <= Exploration().time_share * job.ran_seconds + 1e-6


@settings(max_examples=40)
@given(curves(), beliefs(), st.floats(0.0, 40.0))
def test_whatever_the_model_believes_what_is_chosen_in_the_end_is_measured_and_allowed(
    curve: MadeUpCurve, belief: MadeUpCurve, percent: float
) -> None:
    wish = Wishes(max_slowdown_percent=percent)
    job = LearningJob(curve, 1e6, noise=0.0, wishes=wish, model=believing(curve, belief))
    limits = candidate_limits(curve.gpu)
    for _ in range(len(limits) + 1):
        last = job.step()
    # Without noise each limit is visited once at most.
    assert last.kind is not Kind.EXPLORE
    assert last.measured
    found = curve.gpu.max_limit_watts
    assert last.limit_watts == found or curve.true_slowdown_percent(last.limit_watts) <= percent + 1e-6


@settings(max_examples=12)
@given(curves(), st.floats(0.0, 40.0))
def test_learning_ends(curve: MadeUpCurve, percent: float) -> None:
    job = LearningJob(curve, 1e6, wishes=Wishes(max_slowdown_percent=percent))
    most = job.wishes.trust.settled_samples * len(candidate_limits(curve.gpu))
    for _ in range(2 * most):
        job.step()
    assert job.visits <= most


@settings(max_examples=40)
@given(curves(), st.floats(0.0, 40.0))
def test_without_noise_what_is_learned_is_nearly_the_best(curve: MadeUpCurve, percent: float) -> None:
    # What a model gets wrong by no more than a deviation, and not wildly, can be found out.
    curve = replace(curve, doubt=min(curve.doubt, 0.1), wobble=lambda limit: 0.0)
    wish = Wishes(max_slowdown_percent=percent)
    job = LearningJob(curve, 1e6, noise=0.0, wishes=wish)
    for _ in range(40):
        job.step()
    allowed = _truly_allowed(curve, candidate_limits(curve.gpu), percent - 0.1)
    best = min(curve.true_log_joules(limit) for limit in allowed)
    reached = curve.true_log_joules(job.choices[-1].limit_watts)
    exploration = Exploration()
    assert reached <= best + (exploration.margin_percent + wish.caution.keep_percent) / 100 + 0.03


def _truly_allowed(curve: MadeUpCurve, limits: Iterable[float], percent: float) -> list[float]:
    found = curve.gpu.max_limit_watts
    return [limit for limit in limits if limit == found or curve.true_slowdown_percent(limit) <= percent]
