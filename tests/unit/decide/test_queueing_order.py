"""The oldest job is admitted first; one that does not fit holds nobody up, and nothing is promised twice."""

from __future__ import annotations

from ballast.decide.queueing import Admissions, admit
from ballast.decide.snapshot import Snapshot
from tests.builders import JobBuilder, NodeBuilder, job, node, snapshot


def names(admissions: Admissions) -> list[str]:
    return [write.job.metadata.name for write in admissions.writes]


def admitted(cluster: Snapshot, limit: int = 100) -> list[str]:
    return names(admit(cluster, limit))


def eight_gpus() -> NodeBuilder:
    return node("a").with_gpus("A100", 8)


def four(name: str, since: float) -> JobBuilder:
    return job(name).with_gpus(4).waiting_since(since)


def test_the_oldest_first_within_a_lane() -> None:
    waiting = [four("young", -1), four("old", -3), four("middle", -2)]
    assert admitted(snapshot([eight_gpus()], waiting)) == ["old", "middle"]


def test_the_oldest_first_across_lanes() -> None:
    waiting = [four("young", -1), job("old").with_gpus(8).waiting_since(-3), four("middle", -2)]
    assert admitted(snapshot([eight_gpus()], waiting)) == ["old"]


def test_the_name_decides_within_a_second() -> None:
    assert admitted(snapshot([eight_gpus()], [four("c", 0), four("a", 0), four("b", 0)])) == ["a", "b"]


def test_a_large_gang_does_not_block_a_small_job_behind_it() -> None:
    gang = job("gang").with_gpus(8).replicas(4).waiting_since(-10)
    assert admitted(snapshot([eight_gpus()], [gang, four("small", 0)])) == ["small"]


def test_the_first_of_a_lane_that_does_not_fit_speaks_for_all_behind_it() -> None:
    waiting = [four("one", -3), four("two", -2), four("three", -1)]
    cluster = snapshot([eight_gpus()], waiting)
    admissions = admit(cluster, 100)
    assert names(admissions) == ["one", "two"]
    assert list(admissions.refused) == [waiting[0].gang()]
    assert "A100 0 of 8 free" in admissions.refused[waiting[0].gang()].message


def test_nothing_is_promised_twice_in_a_cycle() -> None:
    waiting = [job("large").with_gpus(6).waiting_since(-2), four("small", -1), job("tiny").with_gpus(2)]
    assert admitted(snapshot([eight_gpus()], waiting)) == ["large", "tiny"]


def test_the_whole_gang_counts() -> None:
    gang = job("gang").with_gpus(3).replicas(2).waiting_since(-1)
    assert admitted(snapshot([eight_gpus()], [gang, job("three").with_gpus(3)])) == ["gang"]


def test_at_most_as_many_as_asked_for() -> None:
    waiting = [four("one", -3), four("two", -2), job("other").with_gpus(8)]
    admissions = admit(snapshot([eight_gpus()], waiting), 1)
    assert names(admissions) == ["one"]
    assert admissions.refused == {}, "what was not tried is not refused"


def test_none_at_all_without_room_for_actions() -> None:
    assert admitted(snapshot([eight_gpus()], [four("one", 0)]), limit=0) == []


def test_two_jobs_of_the_same_name_and_second_are_no_problem() -> None:
    # A job that was deleted and created anew, while the old one is not forgotten yet.
    twins = [four("twin", 0).known_as("old"), job("twin").with_gpus(2).known_as("new")]
    assert admitted(snapshot([eight_gpus()], twins)) == ["twin", "twin"]
