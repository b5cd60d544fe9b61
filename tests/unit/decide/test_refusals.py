"""A gang that is not placed is told why, in numbers: not eligible, too large for the cluster, or waiting."""

from __future__ import annotations

from ballast.api.conditions import Reason
from tests.builders import job, node
from tests.unit.decide.placing import refused


def test_an_empty_cluster() -> None:
    refusal = refused(job("train"))
    assert refusal.reason is Reason.NO_ELIGIBLE_NODE
    assert refusal.message == "the cluster has no nodes"


def test_why_no_node_is_eligible() -> None:
    refusal = refused(
        job("train").selecting(zone="west"),
        node("a").cordoned(),
        node("b").tainted("team"),
        node("c").tainted("team"),
        node("d").labelled(zone="east"),
    )
    assert refusal.reason is Reason.NO_ELIGIBLE_NODE
    assert refusal.message == "none of 4 nodes may run it: 1 cordoned, 1 nodeSelector zone=west, 2 taint team"


def test_more_gpus_than_the_cluster_has() -> None:
    refusal = refused(
        job("train").with_gpus(8).replicas(3), node("a").with_gpus("A100", 8), node("b").with_gpus("A100", 4)
    )
    assert refusal.reason is Reason.CLUSTER_TOO_SMALL
    assert refusal.message == (
        "needs 3 pods x 8 GPUs with one GPU model: more than the 2 eligible nodes hold even when empty "
        "(largest node 8 GPUs, all together 12 GPUs)"
    )


def test_what_is_too_small_need_not_be_the_gpus() -> None:
    refusal = refused(job("train").with_gpus(1).with_cpus(1, "256Gi"), node("a").with_gpus("A100", 8))
    assert refusal.reason is Reason.CLUSTER_TOO_SMALL
    assert refusal.message.startswith("needs 1 pod x 256 GiB memory")
    assert "largest node 128 GiB memory" in refusal.message


def test_full_gpus_are_waited_for() -> None:
    refusal = refused(
        job("train").with_gpus(4).replicas(2),
        node("a").with_gpus("A100", 8).using(gpus=6),
        node("b").with_gpus("A100", 8).using(gpus=3),
    )
    assert refusal.reason is Reason.WAITING_FOR_CAPACITY
    assert refusal.message == (
        "needs 2 pods x 4 GPUs; A100 7 of 16 free, at most 5 on one node (no room, and nobody knows for how long)"
    )


def test_every_model_that_would_do_is_named_and_those_too_slow() -> None:
    refusal = refused(
        job("train").with_gpus(1).slowed_by_at_most(70),
        node("a").with_gpus("A100", 8).using(gpus=8),
        node("h").with_gpus("H100", 4).using(gpus=4),
        node("v").with_gpus("V100", 8),
    )
    assert refusal.reason is Reason.WAITING_FOR_CAPACITY
    assert refusal.message == (
        "needs 1 pod x 1 GPU; "
        "H100 0 of 4 free, at most 0 on one node (no room, and nobody knows for how long); "
        "A100 0 of 8 free, at most 0 on one node (no room, and nobody knows for how long, 32 % more joules); "
        "V100 8 of 8 free, at most 8 on one node (240 % slower than the fastest: more than maxSlowdownPercent 70)"
    )


def test_free_gpus_beside_full_cpus_are_not_blamed() -> None:
    refusal = refused(job("train").with_gpus(1).with_cpus(4), node("a").with_gpus("A100", 8).using(cpus=30))
    assert refusal.reason is Reason.WAITING_FOR_CAPACITY
    assert refusal.message == (
        "needs 1 pod x 1 GPU; "
        "A100 8 of 8 free, at most 8 on one node, 1 short of cpu (no room, and nobody knows for how long)"
    )


def test_overcommitted_gpus_do_not_count_as_negative() -> None:
    refusal = refused(job("train").with_gpus(2), node("a").with_gpus("A100", 2).using(gpus=4))
    assert "A100 0 of 2 free, at most 0 on one node" in refusal.message


def test_full_cpus_are_waited_for() -> None:
    refusal = refused(job("train").with_cpus(4), node("a").using(cpus=30), node("b").using(pods=110))
    assert refusal.reason is Reason.WAITING_FOR_CAPACITY
    assert refusal.message == "needs 1 pod x 4 CPU; of 2 eligible nodes 1 short of cpu, 1 short of pods"


def test_room_for_some_of_a_gang_is_not_enough() -> None:
    refusal = refused(job("train").with_cpus(16).replicas(4), node("a"), node("b").using(cpus=16))
    assert refusal.reason is Reason.WAITING_FOR_CAPACITY
    assert "too few for the gang" in refusal.message


def test_a_cpu_job_larger_than_any_node() -> None:
    refusal = refused(job("train").with_cpus(64), node("a"), node("b"))
    assert refusal.reason is Reason.CLUSTER_TOO_SMALL
    assert refusal.message == (
        "needs 1 pod x 64 CPU: more than the 2 eligible nodes hold even when empty "
        "(largest node 32 CPU, all together 64 CPU)"
    )


def test_a_gang_with_more_pods_than_nodes_take() -> None:
    refusal = refused(job("train").with_cpus("1m").replicas(20), node("a").for_pods(10))
    assert refusal.reason is Reason.CLUSTER_TOO_SMALL
    assert refusal.message.startswith("needs 20 pods x 1 pods")
