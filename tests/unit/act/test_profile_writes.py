"""A profile is written as it was read, or not at all: first what was measured, then what follows from it."""

from __future__ import annotations

from ballast.decide.actions import WriteProfile
from ballast.decide.learning.learning import learn
from ballast.kube import ApiRefused
from tests.auto_builders import LATER, known, measured_point, measurement, profile, ready
from tests.unit.act.api_server import ApiServer, execute

FIRST = {"kind": "EnergyProfile", "metadata": {"resourceVersion": "8"}}
LAST = {"kind": "EnergyProfile", "metadata": {"resourceVersion": "9"}}
ALL = "/apis/ballast.dev/v1alpha1/namespaces/team/energyprofiles"


def write(*, new: bool) -> WriteProfile:
    learned = known(None if new else profile(measured_point(300.0)))
    [action] = learn([ready(learned=learned, measurement=measurement(250.0, 9.8))], LATER).writes
    return action


async def test_one_that_is_there_is_applied_in_the_version_that_was_read() -> None:
    server, action = ApiServer(answers=[FIRST, LAST]), write(new=False)
    outcomes = await execute(server, action)
    [(verb, path, body), (then, status_path, status)] = server.requests
    assert (verb, path) == ("apply", f"{ALL}/resnet-a40")
    assert body["metadata"] == {"name": "resnet-a40", "namespace": "team", "resourceVersion": "7"}
    assert [point["powerLimitWatts"] for point in body["spec"]["points"]] == [250.0, 300.0]
    assert "status" not in body
    assert (then, status_path) == ("apply", f"{ALL}/resnet-a40/status")
    assert status["metadata"]["resourceVersion"] == "8"
    assert status["status"]["points"] == 2
    assert "spec" not in status
    assert outcomes.done == [(action, [("EnergyProfile", LAST)])]


async def test_a_new_one_is_created_so_that_it_never_replaces_another() -> None:
    server, action = ApiServer(answers=[FIRST, LAST]), write(new=True)
    await execute(server, action)
    [(verb, path, body), (then, status_path, _)] = server.requests
    assert (verb, path) == ("create", ALL)
    assert "resourceVersion" not in body["metadata"]
    assert (then, status_path) == ("apply", f"{ALL}/{action.name}/status")


async def test_a_conflict_fails_the_write_as_a_whole() -> None:
    conflict = ApiRefused(409, "Conflict", "the object has been modified")
    server, action = ApiServer(answers=[conflict]), write(new=False)
    outcomes = await execute(server, action)
    assert len(server.requests) == 1
    assert outcomes.failed == [(action, conflict)]
    assert outcomes.done == []
