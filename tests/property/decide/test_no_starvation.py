"""Nobody starves, whatever arrives: not a big gang, nor who has a low priority, no deadline, or more than its share.

The cluster here knows only nodes and run times; the queue is the real one, cycle after cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.fair_share import MOST_TIMES_OVER
from ballast.decide.policy import Policy
from ballast.decide.queueing import admit
from tests.builders import NOW, JobBuilder, NodeBuilder, job, node, snapshot

PATIENCE = 50.0
LONGEST_RUN = 40
CYCLE = 5.0


@dataclass
class Cluster:
    """Nodes with GPUs, and how long what runs on them still takes."""

    gpus: dict[str, int]
    running: list[tuple[float, str, int]] = field(default_factory=list)
    now: float = 0.0

    def nodes(self) -> list[NodeBuilder]:
        taken = dict.fromkeys(self.gpus, 0)
        for _, name, count in self.running:
            taken[name] += count
        return [node(name).with_gpus("A100", gpus).using(gpus=taken[name]) for name, gpus in self.gpus.items()]

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.running = [run for run in self.running if run[0] > self.now]


def admitted(cluster: Cluster, waiting: list[JobBuilder]) -> dict[str, list[str]]:
    """Return the nodes of the jobs that this cycle admits, by name."""
    seen = snapshot(cluster.nodes(), waiting, now=NOW + cluster.now, policy=Policy(patience_seconds=PATIENCE))
    writes = admit(seen, 100).writes
    return {write.job.metadata.name: [place.node for place in write.status.placement] for write in writes}


clusters = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(
    lambda sizes: {f"n{index}": size for index, size in enumerate(sizes)}
)


@given(st.data())
def test_a_big_gang_waits_no_longer_than_its_patience_and_what_runs(data: st.DataObject) -> None:
    cluster = Cluster(data.draw(clusters))
    per_pod = data.draw(st.integers(1, max(cluster.gpus.values())))
    fits = sum(gpus // per_pod for gpus in cluster.gpus.values())
    big = job("big").with_gpus(per_pod).replicas(data.draw(st.integers(1, fits)))
    small: list[JobBuilder] = []
    number = 0
    while True:
        for _ in range(data.draw(st.integers(1, 6))):
            number += 1
            small.append(job(f"small-{number}").with_gpus(1).waiting_since(cluster.now))
        placed = admitted(cluster, [big, *small])
        if "big" in placed:
            return
        assert cluster.now <= PATIENCE + LONGEST_RUN + CYCLE, "it starves"
        for name, nodes in placed.items():
            ends = cluster.now + data.draw(st.integers(1, LONGEST_RUN))
            cluster.running += [(ends, where, 1) for where in nodes]
            small = [waiting for waiting in small if waiting.name != name]
        cluster.passes(CYCLE)


@given(st.data())
def test_a_low_priority_overtakes_a_stream_of_higher_ones_once_it_is_old_enough(data: st.DataObject) -> None:
    cluster = Cluster({"n": 1})
    rank = data.draw(st.integers(1, 3))
    old = job("old").with_gpus(1)
    step = Policy().aging_seconds / 2
    while True:
        rival = job(f"rival-{cluster.now:.0f}").with_gpus(1).waiting_since(cluster.now)
        placed = admitted(cluster, [old, replace(rival, rank=rank)])
        if "old" in placed:
            return
        assert cluster.now <= rank * Policy().aging_seconds, "it starves"
        cluster.passes(step)


@given(st.data())
def test_whatever_arrives_the_wait_is_bounded_by_the_head_starts_and_what_fair_share_puts_back(
    data: st.DataObject,
) -> None:
    """The worst that the queue knows: rivals of higher priority with tight deadlines, of other namespaces."""
    cluster = Cluster({"n": 1})
    most = data.draw(st.integers(0, 3))
    policy = Policy(weights={"old": data.draw(st.floats(0.01, 100))}, patience_seconds=1e9)
    used = {"old": data.draw(st.integers(0, 100))}
    old = job("old").with_gpus(1).in_namespace("old")
    bound = most * policy.aging_seconds + policy.deadline_head_start_seconds + MOST_TIMES_OVER * policy.share_seconds
    while True:
        rival = job(f"rival-{cluster.now:.0f}").with_gpus(1).waiting_since(cluster.now)
        rival = replace(
            rival.due_in(cluster.now + data.draw(st.integers(1, 9999))), rank=data.draw(st.integers(0, most))
        )
        rival = rival.in_namespace(data.draw(st.sampled_from(["new", "other", "old"])))
        seen = snapshot(cluster.nodes(), [old, rival], now=NOW + cluster.now, policy=policy, used=used)
        if admit(seen, 1).writes[0].job.metadata.name == "old":
            return
        assert cluster.now <= bound, "it starves"
        cluster.passes(data.draw(st.integers(1800, 7200)))
