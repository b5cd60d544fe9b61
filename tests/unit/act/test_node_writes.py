"""A node's NodePower and labels are applied whole, so that what is no longer wanted goes."""

from __future__ import annotations

from ballast.api.nodepower import NodePowerSpec, PodOperatingPoint
from ballast.decide.actions import LabelNode, WriteNodePower
from ballast.kube import ApiRefused
from tests.power_builders import point
from tests.unit.act.api_server import ApiServer, execute


async def test_a_node_power_goes_with_its_node() -> None:
    server = ApiServer(answers=[{"kind": "NodePower"}])
    spec = NodePowerSpec(pods=(PodOperatingPoint(uid="uid-0", operating_point=point(150)),))
    action = WriteNodePower("a", "uid-of-a", spec)
    outcomes = await execute(server, action)
    [(verb, path, body)] = server.requests
    assert (verb, path) == ("apply", "/apis/ballast.dev/v1alpha1/nodepowers/a")
    assert body["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "uid-of-a"}]
    assert body["spec"]["pods"] == [{"uid": "uid-0", "operatingPoint": {"powerLimitWatts": 150}}]
    assert outcomes.done == [(action, [("NodePower", {"kind": "NodePower"})])]


async def test_labels_are_those_of_this_very_node() -> None:
    server = ApiServer()
    await execute(server, LabelNode("a", "uid-of-a", (("ballast.dev/gpu-count", "2"),)))
    [(verb, path, body)] = server.requests
    assert (verb, path) == ("apply", "/api/v1/nodes/a")
    assert body["metadata"] == {"name": "a", "uid": "uid-of-a", "labels": {"ballast.dev/gpu-count": "2"}}


async def test_a_refusal_is_reported() -> None:
    action, refused = WriteNodePower("a", "uid-of-a", NodePowerSpec()), ApiRefused(403, "Forbidden", "no")
    assert (await execute(ApiServer(answers=[refused]), action)).failed == [(action, refused)]
