"""A simulated node: whose its GPUs are, and what their limits are."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.api.nodepower import NodePower, NodePowerSpec, PodOperatingPoint
from ballast.api.nodestatus import GpuStatus
from ballast.api.operatingpoint import OperatingPoint
from ballast.errors import UserError
from ballast.simulate.world.machine import Machine, Overcommitted
from tests.unit.simulate.running import node


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "simulated", "uid": f"uid-{name}"}}


def asking(**watts: float) -> NodePowerSpec:
    """So many watts for each of a pod's GPUs, by its name."""
    return NodePowerSpec(
        pods=tuple(
            PodOperatingPoint(
                uid=f"uid-{name}",
                namespace="simulated",
                name=name,
                operating_point=OperatingPoint(power_limit_watts=limit),
            )
            for name, limit in watts.items()
        )
    )


def told(machine: Machine) -> tuple[GpuStatus, ...]:
    """What the node's agent says of its GPUs."""
    status = NodePower.parse(machine.power(2)).status
    assert status is not None
    return status.gpus


def limits(machine: Machine) -> list[float | None]:
    """What the agent enforces; None for a GPU that is as it was found."""
    enforced = [gpu.enforced for gpu in told(machine)]
    return [None if each is None else each.operating_point.power_limit_watts for each in enforced]


def holders(machine: Machine) -> list[str]:
    return ["".join(holder.name or "?" for holder in gpu.holders) for gpu in told(machine)]


def test_a_pod_gets_as_many_gpus_as_it_asks_for() -> None:
    machine = Machine(node(gpus=4))
    machine.take(pod("a"), 1, 0.0)
    machine.take(pod("b"), 2, 0.0)
    assert machine.free == 1
    assert holders(machine) == ["a", "b", "b", ""]


def test_a_pod_that_does_not_fit_is_an_error_and_gets_nothing() -> None:
    machine = Machine(node(gpus=4))
    machine.take(pod("a"), 3, 0.0)
    with pytest.raises(Overcommitted, match="node a: pod b needs 2 GPUs and 1 of 4 are free"):
        machine.take(pod("b"), 2, 0.0)
    assert machine.free == 1


def test_what_a_pod_gives_back_is_free_and_as_it_was_found() -> None:
    machine = Machine(node(gpus=2))
    machine.obey(asking(a=150), 0.0)
    machine.take(pod("a"), 2, 0.0)
    assert limits(machine) == [150, 150]
    machine.give_back("uid-a")
    assert machine.free == 2
    assert limits(machine) == [None, None]


def test_limits_are_those_of_the_pod_that_holds_the_gpu() -> None:
    machine = Machine(node(gpus=3))
    for name in ("a", "b"):
        machine.take(pod(name), 1, 0.0)
    machine.obey(asking(a=150, b=120), 5.0)
    assert limits(machine) == [150, 120, None]
    machine.obey(asking(b=120), 6.0)
    assert limits(machine) == [None, 120, None]


def test_a_limit_outside_the_range_is_not_set_and_the_agent_says_so() -> None:
    machine = Machine(node(gpus=1))
    machine.take(pod("a"), 1, 0.0)
    machine.obey(asking(a=250), 0.0)
    assert limits(machine) == [None]
    assert "choose 100 W to 200 W" in (told(machine)[0].problem or "")
    machine.obey(asking(a=200), 0.0)
    assert limits(machine) == [200]
    assert told(machine)[0].problem is None


def test_a_limit_is_told_with_the_time_since_when_it_holds() -> None:
    machine = Machine(node(gpus=1))
    machine.take(pod("a"), 1, 0.0)
    machine.obey(asking(a=150), 5.0)
    machine.obey(asking(a=150, b=120), 9.0)
    enforced = told(machine)[0].enforced
    assert enforced is not None
    assert enforced.since.timestamp() == 1_800_000_005


def test_a_node_that_no_cluster_would_take_is_refused() -> None:
    with pytest.raises(UserError):
        Machine(node(name="Not a name"))
