"""A PriorityClass gives a head start by its rank among the others, so that waiting long enough outweighs it."""

from __future__ import annotations

from ballast.decide.policy import Policy
from ballast.observe.cluster_state import Kind
from ballast.observe.priorities import Priorities, PriorityClass
from tests.builders import NOW, job
from tests.unit.observe.watched import Watched


def classes(**values: int) -> Priorities:
    made = Priorities()
    for name, value in values.items():
        made.put(PriorityClass(name, value, is_default=False))
    return made


def test_ranks_count_distinct_values_and_zero() -> None:
    made = classes(low=50, also_low=50, high=1_000_000, below=-10)
    assert [made.rank(name) for name in ("below", None, "low", "also_low", "high")] == [0, 1, 2, 2, 3]


def test_an_unknown_class_has_none() -> None:
    assert classes(low=50).rank("high") is None
    assert classes(low=50).value("high") is None


def test_who_may_preempt_whom_goes_by_the_values_themselves() -> None:
    state = Watched()
    sees_class(state, "high", 1000)
    state.sees(job("urgent").with_pod_spec(priorityClassName="high"), job("none"), job("running").running_on("a"))
    seen = state.snapshot()
    assert {member.name: member.priority for member in seen.review} == {"urgent": 1000, "none": 0}
    assert [member.name for member in seen.running] == ["running"]
    sees_class(state, "high", -1, version=2)
    assert state.snapshot().running == (), "none of them outranks it now"


def test_without_a_class_the_clusters_default_counts() -> None:
    made = classes(low=50)
    made.put(PriorityClass("normal", 100, is_default=True))
    assert made.rank(None) == made.rank("normal") == 2


def test_whether_anything_changed_is_told() -> None:
    made = Priorities()
    seen = PriorityClass("low", 50, is_default=False)
    assert [made.put(seen), made.put(seen), made.remove("low"), made.remove("low")] == [True, False, True, False]
    assert made.rank("low") is None


def sees_class(state: Watched, name: str, value: int, version: int = 1) -> None:
    metadata = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(version)}
    state.state.observe(Kind.PRIORITY_CLASS, {"metadata": metadata, "value": value})


def test_one_class_outweighs_so_much_waiting_and_no_more() -> None:
    state = Watched()
    sees_class(state, "high", 1000)
    state.sees(job("urgent").with_pod_spec(priorityClassName="high"), job("patient").waiting_since(-1))
    precedence = {member.name: member.precedence for member in state.snapshot().review}
    assert precedence == {"urgent": NOW - Policy().aging_seconds, "patient": NOW - 1}


def in_order(state: Watched) -> list[str]:
    """Return the jobs as they would be placed: one that is to be done in time has a lane of its own."""
    jobs = [member for lane in state.snapshot().lanes for member in lane.jobs]
    return [member.name for member in sorted(jobs, key=lambda member: member.order)]


def test_a_deadline_that_comes_or_goes_reorders_the_queue() -> None:
    state = Watched().sees(job("early").waiting_since(-60), job("late"))
    state.sees(job("late").due_in(3600).at_version(2))
    assert in_order(state) == ["late", "early"]
    state.sees(job("late").due_in(48 * 3600).at_version(3))
    assert in_order(state) == ["early", "late"]


def test_a_class_that_is_made_larger_reorders_the_queue() -> None:
    state = Watched()
    sees_class(state, "low", 10)
    sees_class(state, "high", 20)
    state.sees(*[job(name).with_pod_spec(priorityClassName=name) for name in ("low", "high")])
    assert [member.name for lane in state.snapshot().lanes for member in lane.jobs] == ["high", "low"]
    sees_class(state, "low", 30, version=2)
    assert [member.name for lane in state.snapshot().lanes for member in lane.jobs] == ["low", "high"]


def test_a_job_of_a_class_that_does_not_exist_is_told_the_remedy() -> None:
    state = Watched().sees(job("train").with_pod_spec(priorityClassName="high"))
    [seen] = state.snapshot().review
    assert seen.gang is None
    assert "there is no PriorityClass 'high'" in (seen.problem or "")
    sees_class(state, "high", 1000)
    assert state.waiting() == {"train"}


def test_a_placed_job_keeps_its_promise_when_its_class_goes() -> None:
    state = Watched()
    sees_class(state, "high", 1000)
    state.sees(job("train").with_pod_spec(priorityClassName="high").placed_on("a"))
    state.state.forget(Kind.PRIORITY_CLASS, "uid-of-high")
    [seen] = state.changed()
    assert seen.gang is not None
