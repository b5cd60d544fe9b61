"""Which GPU model a gang takes, or waits for: the least sum of joules and the worth of its time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import A40, V100
from ballast.decide.outlook import Outlook
from ballast.decide.policy import Policy
from ballast.decide.weighing import HURRY_WORK_SECONDS, Offer, weigh
from tests.prospect_builders import gang, offer, outlook, prospect

HOUR = 3600.0
FRUGAL = prospect(V100, 100.0)
THIRSTY = prospect(A40, 150.0, slowdown=1.05)
SLOW = prospect(A40, 150.0, slowdown=1.5)


def taken(asking: GangRequest, offers: list[Offer], seen: Outlook | None = None) -> Offer:
    return weigh(asking, offers, seen or outlook()).taken


def test_of_two_that_have_room_the_more_frugal_is_taken() -> None:
    assert taken(gang(), [offer(FRUGAL, "v"), offer(THIRSTY, "a")]).model is V100


def test_a_short_job_takes_what_is_free_and_a_long_one_waits() -> None:
    offers = [offer(FRUGAL, after=HOUR), offer(THIRSTY, "a")]
    assert taken(gang(work_seconds=600.0), offers).model is A40
    assert taken(gang(work_seconds=100 * HOUR), offers).model is V100


def test_a_job_of_which_nobody_knows_how_long_it_takes_is_taken_for_a_long_one() -> None:
    verdict = weigh(gang(), [offer(FRUGAL, after=HOUR), offer(THIRSTY, "a")], outlook())
    assert verdict.taken.model is V100
    assert verdict.weighed.work_is_assumed
    assert verdict.weighed.work_seconds == Outlook().policy.unknown_work_seconds


def test_but_not_if_it_is_to_be_done_in_time() -> None:
    verdict = weigh(gang(has_deadline=True), [offer(FRUGAL, after=HOUR), offer(THIRSTY, "a")], outlook())
    assert verdict.taken.model is A40
    assert verdict.weighed.work_seconds == HURRY_WORK_SECONDS


def test_nobody_waits_for_what_nobody_knows_when_it_is_free() -> None:
    assert taken(gang(work_seconds=100 * HOUR), [offer(FRUGAL), offer(THIRSTY, "a")]).model is A40


def test_what_is_too_slow_is_taken_only_where_waiting_would_take_much_longer() -> None:
    short = gang(work_seconds=600.0)
    assert taken(short, [offer(FRUGAL, after=600.0), offer(SLOW, "a")]).model is V100
    assert taken(short, [offer(FRUGAL, after=HOUR), offer(SLOW, "a")]).model is A40
    assert taken(short, [offer(FRUGAL), offer(SLOW, "a")]).model is V100


def test_a_second_is_worth_more_to_who_wants_time_saved() -> None:
    offers = [offer(prospect(V100, 100.0, slowdown=1.4), "v"), offer(prospect(A40, 120.0), "a")]
    wanted = {}
    for objective in ("MinimizeEnergy", "Balanced", "MinimizeTime"):
        asking = gang(percent=100, work_seconds=1.0, objective=type(gang().objective)(objective))
        wanted[objective] = taken(asking, offers, replace(outlook(), policy=Policy(seconds_worth_watts=0.0))).model
    assert wanted == {"MinimizeEnergy": V100, "Balanced": A40, "MinimizeTime": A40}


def test_a_gpu_model_that_is_worth_a_try_counts_as_better_than_expected() -> None:
    unknown = prospect(A40, 105.0, measured=False, is_worth_a_try=True, log_sd=0.3)
    offers = [offer(FRUGAL, "v"), offer(unknown, "a")]
    assert taken(gang(work_seconds=HOUR), offers).model is A40
    assert taken(gang(work_seconds=HOUR, has_deadline=True), offers).model is V100


def test_what_a_node_draws_that_is_woken_for_the_gang_alone_counts() -> None:
    asleep = Offer(FRUGAL, ("v",), node_joules=600.0 * HOUR)
    assert taken(gang(work_seconds=HOUR), [asleep, offer(THIRSTY, "a")]).model is A40


@pytest.mark.parametrize(
    ("offers", "against"),
    [
        ([offer(FRUGAL, "v"), offer(prospect(A40, 150.0), "a")], "50 % more joules"),
        ([offer(FRUGAL, "v"), offer(prospect(A40, 100.0))], "no room, and nobody knows for how long"),
        ([offer(FRUGAL, "v"), offer(SLOW, "a")], "50 % slower than the fastest: more than maxSlowdownPercent 10"),
        ([offer(FRUGAL, "v"), offer(prospect(A40, 100.0, slowdown=1.06), "a")], "done 4 min later"),
    ],
)
def test_it_is_said_what_speaks_against_the_others(offers: list[Offer], against: str) -> None:
    chosen, other = weigh(gang(work_seconds=HOUR), offers, outlook()).weighed.options
    assert (chosen.gpu_model, chosen.against) == ("V100", "")
    assert other.against == against


def test_joules_and_seconds_are_of_the_whole_gang_and_all_of_its_work() -> None:
    verdict = weigh(gang(gpus=4, work_seconds=HOUR), [offer(THIRSTY, "a")], outlook())
    (option,) = verdict.weighed.options
    assert option.joules == pytest.approx(4 * 150.0 * HOUR)
    assert option.seconds == pytest.approx(1.05 * HOUR)
