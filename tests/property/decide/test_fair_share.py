"""Cycle after cycle GPUs go to namespaces by their weights, and the order is the one that places in the queue tell.

The cluster here knows only run times; the queue is the real one, cycle after cycle.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ballast.decide.fair_share import MOST_TIMES_OVER, fair_shares
from ballast.decide.policy import Policy
from ballast.decide.queueing import admit
from ballast.observe.waiting import WaitingJobs
from tests.builders import JobBuilder, job, node, snapshot

NAMESPACES = ("a", "b", "c")
GPUS = 12
LONGEST_RUN = 5  # cycles
CYCLES = 20


def of(namespace: str, number: int, gpus: int = 1) -> JobBuilder:
    return job(f"job-{number:04}").in_namespace(namespace).with_gpus(gpus)


@given(
    st.fixed_dictionaries({"a": st.integers(1, 4), "b": st.integers(1, 4)}),
    st.integers(0, 1000),
    st.sampled_from(["a", "b", "ab"]),
)
@settings(max_examples=10)
def test_two_namespaces_with_unlimited_equal_jobs_get_gpus_by_their_weights(
    weights: dict[str, int], seed: int, begins_with: str
) -> None:
    """To a GPU, as soon as what one of them may hold too much of at first has ended."""
    random = Random(seed)  # noqa: S311 - reproducible, not secret
    policy = Policy(weights=weights)
    fair = GPUS * weights["a"] / sum(weights.values())
    running = [(random.randint(1, LONGEST_RUN), begins_with[n % len(begins_with)]) for n in range(GPUS)]
    begun: Counter[str] = Counter()
    for cycle in range(CYCLES):
        running = [run for run in running if run[0] > cycle]
        used = Counter(namespace for _, namespace in running)
        waiting = [of(name, begun[name] + n) for name in weights for n in range(GPUS)]
        nodes = [node("n").with_gpus("A100", GPUS).using(gpus=len(running))]
        for write in admit(snapshot(nodes, waiting, policy=policy, used=used), 100).writes:
            namespace = write.job.metadata.namespace
            begun[namespace] += 1
            running.append((cycle + random.randint(1, LONGEST_RUN), namespace))
        if cycle >= LONGEST_RUN:
            holds = sum(namespace == "a" for _, namespace in running)
            assert abs(holds - fair) <= 1, f"{holds} GPUs in cycle {cycle}, fair are {fair:.1f}"


queues = st.lists(
    st.tuples(
        st.sampled_from(NAMESPACES), st.integers(0, 3), st.integers(-9000, 0), st.sampled_from([None, 600, 9999])
    ),
    max_size=12,
)
uses = st.dictionaries(st.sampled_from(NAMESPACES), st.integers(1, 16))
weighted = st.dictionaries(st.sampled_from(NAMESPACES), st.floats(0.01, 100))


def queue(drawn: list[tuple[str, int, int, int | None]]) -> list[JobBuilder]:
    jobs = []
    for number, (namespace, gpus, since, due) in enumerate(drawn):
        built = of(namespace, number, gpus).waiting_since(since) if gpus else job(f"job-{number:04}")
        built = built.in_namespace(namespace).waiting_since(since)
        jobs.append(built if due is None else built.due_in(due))
    return jobs


@given(queues, uses, weighted)
def test_the_first_by_its_place_in_the_queue_is_admitted_first(
    drawn: list[tuple[str, int, int, int | None]], used: dict[str, int], weights: dict[str, float]
) -> None:
    """A cycle that admits one job after another, each told its place before, admits the first each time."""
    policy = Policy(weights=weights)
    waiting, left = WaitingJobs(), queue(drawn)
    for builder in left:
        waiting.put(builder.build())
    while left:
        nodes = [node("n").with_gpus("A100", 64).with_cpus(256)]
        shares = fair_shares(used, waiting.payers(), 64, policy)
        places = {waiting.ahead(builder.build(), shares.put_back()).jobs: builder for builder in left}
        assert sorted(places) == list(range(1, len(left) + 1))
        [write] = admit(snapshot(nodes, left, policy=policy, used=used), 1).writes
        first = places[1]
        assert (write.job.metadata.namespace, write.job.metadata.name) == (first.namespace, first.name)
        waiting.remove(first.build().uid)
        left.remove(first)
        gang = first.gang()
        if gang.gpus:
            used = {**used, first.namespace: used.get(first.namespace, 0) + gang.gpus}


@given(queues, uses, weighted)
def test_the_same_queue_gives_the_same_order_however_its_lanes_are_listed(
    drawn: list[tuple[str, int, int, int | None]], used: dict[str, int], weights: dict[str, float]
) -> None:
    policy = Policy(weights=weights)
    nodes = [node("n").with_gpus("A100", 64).with_cpus(256)]
    jobs = queue(drawn)
    seen = snapshot(nodes, jobs, policy=policy, used=used)
    assert admit(seen, 100) == admit(snapshot(nodes, jobs, policy=policy, used=used), 100)
    # No matter in which order the lanes are in the snapshot.
    turned = snapshot(nodes, list(reversed(jobs)), policy=policy, used=used)
    assert admit(turned, 100).writes == admit(seen, 100).writes


@given(queues, uses, weighted)
def test_nobody_is_put_back_beyond_the_bound(
    drawn: list[tuple[str, int, int, int | None]], used: dict[str, int], weights: dict[str, float]
) -> None:
    policy = Policy(weights=weights)
    shares = snapshot([node("n").with_gpus("A100", 16)], queue(drawn), policy=policy, used=used).shares
    for namespace in NAMESPACES:
        assert 0 <= shares.put_back_seconds(namespace) <= MOST_TIMES_OVER * policy.share_seconds
        assert shares.put_back_seconds(namespace) <= shares.put_back_seconds(namespace, 1)


@given(queues, uses)
def test_one_namespace_alone_waits_in_the_plain_order(
    drawn: list[tuple[str, int, int, int | None]], used: dict[str, int]
) -> None:
    jobs = [builder.in_namespace("a") for builder in queue(drawn)]
    nodes = [node("n").with_gpus("A100", 64).with_cpus(256)]
    writes = admit(snapshot(nodes, jobs, used=used), 100).writes
    plain = sorted((builder.build() for builder in jobs), key=lambda each: each.order)
    assert [write.job.metadata.name for write in writes] == [each.name for each in plain]
