"""An outlier changes nothing; a workload that is another than before is learned anew, and that is said."""

from __future__ import annotations

from ballast.api.energyprofile import EnergyProfile
from ballast.decide.cycle import decide
from ballast.decide.learning.learning import CHANGED_AFTER, Lessons, learn
from tests.auto_builders import LATER, known, measured_point, measurement, picture, profile, profiles, ready, statuses

BEFORE = profile(measured_point(250.0, 9.8), measured_point(300.0, 10.0))


def after(*speeds: float, of: EnergyProfile = BEFORE) -> tuple[EnergyProfile, Lessons]:
    """Return the profile after measurements at the found limit, and what the last of them taught."""
    lessons = Lessons()
    for number, speed in enumerate(speeds):
        reading = measurement(300.0, speed, 285.0, ended=LATER + 30 * number)
        lessons = learn([ready(learned=known(of), measurement=reading)], LATER)
        of = next(iter(lessons.profiles.values()), of)
    return of, lessons


def test_an_outlier_is_put_aside() -> None:
    found, lessons = after(5.0)
    assert found.spec == BEFORE.spec
    assert found.status.contradicting is not None
    assert found.status.contradicting.steps_per_second == 5.0
    [usable] = found.status.conditions
    assert (usable.status.value, usable.reason) == ("Unknown", "Contradicted")
    assert "5 steps/s" in usable.message
    assert not lessons.begun_anew


def test_one_that_agrees_again_clears_it_away() -> None:
    found, _ = after(5.0, 5.0, 10.0)
    assert found.status.contradicting is None
    assert {point.power_limit_watts: point.samples for point in found.spec.points} == {250.0: 8, 300.0: 9}


def test_several_in_a_row_that_agree_are_another_workload() -> None:
    found, lessons = after(*[5.0] * CHANGED_AFTER)
    [point] = found.spec.points
    assert (point.power_limit_watts, point.samples) == (300.0, CHANGED_AFTER)
    assert abs(point.steps_per_second - 5.0) < 1e-9
    assert found.status.contradicting is None
    [why] = lessons.begun_anew.values()
    assert why.startswith("the workload has changed: 3 measurements in a row at 300 W say 5 steps/s")


def test_several_that_do_not_agree_with_one_another_are_not() -> None:
    found, _ = after(5.0, 20.0, 5.0, 20.0)
    assert found.spec == BEFORE.spec


def test_the_owner_is_told_and_the_found_limit_is_learned_anew() -> None:
    earlier, _ = after(*[5.0] * (CHANGED_AFTER - 1))
    job = ready(learned=known(earlier), measurement=measurement(300.0, 5.0, 285.0))
    actions = decide(picture(job)).actions
    [write] = statuses(actions)
    assert write.note is not None
    assert write.note.reason == "ProfileRenewed"
    assert "the workload has changed" in write.note.message
    [renewed] = profiles(actions)
    assert len(renewed.spec.points) == 1
