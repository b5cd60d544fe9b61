"""Fair share decides between namespaces: who uses more than its share comes later, within bounds and within a cycle."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.decide import queueing
from ballast.decide.capacity import Capacity
from ballast.decide.gang_request import GangRequest
from ballast.decide.outlook import Outlook
from ballast.decide.placement import Placement, place
from ballast.decide.policy import Policy
from ballast.decide.queueing import admit
from ballast.decide.snapshot import Refusal, Snapshot
from tests.builders import JobBuilder, job, node, snapshot


def of(namespace: str, name: str, since: float = 0.0, gpus: int = 1) -> JobBuilder:
    return job(name).in_namespace(namespace).with_gpus(gpus).waiting_since(since)


def cluster(*waiting: JobBuilder, free: int = 8, policy: Policy | None = None, **used: int) -> Snapshot:
    nodes = [node("a").with_gpus("A100", 16).using(gpus=16 - free)]
    return snapshot(nodes, waiting, used=used, policy=policy)


def admitted(seen: Snapshot, limit: int = 100) -> list[str]:
    return [write.job.metadata.name for write in admit(seen, limit).writes]


def test_who_uses_more_than_its_share_comes_after_younger_jobs_of_others() -> None:
    # 12 of 8: half an hour later.
    waiting = of("a", "older", since=-1700), of("b", "younger")
    assert admitted(cluster(*waiting, a=12)) == ["younger", "older"]


def test_but_not_after_those_that_are_so_much_younger() -> None:
    waiting = of("a", "older", since=-1900), of("b", "younger")
    assert admitted(cluster(*waiting, a=12)) == ["older", "younger"]


def test_what_a_cycle_gives_out_counts_at_once() -> None:
    waiting = [of("a", f"a-{n}", gpus=3) for n in range(4)] + [of("b", f"b-{n}", since=1, gpus=3) for n in range(4)]
    # Fair are 8: with its third gang one is beyond.
    assert admitted(cluster(*waiting, free=16)) == ["a-0", "a-1", "a-2", "b-0", "b-1"]
    assert admitted(cluster(*waiting, free=16, policy=Policy(share_seconds=0))) == ["a-0", "a-1", "a-2", "a-3", "b-0"]


def test_weights_count() -> None:
    waiting = [of("a", f"a-{n}") for n in range(9)] + [of("b", f"b-{n}") for n in range(9)]
    names = admitted(cluster(*waiting, free=9, policy=Policy(weights={"a": 2})))
    assert names == ["a-0", "a-1", "a-2", "a-3", "a-4", "a-5", "a-6", "a-7", "a-8"], "16 GPUs: fair are 10.7 and 5.3"
    names = admitted(cluster(*waiting, free=9, a=7, policy=Policy(weights={"a": 2})))
    assert names == ["a-0", "a-1", "a-2", "a-3", "b-0", "b-1", "b-2", "b-3", "b-4"]


def test_alone_it_makes_no_difference_who_holds_what() -> None:
    waiting = of("a", "young"), of("a", "old", since=-1)
    assert admitted(cluster(*waiting, a=16)) == admitted(cluster(*waiting)) == ["old", "young"]


def test_jobs_without_gpus_stand_where_they_stood() -> None:
    on_cpus = job("on-cpus").in_namespace("a").waiting_since(-1)
    assert admitted(cluster(on_cpus, of("b", "other"), of("a", "put-back"), a=16)) == ["on-cpus", "other", "put-back"]


def test_equal_requests_of_two_namespaces_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[GangRequest] = []

    def counted(gang: GangRequest, capacity: Capacity, outlook: Outlook) -> Placement | Refusal:
        tried.append(gang)
        return place(gang, capacity, outlook)

    monkeypatch.setattr(queueing, "place", counted)
    waiting = [of(namespace, f"of-{namespace}", gpus=16) for namespace in "abc"]
    admissions = admit(cluster(*waiting), 100)
    assert len(tried) == 1
    assert set(admissions.refused) == {each.gang() for each in waiting}
    assert len(set(admissions.refused.values())) == 1


def test_nor_is_one_that_was_refused_before_in_another_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "place", lambda *given: pytest.fail("it is known not to fit"))
    waiting = [of(namespace, f"of-{namespace}", gpus=16) for namespace in "ab"]
    before = Refusal(Reason.WAITING_FOR_CAPACITY, "as before")
    seen = snapshot([node("a").with_gpus("A100", 8)], waiting, refused={waiting[0].gang(): before})
    assert set(admit(seen, 100).refused.values()) == {before}
