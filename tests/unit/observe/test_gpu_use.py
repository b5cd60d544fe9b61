"""What the jobs of each namespace hold is counted as they change, from the reservation until nothing is held."""

from __future__ import annotations

import pytest

from ballast.observe.cluster_state import Kind
from ballast.observe.gpu_use import GpuUse
from tests.builders import JobBuilder, job, node
from tests.unit.observe.watched import Watched

TRAIN = job("train").with_gpus(4).replicas(2)
ELSEWHERE = job("other").in_namespace("elsewhere").with_gpus(2)


def counted(*jobs: JobBuilder) -> dict[str, int]:
    use = GpuUse()
    for builder in jobs:
        use.put(builder.build())
    return dict(use.by_namespace)


@pytest.mark.parametrize("holding", [TRAIN.placed_on("a", "b"), TRAIN.running_on("a", "b")])
def test_a_gang_counts_while_it_holds_something(holding: JobBuilder) -> None:
    assert counted(holding) == {"team": 8}


def test_namespaces_are_counted_apart() -> None:
    assert counted(TRAIN.running_on("a", "b"), ELSEWHERE.running_on("a")) == {"team": 8, "elsewhere": 2}


def test_who_waits_holds_nothing() -> None:
    assert counted(TRAIN) == {}


def test_each_counts_once_and_no_more_when_it_gives_back() -> None:
    running = TRAIN.running_on("a", "b")
    assert counted(running, running) == {"team": 8}
    assert counted(running, TRAIN) == {}


def test_training_on_cpus_holds_no_gpus() -> None:
    assert counted(job("cpus").running_on("a")) == {}


def test_who_is_gone_is_forgotten() -> None:
    use = GpuUse()
    use.put(TRAIN.running_on("a", "b").build())
    for uid in ("uid-of-train", "uid-of-train", "uid-of-nobody"):
        use.forget(uid)
    assert use.by_namespace == {}


def test_a_job_without_a_usable_spec_counts_what_its_gang_asks_for() -> None:
    assert counted(TRAIN.running_on("a", "b").with_pod_spec(resourceClaims=[{}])) == {"team": 8}


def test_a_cycle_sees_shares_only_where_two_namespaces_wait() -> None:
    state = Watched().sees(node("a").with_gpus("A100", 16), TRAIN)
    assert state.snapshot().shares.fair == {}
    state.sees(ELSEWHERE)
    assert state.snapshot().shares.fair == {"team": 8, "elsewhere": 8}


def test_a_reservation_counts_as_soon_as_it_is_decided_and_until_the_job_is_gone() -> None:
    state = Watched().sees(node("a").with_gpus("A100", 16), TRAIN)
    write = state.admits()
    state.sees(ELSEWHERE, job("third").in_namespace("third").with_gpus(1))
    assert state.snapshot().shares.used == {"team": 8}
    assert state.snapshot().shares.fair == dict.fromkeys(("team", "elsewhere", "third"), 16 / 3)
    state.state.reject(write)
    assert state.snapshot().shares.used == {}
    state.sees(TRAIN.running_on("a", "a").at_version(2))
    assert state.snapshot().shares.used == {"team": 8}
    state.state.forget(Kind.TRAINING_JOB, "uid-of-train")
    assert state.snapshot().shares.used == {}


def test_gpus_of_nodes_come_and_go_with_them() -> None:
    state = Watched().sees(TRAIN, ELSEWHERE, node("a").with_gpus("A100", 8), node("b").with_gpus("A100", 8))
    state.sees(node("b").with_gpus("A100", 4).at_version(2), node("c"))
    assert sum(state.snapshot().shares.fair.values()) == 12
    state.state.forget(Kind.NODE, "uid-of-node-b")
    assert sum(state.snapshot().shares.fair.values()) == 8
