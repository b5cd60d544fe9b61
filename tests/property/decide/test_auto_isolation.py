"""G7: what jobs of one namespace teach is never entered into another's profile, nor chosen by."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.cycle import decide
from tests.auto_builders import LATER, auto_job, known, measured_point, measurement, picture, profile, profiles, ready
from tests.auto_builders import statuses as writes_of

SPACES = ("one", "two", "three")
readings = st.lists(
    st.tuples(st.sampled_from(SPACES), st.sampled_from([200.0, 250.0, 300.0]), st.floats(9.8, 10.2)), max_size=12
)


@given(readings, st.sets(st.sampled_from(SPACES)))
def test_each_measurement_is_entered_once_where_it_was_made(
    found: list[tuple[str, float, float]], known_before: set[str]
) -> None:
    own = {space: profile(measured_point(300.0), namespace=space) for space in known_before}
    jobs = [
        ready(
            auto_job(f"job-{number}", space),
            learned=known(own.get(space)),
            measurement=measurement(watts, speed, ended=LATER - number),
        )
        for number, (space, watts, speed) in enumerate(found)
    ]
    writes = {write.namespace: write for write in profiles(decide(picture(*jobs)).actions)}
    made = Counter(space for space, _, _ in found)
    assert set(writes) == set(made)
    for space, write in writes.items():
        before = own[space].spec.points[0].samples if space in own else 0
        assert write.status.samples == before + made[space]
        assert write.resource_version == ("7" if space in own else None)


@given(readings)
def test_what_is_chosen_is_the_same_whatever_others_measure(found: list[tuple[str, float, float]]) -> None:
    mine = replace(ready(auto_job("mine", "team"), learned=known(profile(measured_point(300.0)))), uid="mine")
    others = [
        ready(auto_job(f"job-{number}", space), measurement=measurement(watts, speed, ended=LATER - number))
        for number, (space, watts, speed) in enumerate(found)
    ]
    alone = [write for write in writes_of(decide(picture(mine)).actions) if write.job.metadata.name == "mine"]
    beside = decide(picture(*others, mine)).actions
    assert [write for write in writes_of(beside) if write.job.metadata.name == "mine"] == alone
