"""A node's NodePower and labels are applied whole, so that what is no longer wanted goes."""

from __future__ import annotations

from ballast.api.nodepower import NodePowerSpec, PodOperatingPoint
from ballast.decide.actions import LabelNode, MarkNode, WriteNodePower
from ballast.kube import ApiRefused
from tests.builders import NOW, at, rfc3339
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


async def test_label_and_condition_of_an_empty_node_are_one_write() -> None:
    server = ApiServer(answers=[{"kind": "Node"}])
    action = MarkNode("a", "uid-of-a", empty=True, since=NOW - 60, told_at=NOW, reason="Unused", message="since then")
    outcomes = await execute(server, action)
    [(verb, path, body)] = server.requests
    assert (verb, path) == ("merge", "/api/v1/nodes/a/status")
    assert body["metadata"] == {"uid": "uid-of-a", "labels": {"ballast.dev/empty": "true"}}
    assert body["status"]["conditions"] == [
        {
            "type": "ballast.dev/Empty",
            "status": "True",
            "reason": "Unused",
            "message": "since then",
            "lastTransitionTime": rfc3339(at(-60)),
            "lastHeartbeatTime": rfc3339(at(0)),
        }
    ]
    assert outcomes.done == [(action, [("Node", {"kind": "Node"})])]


async def test_the_label_goes_from_a_node_that_is_in_use() -> None:
    server = ApiServer()
    await execute(server, MarkNode("a", "uid-of-a", empty=False, since=NOW, told_at=NOW, reason="InUse"))
    [(_, _, body)] = server.requests
    assert body["metadata"]["labels"] == {"ballast.dev/empty": None}
    assert body["status"]["conditions"][0]["status"] == "False"


async def test_nothing_more_is_said_of_a_node_when_marks_are_switched_off() -> None:
    server = ApiServer()
    await execute(server, MarkNode("a", "uid-of-a"))
    [(_, _, body)] = server.requests
    assert body["metadata"]["labels"] == {"ballast.dev/empty": None}
    assert body["status"] == {"conditions": [{"type": "ballast.dev/Empty", "$patch": "delete"}]}


async def test_a_refusal_is_reported() -> None:
    action, refused = WriteNodePower("a", "uid-of-a", NodePowerSpec()), ApiRefused(403, "Forbidden", "no")
    assert (await execute(ApiServer(answers=[refused]), action)).failed == [(action, refused)]
