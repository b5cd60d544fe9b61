"""A gang that does not come to run as a whole in time gives its nodes back, and says what was in the way."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import AskForRefusal, CreateObjects
from ballast.decide.policy import Policy
from tests.builders import JobBuilder, NodeBuilder, job, node, pod
from tests.unit.decide.stepping import steps, told, write

PLACED = job("gang").replicas(2).with_gpus(1).placed_on("a", "b")
FIRST, SECOND = pod(0, of=PLACED), pod(1, of=PLACED)
TIMEOUT, SOON = Policy().placement_timeout_seconds, Policy().missing_pods_seconds
A, B = node("a").with_gpus("A100", 4), node("b").with_gpus("A100", 4)


def rolled_back(of: JobBuilder, reason: Reason, after: float = 0, nodes: tuple[NodeBuilder, ...] = (A, B)) -> str:
    action = write(of, after, nodes)
    assert action.status.phase is Phase.SUSPENDING
    assert action.status.attempts[-1].outcome is Outcome.ROLLED_BACK
    assert action.status.reason == reason
    return told(action)


def test_a_pod_that_is_stuck_is_the_reason_and_its_node_is_avoided() -> None:
    stuck = PLACED.with_job().with_pods(FIRST.running_on("a"), SECOND.unschedulable("0/2 nodes are available"))
    assert steps(stuck, after=TIMEOUT - 1) == []
    message = rolled_back(stuck, Reason.PLACEMENT_TIMEOUT, TIMEOUT)
    assert message.startswith("after 600 s 1 of 2 pods did not run; pod gang-1-1: Unschedulable: 0/2 nodes")
    assert write(stuck, TIMEOUT).status.attempts[-1].avoid == ("b",)


def test_a_pod_that_just_does_not_start_says_nothing_but_its_node_is_avoided() -> None:
    waiting = PLACED.with_job().with_pods(FIRST.running_on("a"), SECOND.on("b").waiting_for("ContainerCreating"))
    assert "1 of 2 pods did not run" in rolled_back(waiting, Reason.PLACEMENT_TIMEOUT, TIMEOUT)
    assert write(waiting, TIMEOUT).status.attempts[-1].avoid == ("b",)


def test_pods_that_were_never_created_are_counted() -> None:
    partly = PLACED.with_job().with_pods(FIRST.gated()).with_refused_pods("")
    assert "1 were never created" in rolled_back(partly, Reason.PLACEMENT_TIMEOUT, TIMEOUT)


def test_an_image_that_cannot_be_pulled_is_the_trainers_failure_and_no_nodes_fault() -> None:
    broken = PLACED.with_job().with_pods(FIRST.on("a").waiting_for("ImagePullBackOff", "not found"), SECOND.on("b"))
    action = write(broken, TIMEOUT, (A, B))
    attempt = action.status.attempts[-1]
    assert (attempt.outcome, attempt.reason, attempt.avoid) == (Outcome.FAILED, Reason.POD_CANNOT_START, ())
    assert "pod gang-1-0: ImagePullBackOff: not found" in told(action)


def test_after_a_while_it_is_asked_why_pods_are_missing() -> None:
    missing = PLACED.with_job().with_pods(FIRST.gated())
    assert steps(missing, after=SOON - 1) == []
    assert steps(missing, after=SOON) == [AskForRefusal(PLACED.training_job(), "uid-of-gang-1")]
    assert steps(missing.with_refused_pods(""), after=SOON) == [], "once is enough"


def test_refused_pods_are_not_waited_for() -> None:
    refused = PLACED.with_job().with_pods(FIRST.gated()).with_refused_pods("exceeded quota: gpus")
    assert rolled_back(refused, Reason.PODS_REFUSED, SOON).startswith("1 of 2 pods cannot be created: exceeded quota")


def test_a_job_that_cannot_be_created_is_tried_until_the_time_is_up() -> None:
    assert steps(PLACED, after=TIMEOUT - 1) == [CreateObjects(PLACED.training_job(), 1)]
    assert "2 were never created" in rolled_back(PLACED, Reason.PLACEMENT_TIMEOUT, TIMEOUT)


UNBOUND = PLACED.with_job().with_pods(FIRST.on("a"), SECOND)


@pytest.mark.parametrize(
    ("nodes", "what"),
    [((A,), "gone"), ((A, B.not_ready()), "not ready"), ((A, B.cordoned()), "cordoned")],
    ids=["gone", "not ready", "cordoned"],
)
@pytest.mark.parametrize("of", [PLACED, UNBOUND], ids=["nothing created", "one bound"])
def test_a_node_that_is_lost_before_its_pods_are_bound(
    of: JobBuilder, nodes: tuple[NodeBuilder, ...], what: str
) -> None:
    assert f"node b is {what}, before all its pods were bound" in rolled_back(of, Reason.NODE_UNAVAILABLE, nodes=nodes)
    assert write(of, nodes=nodes).status.attempts[-1].avoid == ("b",)


def test_a_cordon_does_not_touch_pods_that_are_bound() -> None:
    bound = PLACED.with_job().with_pods(FIRST.on("a"), SECOND.on("b"))
    assert steps(bound, nodes=(A.cordoned(), B.cordoned())) == []


def test_capacity_that_others_took_first() -> None:
    taken = rolled_back(UNBOUND, Reason.CAPACITY_TAKEN, nodes=(A, B.using(gpus=5)))
    assert taken.startswith("node b lacks 1 GPU of what is promised there")


def test_what_the_gang_does_not_ask_for_may_be_overdrawn() -> None:
    assert steps(UNBOUND, nodes=(A, B.using(memory_gib=500))) == []


def test_nothing_is_rolled_back_while_its_job_is_being_created() -> None:
    assert steps(PLACED.being_created(), nodes=(A,)) == []
