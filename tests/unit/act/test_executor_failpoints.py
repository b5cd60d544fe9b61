"""Every write stands between two named failpoints: dying before it, nothing was asked; dying after it, all was."""

from __future__ import annotations

import asyncio

import pytest

from ballast.act.executor import Executor
from ballast.api.energyprofile import EnergyProfileSpec, EnergyProfileStatus
from ballast.decide.actions import (
    Action,
    CreateObjects,
    Expire,
    ReleaseOrphan,
    ReleasePod,
    StopAttempt,
    Transition,
    Ungate,
    WriteProfile,
    WriteStatus,
)
from ballast.decide.snapshot import Orphan
from ballast.failpoints import Failpoints
from tests.builders import job
from tests.unit.act.api_server import ApiServer, Outcomes

GANG = job("gang").launched_by("torchrun").placed_on("a").training_job()
STATUSES = [WriteStatus(GANG, transition, GANG.status) for transition in Transition]
PROFILE = WriteProfile(
    "team", "resnet-a40", "7", EnergyProfileSpec(profile_key="resnet", gpu_model="NVIDIA-A40"), EnergyProfileStatus()
)
CREATE, UNGATE = CreateObjects(GANG, 1), Ungate(GANG, "gang-1-0", "uid", "a", 0)


class Died(BaseException):
    """Stands for SIGKILL."""


class Deadly(Failpoints):
    """Raises where the real ones kill."""

    def __init__(self, name: str) -> None:
        super().__init__("")
        self.name = name

    def passing(self, name: str) -> None:
        if name == self.name:
            raise Died


async def requests_before_death(action: Action, failpoint: str) -> int:
    server = ApiServer(answers=[{"metadata": {"resourceVersion": str(number)}} for number in range(2)])
    tasks = asyncio.get_running_loop()
    executor = Executor(
        server,  # type: ignore[arg-type]
        Outcomes().events,
        lambda action, answers: pytest.fail("it lived on"),
        lambda action, error: pytest.fail("it lived on"),
        tasks,  # type: ignore[arg-type]
        Deadly(failpoint),
    )
    with pytest.raises(Died):
        await executor._execute(action)
    return len(server.requests)


@pytest.mark.parametrize(
    ("action", "name", "earlier"),
    [
        *[(action, f"status.{action.transition.value}", 0) for action in STATUSES],
        (CREATE, "service", 0),
        (CREATE, "job", 1),
        (UNGATE, "ungate", 0),
        (StopAttempt(GANG, "gang-1", "uid"), "stop", 0),
        (Expire(GANG), "expire", 0),
        (PROFILE, "profile", 0),
        (PROFILE, "profile.status", 1),
        (ReleasePod(GANG, "gang-1-0", "uid"), "release", 0),
        (ReleaseOrphan(Orphan("team", "gang-1-0", "uid")), "release", 0),
    ],
    ids=str,
)
async def test_before_and_after_each_write(action: Action, name: str, earlier: int) -> None:
    assert await requests_before_death(action, f"before:{name}") == earlier
    assert await requests_before_death(action, f"after:{name}") == earlier + 1
